package timerheap

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type entry = Entry[int]

// reference is what a heap of timers should hold: everything, in order.
type reference []*entry

func (r *reference) add(t *entry, at int64) {
	r.remove(t)
	i := slices.IndexFunc(*r, func(t *entry) bool { return t.at > at })
	if i < 0 {
		i = len(*r)
	}
	*r = slices.Insert(*r, i, t)
}

func (r *reference) remove(t *entry) bool {
	i := slices.Index(*r, t)
	if i >= 0 {
		*r = slices.Delete(*r, i, i+1)
	}
	return i >= 0
}

// sound checks that no node is before its parent, that each timer knows its
// place, and that nothing is left behind the end.
func (h *Heap[T]) sound(t *testing.T) {
	t.Helper()
	for i, n := range h.nodes {
		require.Equal(t, i+1, n.entry.index)
		require.Equal(t, n.entry.at, n.at)
		if i > 0 {
			require.True(t, h.nodes[(i-1)/arity].before(&n))
		}
	}
	for _, n := range h.nodes[len(h.nodes):cap(h.nodes)] {
		require.Nil(t, n.entry, "an entry that is out is kept reachable")
	}
}

func TestHeapAgainstASortedList(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var heap Heap[int]
		var list reference
		timers := make([]entry, 200)
		for range 3000 {
			x := &timers[random.IntN(len(timers))]
			switch random.IntN(5) {
			case 0, 1, 2: // few moments, so that many timers share one
				at := int64(random.IntN(50))
				list.add(x, at)
				heap.Add(x, at)
			case 3:
				require.Equal(t, list.remove(x), heap.Remove(x))
				require.Zero(t, x.index)
			case 4:
				if len(list) == 0 {
					continue
				}
				first := heap.First()
				require.Same(t, list[0], first)
				require.True(t, heap.Remove(first))
				require.True(t, list.remove(first))
			}
			require.Len(t, heap.nodes, len(list))
		}
		heap.sound(t)
		for len(list) > 0 {
			first := heap.First()
			require.Same(t, list[0], first)
			heap.Remove(first)
			list.remove(first)
		}
		heap.sound(t)
	}
}

// TestHeapTouchesOnePath: arming, moving and canceling write at most the
// nodes between a leaf and the root, however many timers there are. That is what
// O(log n) means, and takes no clock to see.
func TestHeapTouchesOnePath(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 4, 5, 100, 5000} {
		var heap Heap[int]
		timers := make([]entry, n)
		for i := range timers {
			heap.Add(&timers[i], int64(random.IntN(1000)))
		}
		depth := (bits.Len(uint(3*n))+1)/2 + 1 // of a heap with four children a node
		before := slices.Clone(heap.nodes)
		touched := func() (changed int) {
			for i := range min(len(before), len(heap.nodes)) {
				if before[i] != heap.nodes[i] {
					changed++
				}
			}
			before = append(before[:0], heap.nodes...)
			return changed
		}
		for range 500 {
			x := &timers[random.IntN(n)]
			heap.Add(x, int64(random.IntN(1000)))
			require.LessOrEqual(t, touched(), depth, "move")
			require.True(t, heap.Remove(x))
			require.LessOrEqual(t, touched(), depth, "cancel")
			heap.Add(x, int64(random.IntN(1000)))
			require.LessOrEqual(t, touched(), depth, "arm")
		}
	}
}

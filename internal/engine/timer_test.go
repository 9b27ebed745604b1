package engine

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reference is what a heap of timers should hold: everything, in order.
type reference []*Timer

func (r *reference) add(t *Timer, at time.Duration) {
	r.remove(t)
	i, _ := slices.BinarySearchFunc(*r, at, func(t *Timer, at time.Duration) int { return int(t.at - at) })
	*r = slices.Insert(*r, i, t)
}

func (r *reference) remove(t *Timer) bool {
	i := slices.Index(*r, t)
	if i >= 0 {
		*r = slices.Delete(*r, i, i+1)
	}
	return i >= 0
}

// sound checks that no node is before its parent, that each timer knows its
// place, and that nothing is left behind the end.
func (h *timerHeap) sound(t *testing.T) {
	t.Helper()
	for i, n := range h.nodes {
		require.Equal(t, i+1, n.timer.index)
		require.Equal(t, n.timer.at, n.at)
		if i > 0 {
			require.LessOrEqual(t, h.nodes[(i-1)/timerArity].at, n.at)
		}
	}
	for _, n := range h.nodes[len(h.nodes):cap(h.nodes)] {
		require.Nil(t, n.timer, "a timer that is out is kept reachable")
	}
}

func TestTimerHeapAgainstASortedList(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var heap timerHeap
		var list reference
		timers := make([]Timer, 200)
		for range 3000 {
			x := &timers[random.IntN(len(timers))]
			switch random.IntN(5) {
			case 0, 1, 2: // few moments, so that many timers share one
				at := time.Duration(random.IntN(50))
				list.add(x, at)
				heap.add(x, at)
			case 3:
				require.Equal(t, list.remove(x), heap.remove(x))
				require.Zero(t, x.index)
			case 4:
				if len(list) == 0 {
					continue
				}
				first := heap.nodes[0].timer
				require.Equal(t, list[0].at, first.at)
				require.True(t, heap.remove(first))
				require.True(t, list.remove(first))
			}
			require.Len(t, heap.nodes, len(list))
		}
		heap.sound(t)
		for len(list) > 0 {
			first := heap.nodes[0].timer
			require.Equal(t, list[0].at, first.at)
			heap.remove(first)
			list.remove(first)
		}
		heap.sound(t)
	}
}

// TestTimerHeapTouchesOnePath: arming, moving and cancelling write at most the
// nodes between a leaf and the root, however many timers there are. That is what
// O(log n) means, and takes no clock to see.
func TestTimerHeapTouchesOnePath(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 4, 5, 100, 5000} {
		var heap timerHeap
		timers := make([]Timer, n)
		for i := range timers {
			heap.add(&timers[i], time.Duration(random.IntN(1000)))
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
			heap.add(x, time.Duration(random.IntN(1000)))
			require.LessOrEqual(t, touched(), depth, "move")
			require.True(t, heap.remove(x))
			require.LessOrEqual(t, touched(), depth, "cancel")
			heap.add(x, time.Duration(random.IntN(1000)))
			require.LessOrEqual(t, touched(), depth, "arm")
		}
	}
}

func TestTimersExpireInOrderAndOnlyWhenDue(t *testing.T) {
	l := &Loop{start: time.Now().Add(-time.Hour)}
	var got []int
	for i := range 10 {
		x := &Timer{Expired: func(err error) { require.NoError(t, err); got = append(got, i) }}
		l.timers.add(x, time.Duration(10-i))
	}
	late := &Timer{Expired: func(err error) { require.ErrorIs(t, err, net.ErrClosed); got = append(got, 99) }}
	l.timers.add(late, 2*time.Hour)
	require.Zero(t, l.timers.wait(l))
	l.timers.expire(l)
	require.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, got)
	require.Positive(t, l.timers.wait(l))
	l.timers.drop(net.ErrClosed)
	require.Equal(t, 99, got[10])
	require.Negative(t, l.timers.wait(l), "none is left")
}

// BenchmarkTimers arms, moves, cancels and expires one timer beside so many
// others.
func BenchmarkTimers(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		l := &Loop{start: time.Now()}
		random := rand.New(rand.NewPCG(5, 6))
		timers := make([]Timer, n)
		for i := range timers {
			l.timers.add(&timers[i], time.Hour+time.Duration(random.Int64N(int64(time.Hour))))
		}
		moments := make([]time.Duration, 4096)
		for i := range moments {
			moments[i] = time.Hour + time.Duration(random.Int64N(int64(time.Hour)))
		}
		x := &Timer{Expired: func(error) {}}
		for name, op := range map[string]func(i int){
			"arm+cancel": func(i int) {
				l.timers.add(x, moments[i%len(moments)])
				l.timers.remove(x)
			},
			"move": func(i int) { l.timers.add(&timers[i%n], moments[i%len(moments)]) },
			"arm+expire": func(i int) {
				l.timers.add(x, 0)
				l.timers.expire(l)
			},
		} {
			b.Run(fmt.Sprintf("%s/pending=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					op(i)
				}
			})
		}
	}
}

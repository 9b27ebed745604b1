package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFifoAgainstASlice(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var q Queue[*int]
		var want []*int
		for step := range 2000 {
			v := new(step)
			switch random.IntN(10) {
			case 0, 1, 2, 3:
				q.Push(v)
				want = append(want, v)
			case 4:
				q.Unpop(v)
				want = slices.Insert(want, 0, v)
			case 5, 6, 7:
				if len(want) > 0 {
					require.Same(t, want[0], q.Pop())
					want = want[1:]
				}
			case 8:
				i := random.IntN(len(want) + 2) // behind the end too
				tail := q.Cut(i)
				require.True(t, slices.Equal(want[min(i, len(want)):], tail))
				want = want[:min(i, len(want))]
			case 9:
				for range random.IntN(40) { // a burst
					q.Push(v)
					want = append(want, v)
				}
			}
			require.Equal(t, len(want), q.Len())
			for i := range want {
				require.Same(t, want[i], *q.At(i))
			}
			holdsNothingElse(t, &q)
		}
	}
}

// holdsNothingElse: what has left the queue is not kept reachable by it.
func holdsNothingElse(t *testing.T, q *Queue[*int]) {
	t.Helper()
	held := 0
	for _, p := range q.items {
		if p != nil {
			held++
		}
	}
	require.Equal(t, q.Len(), held)
}

func TestFifoGivesTheMemoryOfABurstBack(t *testing.T) {
	var q Queue[int]
	for i := range 1000 {
		q.Push(i)
	}
	for i := range 1000 {
		require.Equal(t, i, q.Pop())
	}
	require.Empty(t, q.items)
	for range 100 { // and of an everyday size keeps it
		q.Push(1)
		q.Push(2)
		q.Pop()
		q.Pop()
	}
	require.Len(t, q.items, 2)
	require.Zero(t, testing.AllocsPerRun(100, func() { q.Push(1); q.Pop() }))
}

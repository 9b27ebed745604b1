package proactor

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFifoAgainstASlice(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var q fifo[*int]
		var want []*int
		for step := range 2000 {
			v := new(step)
			switch random.IntN(10) {
			case 0, 1, 2, 3:
				q.push(v)
				want = append(want, v)
			case 4:
				q.unpop(v)
				want = slices.Insert(want, 0, v)
			case 5, 6, 7:
				if len(want) > 0 {
					require.Same(t, want[0], q.pop())
					want = want[1:]
				}
			case 8:
				i := random.IntN(len(want) + 2) // behind the end too
				tail := q.cut(i)
				require.True(t, slices.Equal(want[min(i, len(want)):], tail))
				want = want[:min(i, len(want))]
			case 9:
				for range random.IntN(40) { // a burst
					q.push(v)
					want = append(want, v)
				}
			}
			require.Equal(t, len(want), q.len())
			for i := range want {
				require.Same(t, want[i], *q.at(i))
			}
			holdsNothingElse(t, &q)
		}
	}
}

// holdsNothingElse: what has left the queue is not kept reachable by it.
func holdsNothingElse(t *testing.T, q *fifo[*int]) {
	t.Helper()
	held := 0
	for _, p := range q.items {
		if p != nil {
			held++
		}
	}
	require.Equal(t, q.len(), held)
}

func TestFifoGivesTheMemoryOfABurstBack(t *testing.T) {
	var q fifo[int]
	for i := range 1000 {
		q.push(i)
	}
	for i := range 1000 {
		require.Equal(t, i, q.pop())
	}
	require.Empty(t, q.items)
	for range 100 { // and of an everyday size keeps it
		q.push(1)
		q.push(2)
		q.pop()
		q.pop()
	}
	require.Len(t, q.items, 2)
	require.Zero(t, testing.AllocsPerRun(100, func() { q.push(1); q.pop() }))
}

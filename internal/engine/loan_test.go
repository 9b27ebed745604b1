package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoan(t *testing.T) {
	var bank Lender[*int]
	var a, b Loan[*int]
	one, two, three := new(1), new(2), new(3)

	require.Zero(t, a.Len())
	require.Empty(t, a.Cut(&bank, 0))
	a.Push(&bank, two)
	a.Unpop(&bank, one)
	a.Push(&bank, three)
	require.Equal(t, 3, a.Len())
	require.Same(t, two, *a.At(1))
	require.Equal(t, []*int{two, three}, a.Cut(&bank, 1))
	require.NotNil(t, a.queue, "something is in it")
	require.Same(t, one, a.Pop(&bank))
	require.Nil(t, a.queue)
	require.Len(t, bank.idle, 1)
	require.Zero(t, bank.idle[0].Len())

	b.Unpop(&bank, one)
	require.Empty(t, bank.idle, "what one gave back serves another")
	require.Len(t, b.Cut(&bank, 0), 1)
	require.Len(t, bank.idle, 1)

	require.Zero(t, testing.AllocsPerRun(100, func() {
		a.Push(&bank, one)
		b.Push(&bank, two)
		a.Pop(&bank)
		b.Pop(&bank)
	}))
}

func TestLenderKeepsABoundedNumber(t *testing.T) {
	var bank Lender[int]
	queues := make([]Loan[int], lenderKeeps+10)
	for i := range queues {
		queues[i].Push(&bank, i)
	}
	for i := range queues {
		require.Equal(t, i, queues[i].Pop(&bank))
	}
	require.Len(t, bank.idle, lenderKeeps)
}

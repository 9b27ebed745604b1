package proactor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoan(t *testing.T) {
	var bank lender[*int]
	var a, b loan[*int]
	one, two, three := new(1), new(2), new(3)

	require.Zero(t, a.len())
	require.Empty(t, a.cut(&bank, 0))
	a.push(&bank, two)
	a.unpop(&bank, one)
	a.push(&bank, three)
	require.Equal(t, 3, a.len())
	require.Same(t, two, *a.at(1))
	require.Equal(t, []*int{two, three}, a.cut(&bank, 1))
	require.NotNil(t, a.fifo, "something is in it")
	require.Same(t, one, a.pop(&bank))
	require.Nil(t, a.fifo)
	require.Len(t, bank.idle, 1)
	holdsNothingElse(t, bank.idle[0])

	b.unpop(&bank, one)
	require.Empty(t, bank.idle, "what one gave back serves another")
	require.Len(t, b.cut(&bank, 0), 1)
	require.Len(t, bank.idle, 1)

	require.Zero(t, testing.AllocsPerRun(100, func() {
		a.push(&bank, one)
		b.push(&bank, two)
		a.pop(&bank)
		b.pop(&bank)
	}))
}

func TestLenderKeepsABoundedNumber(t *testing.T) {
	var bank lender[int]
	queues := make([]loan[int], lenderKeeps+10)
	for i := range queues {
		queues[i].push(&bank, i)
	}
	for i := range queues {
		require.Equal(t, i, queues[i].pop(&bank))
	}
	require.Len(t, bank.idle, lenderKeeps)
}

package slab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlabGivesEachValueOnce(t *testing.T) {
	var s Slab[int]
	seen := map[*int]bool{}
	for i := range 10 {
		v := s.New(3)
		require.Zero(t, *v)
		require.False(t, seen[v])
		seen[v], *v = true, i+1
	}
}

func TestSlabAllocatesManyAtATime(t *testing.T) {
	var s Slab[[64]byte]
	s.New(1000)
	require.Zero(t, testing.AllocsPerRun(500, func() { s.New(1000) }))
}

func TestRoomGrowsInLargeSteps(t *testing.T) {
	var s []int
	grown := 0
	for i := range 1000 {
		if r := Room(s); cap(r) != cap(s) {
			grown++
			s = r
		}
		s = append(s, i)
	}
	require.LessOrEqual(t, grown, 6)
	require.Equal(t, 999, s[999])
}

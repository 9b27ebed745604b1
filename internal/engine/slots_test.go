package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlotsForgetWhatIsOver(t *testing.T) {
	var s slots
	first := s.Put(numbered(1))
	v, ok := s.Get(first)
	require.True(t, ok)
	require.Equal(t, numbered(1), v)
	require.True(t, s.Remove(first))
	require.False(t, s.Remove(first))
	second := s.Put(numbered(2))
	require.Equal(t, uint32(first), uint32(second), "the slot serves again")
	_, ok = s.Get(first)
	require.False(t, ok, "a late completion finds nothing")
	_, ok = s.Get(^uint64(0))
	require.False(t, ok)
	_, ok = s.Get(12345)
	require.False(t, ok)
	require.Equal(t, 1, s.Len())
}

func TestSlotsAgainstModel(t *testing.T) {
	var s slots
	model := map[uint64]int{}
	var gone []uint64
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		if r.IntN(2) == 0 || len(model) == 0 {
			ud := s.Put(numbered(i))
			if _, taken := model[ud]; taken {
				t.Fatalf("user data %#x is given out twice", ud)
			}
			model[ud] = i
			continue
		}
		for ud, want := range model {
			v, ok := s.Get(ud)
			require.True(t, ok)
			require.Equal(t, numbered(want), v)
			if r.IntN(2) == 0 {
				require.True(t, s.Remove(ud))
				delete(model, ud)
				gone = append(gone, ud)
			}
			break
		}
		if s.Len() != len(model) {
			t.Fatalf("%d slots in use, want %d", s.Len(), len(model))
		}
	}
	for _, ud := range gone {
		if _, ok := s.Get(ud); ok {
			t.Fatalf("user data %#x is over and found", ud)
		}
	}
}

func TestSlotsNeverGiveReservedUserData(t *testing.T) {
	var s slots
	ud := s.Put(numbered(0))
	s.at(0).generation = 1<<32 - 2
	require.False(t, s.Remove(ud))
	s.at(0).op = numbered(0)
	require.True(t, s.Remove(uint64(1<<32-2)<<32))
	require.Zero(t, s.at(0).generation, "a generation of all ones is skipped")
}

func TestSlotsAllocateOnlyToGrow(t *testing.T) {
	var s slots
	v := &cancellation{}
	s.Put(v)
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Remove(s.Put(v)) }))
}

type numbered int

func (numbered) Complete(int32, uint32) {}

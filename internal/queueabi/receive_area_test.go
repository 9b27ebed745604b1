package queueabi

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func area(chunks int) *ReceiveArea {
	return NewReceiveArea(make([]byte, chunks*8), make([]byte, RefillSize(chunks, 4096)), 8)
}

func TestRefillRing(t *testing.T) {
	require.EqualValues(t, 16, unsafe.Sizeof(refillEntry{}))
	require.Equal(t, 1, RefillEntries(1))
	require.Equal(t, 8, RefillEntries(5))
	require.Equal(t, 32768, RefillEntries(1<<16))
	require.Equal(t, 4096, RefillSize(1, 4096))
	require.Equal(t, 2*4096, RefillSize(256, 4096))
}

func TestReceiveAreaPieces(t *testing.T) {
	a := area(3)
	for round := range 20 {
		var out []uint16
		for i := range 7 { // more pieces than the refill ring has entries
			id, ok := a.Name(uint64(i), uint32(1+round))
			require.True(t, ok)
			require.NotContains(t, out, id)
			out = append(out, id)
		}
		for i, id := range out {
			offset, n := a.Piece(id)
			require.EqualValues(t, i, offset)
			require.EqualValues(t, 1+round, n)
			require.True(t, a.Return(id))
			require.False(t, a.Return(id), "it is not out any more")
			_, n = a.Piece(id)
			require.Zero(t, n)
		}
		_, ok := a.Refilled()
		require.False(t, ok, "not published")
		for i := 0; i < 7; {
			a.Publish()
			for offset, ok := a.Refilled(); ok; offset, ok = a.Refilled() {
				require.EqualValues(t, i, offset, "in the order of their return")
				i++
			}
		}
		require.Zero(t, a.waiting.Len())
	}
	require.False(t, a.Return(999))
	_, n := a.Piece(999)
	require.Zero(t, n)
}

func TestReceiveAreaRunsOutOfNumbers(t *testing.T) {
	a := area(1)
	for range MaxPieces {
		_, ok := a.Name(0, 1)
		require.True(t, ok)
	}
	_, ok := a.Name(0, 1)
	require.False(t, ok)
	require.True(t, a.Return(77))
	id, ok := a.Name(0, 1)
	require.True(t, ok)
	require.EqualValues(t, 77, id)
}

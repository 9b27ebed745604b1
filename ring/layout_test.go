package ring

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestLayout(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(SQE{}))
	require.EqualValues(t, 16, unsafe.Sizeof(CQE{}))
	require.EqualValues(t, 16, unsafe.Sizeof(Timespec{}))
	require.EqualValues(t, SizeofRecvmsgOut, unsafe.Sizeof(RecvmsgOut{}))
}

func TestBufferRingSizes(t *testing.T) {
	for _, n := range []int{0, -1, 3, MaxBufferRing * 2} {
		_, err := NewBufferRing(n)
		require.ErrorContains(t, err, "power of two")
	}
	r, err := NewBufferRing(4)
	require.NoError(t, err)
	require.Equal(t, 4, r.Cap())
}

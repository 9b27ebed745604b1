package ring

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/stretchr/testify/require"
)

func TestReceiveAreaLayout(t *testing.T) {
	require.EqualValues(t, 96, unsafe.Sizeof(interfaceQueue{}))
	require.EqualValues(t, 64, unsafe.Offsetof(interfaceQueue{}.id))
	require.EqualValues(t, 48, unsafe.Sizeof(receiveMemory{}))
	require.EqualValues(t, 64, unsafe.Sizeof(memoryRegion{}))
}

func TestReceiveAreaSizes(t *testing.T) {
	for _, n := range []int{0, -1, MaxReceiveChunks + 1} {
		_, err := NewReceiveArea(n)
		require.ErrorContains(t, err, "want 1 to 65536")
	}
	a, err := NewReceiveArea(3)
	require.NoError(t, err)
	require.Equal(t, 3, a.Chunks())
	require.Len(t, a.abi().Memory(), 3*a.ChunkSize())
	require.NoError(t, a.Close())
	a.Publish()
}

// Flags of a nop with which the kernel posts a completion like that of a receive.
const (
	nopInjectResult = 1 << 0 // Linux 6.10
	nopLarge        = 1 << 5 // IORING_NOP_CQE32, Linux 6.18
)

// openLarge is a small ring with an area that no device has. What its device would say, nops do.
func openLarge(t *testing.T) (*Ring, *ReceiveArea) {
	r := open(t, Options{Entries: 8, ZeroCopyReceive: true})
	if queueabi.Before(KernelRelease(), 6, 18) {
		t.Skipf("nops with large completions need Linux 6.18, this is %s", KernelRelease())
	}
	require.Contains(t, r.SetupFlags(), "IORING_SETUP_CQE32")
	a, err := NewReceiveArea(16)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	r.area = a.abi()
	return r, a
}

// bring queues a nop that ends as a receive does.
func (r *Ring) bring(userData, offset uint64, length uint32) {
	e := r.Next()
	e.PrepOperation(uint8(OpNop), -1, 0, length, offset)
	e.SetOpFlags(nopInjectResult | nopLarge)
	e.SetUserData(userData)
	r.receivers.add(userData, 0)
}

// TestLargeCompletions reads those that bring a piece and those that do not, when the queue
// overflows too.
func TestLargeCompletions(t *testing.T) {
	r, a := openLarge(t)
	random := rand.New(rand.NewPCG(1, 2))
	type sent struct{ offset, length int }
	var queued []sent // by user data
	var reaped uint64
	reap := func() {
		var some [5]CQE
		for n := r.Reap(some[:]); n > 0; n = r.Reap(some[:]) {
			for _, c := range some[:n] {
				require.Equal(t, reaped, c.UserData(), "in order, each once")
				want := queued[reaped]
				require.EqualValues(t, want.length, c.Result())
				reaped++
				if want.length == 0 {
					require.Zero(t, c.Flags())
					continue
				}
				require.Equal(t, CQEFBuffer, c.Flags()&0xffff)
				require.Equal(t, want.offset, a.Offset(c.BufferID()))
				require.Len(t, a.Bytes(c.BufferID()), want.length)
				a.Return(c.BufferID())
			}
		}
	}
	for i := range uint64(4000) {
		s := sent{}
		if random.IntN(2) == 0 {
			s = sent{offset: random.IntN(15 << 12), length: 1 + random.IntN(4096)}
			r.bring(i, uint64(s.offset), uint32(s.length))
		} else {
			e := r.Next()
			e.PrepNop()
			e.SetUserData(i)
		}
		queued = append(queued, s)
		if random.IntN(10) == 0 {
			require.NoError(t, r.Enter(0))
		}
		if random.IntN(30) == 0 {
			reap()
		}
	}
	for r.InFlight() > 0 {
		require.NoError(t, r.Enter(Forever))
		reap()
	}
	require.Len(t, queued, int(reaped))
	require.Zero(t, r.receivers.used)
	require.Positive(t, r.Stats().Overflows)
}

// A completion for whose piece there is no number waits until one is given back, and those
// of the same receive behind it. Others pass.
func TestLargeCompletionsWait(t *testing.T) {
	r, a := openLarge(t)
	for range MaxReceiveChunks {
		_, ok := a.abi().Name(0, 1)
		require.True(t, ok)
	}
	r.bring(1, 4096, 7)
	r.bring(7, 8192, 5)
	passes := r.Next()
	passes.PrepNop()
	passes.SetUserData(2)
	require.NoError(t, r.Enter(0))
	var c [4]CQE
	require.Equal(t, 1, r.Reap(c[:]))
	require.EqualValues(t, 2, c[0].UserData())
	require.Zero(t, r.Reap(c[:]))
	require.NoError(t, r.Enter(0))
	require.Zero(t, r.Reap(c[:]))
	a.Return(12345)
	require.NoError(t, r.Enter(Forever), "it is there at once")
	require.Equal(t, 1, r.Reap(c[:]))
	require.EqualValues(t, 1, c[0].UserData())
	require.EqualValues(t, 12345, c[0].BufferID())
	require.Equal(t, 4096, a.Offset(12345))
	a.Return(12345)
	require.Equal(t, 1, r.Reap(c[:]))
	require.EqualValues(t, 7, c[0].UserData())
	require.Equal(t, 8192, a.Offset(c[0].BufferID()))
	require.Zero(t, r.InFlight())
	r.bring(3, 0, 7) // Close reaps it, with or without a number
}

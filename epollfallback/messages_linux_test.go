package epollfallback

import (
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMessageHeaderLayout(t *testing.T) {
	require.EqualValues(t, unsafe.Sizeof(unix.Msghdr{}), unsafe.Sizeof(msghdr{}))
	require.EqualValues(t, unsafe.Offsetof(mmsghdr{}.length), unsafe.Sizeof(unix.Msghdr{}))
	require.Zero(t, unsafe.Sizeof(mmsghdr{})%unsafe.Sizeof(uintptr(0)))
}

// TestMessagesInBatches receives numbers of messages around the sizes of the
// batches, empty ones among them, one system call for several of them; and the
// same where recvmmsg(2) is refused.
func TestMessagesInBatches(t *testing.T) {
	var calls [2]uint64
	for i, refused := range []bool{false, true} {
		b := open(t)
		b.noBatch = refused
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		r, err := ring.NewBufferRing(64)
		require.NoError(t, err)
		require.NoError(t, b.RegisterBufferRing(1, r))
		mem := make([][]byte, 64)
		for i := range mem {
			mem[i] = make([]byte, 64)
			r.Add(mem[i], uint16(i))
		}
		r.Publish()
		arm := func(e *ring.SQE) { e.PrepMultishotRecvmsg(pair[0], &ring.Msghdr{}, 1, 0) }
		b.entry(1, arm)
		require.Empty(t, b.turn())
		for _, n := range []int{1, 2, 3, 7, 9, 10} {
			for i := range n {
				require.NoError(t, unix.Send(pair[1], make([]byte, i%3), 0))
			}
			for got := 0; got < n; got++ {
				c := b.await()
				require.EqualValues(t, 1, c.UserData())
				require.EqualValues(t, ring.SizeofRecvmsgOut+got%3, c.Result(), "message %d of %d", got, n)
				r.Add(mem[c.BufferID()], c.BufferID())
				r.Publish()
				if !c.More() {
					b.entry(1, arm)
				}
			}
			require.Empty(t, b.turn())
		}
		calls[i] = b.Stats().Syscalls
	}
	require.Less(t, calls[0], calls[1])
}

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

// TestSendsInBatches sends a batch with a message in its midst that is too
// large: it alone fails, the rest goes out in order and in few calls.
func TestSendsInBatches(t *testing.T) {
	var calls [2]uint64
	for i, refused := range []bool{false, true} {
		b := open(t)
		b.noBatch = refused
		var fds [2]int
		for i := range fds {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			defer unix.Close(fd)
			require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			fds[i] = fd
		}
		sa, err := unix.Getsockname(fds[1])
		require.NoError(t, err)
		port := sa.(*unix.SockaddrInet4).Port
		name := make([]byte, 16)
		*(*uint16)(unsafe.Pointer(&name[0])) = unix.AF_INET
		copy(name[2:], []byte{byte(port >> 8), byte(port), 127, 0, 0, 1})
		const n = 40
		var kept []*ring.Msghdr
		for k := range n {
			p := make([]byte, k+1)
			if k == 20 {
				p = make([]byte, 1<<16)
			}
			m := &ring.Msghdr{Name: &name[0], Namelen: 16, Iov: &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}, Iovlen: 1}
			kept = append(kept, m)
			b.entry(uint64(k), func(e *ring.SQE) { e.PrepSendmsg(fds[0], m, ring.MsgDontWait) })
		}
		before := b.Stats().Syscalls
		for k := range n {
			if k == 20 {
				b.fails(20, unix.EMSGSIZE)
				continue
			}
			b.expect(uint64(k), k+1)
		}
		calls[i] = b.Stats().Syscalls - before
		require.Len(t, kept, n)
		p := make([]byte, 64)
		for k := range n {
			if k == 20 {
				continue
			}
			got, err := unix.Read(fds[1], p)
			require.NoError(t, err)
			require.Equal(t, k+1, got)
		}
		require.Zero(t, b.InFlight())
	}
	require.Less(t, calls[0], calls[1]/3)
}

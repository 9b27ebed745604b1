package epollfallback

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func rawAddress(a unix.Sockaddr) []byte {
	in := a.(*unix.SockaddrInet4)
	raw := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(raw, unix.AF_INET)
	binary.BigEndian.PutUint16(raw[2:], uint16(in.Port))
	copy(raw[4:], in.Addr[:])
	return raw
}

// A connect leaves the socket as blocking as it was, as the kernel's does.
func TestConnectLeavesTheSocketBlocking(t *testing.T) {
	b := open(t)
	_, addr := listen(t)
	for _, to := range []struct {
		addr   []byte
		result unix.Errno
	}{{rawAddress(addr), 0}, {rawAddress(&unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}), unix.ECONNREFUSED}} {
		fd := tcpSocket(t)
		b.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, to.addr) })
		b.fails(1, to.result)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		require.NoError(t, err)
		require.Zero(t, flags&unix.O_NONBLOCK)
	}
}

// A Unix listener whose backlog is full answers EAGAIN and gives no event when
// it has room: the connect must find out.
func TestConnectToAFullUnixListener(t *testing.T) {
	b := open(t)
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeAtEnd(t, l)
	name := fmt.Sprintf("epollfallback-%d", time.Now().UnixNano())
	require.NoError(t, unix.Bind(l, &unix.SockaddrUnix{Name: "@" + name}))
	require.NoError(t, unix.Listen(l, 0))
	addr := append([]byte{0, 0, 0}, name...)
	binary.NativeEndian.PutUint16(addr, unix.AF_UNIX)

	const n = 5
	for i := range n {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		closeAtEnd(t, fd)
		b.entry(uint64(i), func(e *ring.SQE) { e.PrepConnect(fd, addr) })
	}
	clear(addr) // it was copied
	for done := len(b.turn()); done < n; {
		b.entry(100, func(e *ring.SQE) { e.PrepAccept(l, unix.SOCK_CLOEXEC) })
		for accepted := false; !accepted; {
			c := b.await()
			require.GreaterOrEqual(t, c.Result(), int32(0))
			if accepted = c.UserData() == 100; accepted {
				unix.Close(int(c.Result()))
			} else {
				done++
			}
		}
	}
}

// A canceled connect leaves nothing behind that would try again.
func TestCanceledConnectStaysCanceled(t *testing.T) {
	b := open(t)
	fd := tcpSocket(t)
	// Discard-only and test networks may be unreachable at once; then there is
	// nothing to cancel.
	b.entry(1, func(e *ring.SQE) {
		e.PrepConnect(fd, rawAddress(&unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}))
	})
	b.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
	seen := map[uint64]int{}
	for range 2 {
		c := b.await()
		seen[c.UserData()]++
	}
	require.Equal(t, map[uint64]int{1: 1, 2: 1}, seen)
	require.Nil(t, b.timers.First())
	b.quiet()
}

package proactor_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSyscallConn does what pools of clients do to find out that the server has
// hung up, before and after it has.
func TestSyscallConn(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		n := c.NetConn(t.Context())
		raw, err := n.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		look := func() (got int, failure error) {
			err := raw.Read(func(fd uintptr) bool {
				got, failure = syscall.Read(int(fd), make([]byte, 1))
				return true
			})
			require.NoError(t, err)
			return got, failure
		}
		_, err = look()
		require.Equal(t, syscall.EAGAIN, err)

		// The connection works as before.
		wrote(t, peer, "x")
		require.Equal(t, "x", readFull(t, n, 1))
		wrote(t, n, "y")
		require.Equal(t, "y", readFull(t, peer, 1))

		var noDelay int
		require.NoError(t, raw.Control(func(fd uintptr) {
			noDelay, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		}))
		require.NoError(t, err)
		require.NotZero(t, noDelay)

		require.NoError(t, peer.Close())
		require.NoError(t, raw.Read(func(fd uintptr) bool {
			got, err := syscall.Read(int(fd), make([]byte, 1))
			require.Zero(t, max(got, 0))
			return err != syscall.EAGAIN // waits for the end
		}))
		got, err := look()
		require.NoError(t, err)
		require.Zero(t, got)

		other, _ := accepted(t, rt)
		n = other.NetConn(t.Context())
		raw, err = n.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		waiting := make(chan error)
		go func() { waiting <- raw.Read(func(uintptr) bool { return false }) }()
		require.NoError(t, n.Close())
		require.ErrorIs(t, <-waiting, net.ErrClosed)
		require.ErrorIs(t, raw.Control(func(uintptr) {}), net.ErrClosed)
		_, err = n.(syscall.Conn).SyscallConn()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

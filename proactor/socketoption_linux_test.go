package proactor_test

import (
	"encoding/binary"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSocketOptions(t *testing.T) { onEach(t, showSocketOptions) }

func showSocketOptions(t *testing.T, rt *proactor.Runtime) {
	ctx := t.Context()
	on, value := binary.NativeEndian.AppendUint32(nil, 1), make([]byte, 4)
	c, _ := accepted(t, rt)
	_, err := c.SetSocketOption(unix.SOL_SOCKET, unix.SO_KEEPALIVE, on).Await(ctx)
	require.NoError(t, err)
	n, err := c.SocketOption(unix.SOL_SOCKET, unix.SO_KEEPALIVE, value).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, on, value)
	// Of this level no queue knows how to read an option.
	_, err = c.SetSocketOption(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, binary.NativeEndian.AppendUint32(nil, 7)).Await(ctx)
	require.NoError(t, err)
	n, err = c.SocketOption(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, value).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.EqualValues(t, 7, binary.NativeEndian.Uint32(value))

	_, err = c.SetSocketOption(unix.SOL_SOCKET, 9999, on).Await(ctx)
	require.ErrorIs(t, err, syscall.ENOPROTOOPT)
	require.ErrorContains(t, err, "setsockopt")
	_, err = c.SetSocketOption(unix.SOL_SOCKET, unix.SO_KEEPALIVE, on[:2]).Await(ctx)
	require.ErrorIs(t, err, syscall.EINVAL)
	closedDown(t, c)
	_, err = c.SocketOption(unix.SOL_SOCKET, unix.SO_KEEPALIVE, value).Await(ctx)
	require.ErrorIs(t, err, proactor.ErrClosed)

	r, w, err := rt.Pipe()
	require.NoError(t, err)
	_, err = r.SocketOption(unix.SOL_SOCKET, unix.SO_TYPE, value).Await(ctx)
	require.ErrorIs(t, err, syscall.ENOTSOCK)
	closedDown(t, r)
	closedDown(t, w)
}

// A connection that is closed while options are on their way ends them all.
func TestSocketOptionsWhileClosing(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			c, _ := accepted(t, rt)
			value := make([]byte, 4)
			f := c.SocketOption(unix.SOL_SOCKET, unix.SO_TYPE, value)
			c.Abort()
			if _, err := f.Await(t.Context()); err != nil {
				require.ErrorIs(t, err, proactor.ErrClosed)
			}
			closedDown(t, c)
		}
	})
}

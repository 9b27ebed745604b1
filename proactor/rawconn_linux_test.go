package proactor_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
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

// TestSyscallConnDeadline: deadlines end what waits through SyscallConn, and what begins
// when they have passed, as with package net. A later deadline lifts them.
func TestSyscallConnDeadline(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, open := range map[string]func(t *testing.T) (conn, peer net.Conn, ready func()){
			"stream": func(t *testing.T) (net.Conn, net.Conn, func()) {
				c, peer := accepted(t, rt)
				// The connection receives data itself.
				return c.NetConn(t.Context()), peer, func() { require.NoError(t, peer.CloseWrite()) }
			},
			"messages": func(t *testing.T) (net.Conn, net.Conn, func()) {
				pc, err := rt.ListenPacket("udp", "127.0.0.1:0")
				require.NoError(t, err)
				made := make(chan net.PacketConn, 1)
				pc.Loop().Do(func() { made <- pc.NetPacketConn(t.Context()) }) // so that it stays there
				peer, err := net.Dial("udp", pc.LocalAddr().String())
				require.NoError(t, err)
				return (<-made).(net.Conn), peer, func() { wrote(t, peer, "x") }
			},
		} {
			t.Run(name, func(t *testing.T) {
				conn, peer, ready := open(t)
				defer conn.Close()
				defer peer.Close()
				deadlinesOfSyscallConn(t, conn, ready)
			})
		}
	})
}

func deadlinesOfSyscallConn(t *testing.T, conn net.Conn, ready func()) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	ended, passed := make(chan error), time.Now().Add(-time.Second)
	tried := make(chan bool)
	read := func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), make([]byte, 1))
		tried <- true
		return err != syscall.EAGAIN
	}
	timedOut := func(err error) {
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
	}
	never := func(uintptr) bool { t.Error("called after the deadline"); return true }

	go func() { ended <- raw.Read(read) }()
	<-tried
	require.NoError(t, conn.SetReadDeadline(passed)) // while it waits
	timedOut(<-ended)
	timedOut(raw.Read(never))
	require.NoError(t, raw.Write(func(uintptr) bool { return true }))

	require.NoError(t, conn.SetWriteDeadline(passed))
	timedOut(raw.Write(never))
	require.NoError(t, conn.SetDeadline(time.Time{}))
	require.NoError(t, raw.Write(func(uintptr) bool { return true }))

	go func() { ended <- raw.Read(read) }()
	<-tried
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Hour)))
	ready()
	<-tried
	require.NoError(t, <-ended)
}

// A function of RawConn.Read may await what another brings about by the same connection.
func TestRawConnAwaits(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		entered, met := futures.NewPromise[struct{}](), futures.NewPromise[struct{}]()
		read := func(ctx context.Context, f func(uintptr) bool) error {
			raw, err := c.NetConn(ctx).(syscall.Conn).SyscallConn()
			if err != nil {
				return err
			}
			return raw.Read(f)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		first := c.Loop().Go(ctx, func(ctx context.Context) error {
			return read(ctx, func(uintptr) bool {
				entered.Resolve(struct{}{})
				_, err := met.Future().Await(ctx)
				return err == nil
			})
		})
		second := c.Loop().Go(ctx, func(ctx context.Context) error {
			if _, err := entered.Future().Await(ctx); err != nil {
				return err
			}
			return read(ctx, func(uintptr) bool { return met.Resolve(struct{}{}) })
		})
		for _, task := range []futures.Future[struct{}]{first, second} {
			require.NoError(t, errorOf(task.Await(ctx)))
		}
	})
}

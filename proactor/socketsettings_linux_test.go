package proactor_test

import (
	"errors"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// settable is what a *net.TCPConn and a Conn have in common.
type settable interface {
	SetNoDelay(bool) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	SetLinger(int) error
	SyscallConn() (syscall.RawConn, error)
}

// settings are what the kernel says of a socket.
type settings struct {
	noDelay, keepAlive, idle, interval, count int
	readBuffer, writeBuffer                   int
	linger                                    unix.Linger
}

func settingsOf(t *testing.T, c settable) (s settings) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			value       *int
			level, name int
		}{
			{&s.noDelay, unix.IPPROTO_TCP, unix.TCP_NODELAY}, {&s.keepAlive, unix.SOL_SOCKET, unix.SO_KEEPALIVE},
			{&s.idle, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {&s.interval, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
			{&s.count, unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			{&s.readBuffer, unix.SOL_SOCKET, unix.SO_RCVBUF}, {&s.writeBuffer, unix.SOL_SOCKET, unix.SO_SNDBUF},
		} {
			*o.value, err = unix.GetsockoptInt(int(fd), o.level, o.name)
			require.NoError(t, err)
		}
		l, err := getLinger(int(fd))
		require.NoError(t, err)
		s.linger = l
	})
	require.NoError(t, err)
	return s
}

func getLinger(fd int) (unix.Linger, error) {
	p, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_LINGER)
	if err != nil {
		return unix.Linger{}, err
	}
	b := append([]byte(p), make([]byte, 8)...)
	return unix.Linger{Onoff: int32(b[0]), Linger: int32(b[4])}, nil
}

// The settings do what those of package net do, from the same beginning.
func TestSocketSettings(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, set := range []struct {
			name string
			do   func(c settable) error
		}{
			{"nothing", func(settable) error { return nil }},
			{"delay", func(c settable) error { return c.SetNoDelay(false) }},
			{"no delay", func(c settable) error { return c.SetNoDelay(true) }},
			{"no keep-alive", func(c settable) error { return c.SetKeepAliveConfig(net.KeepAliveConfig{}) }},
			{"keep-alive", func(c settable) error { return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) }},
			{"keep-alive, all", func(c settable) error {
				return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: 3 * time.Second, Count: 4})
			}},
			{"keep-alive, rounded", func(c settable) error {
				return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 7*time.Second + 1, Interval: time.Nanosecond})
			}},
			{"keep-alive, the rest as it is", func(c settable) error {
				return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1})
			}},
			{"keep-alive, too much", func(c settable) error {
				return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 1000})
			}},
			{"read buffer", func(c settable) error { return c.SetReadBuffer(10_000) }},
			{"write buffer", func(c settable) error { return c.SetWriteBuffer(20_000) }},
			{"linger", func(c settable) error { return c.SetLinger(0) }},
			{"linger, seconds", func(c settable) error { return c.SetLinger(3) }},
			{"no linger", func(c settable) error { return errors.Join(c.SetLinger(3), c.SetLinger(-1)) }},
		} {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			dialed, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			std, err := ln.Accept()
			require.NoError(t, err)
			ours, peer := accepted(t, rt)

			wantErr, err := set.do(std.(*net.TCPConn)), set.do(ours)
			require.Equal(t, errnoOf(wantErr), errnoOf(err), set.name)
			if err != nil {
				var want, got *net.OpError
				require.ErrorAs(t, wantErr, &want)
				require.ErrorAs(t, err, &got)
				require.Equal(t, want.Op, got.Op)
				require.Equal(t, want.Err.Error(), got.Err.Error())
			}
			require.Equal(t, settingsOf(t, std.(*net.TCPConn)), settingsOf(t, ours), set.name)

			require.NoError(t, ours.SetLinger(0))
			closedDown(t, ours)
			std.Close()
			require.ErrorIs(t, ours.SetNoDelay(true), net.ErrClosed)
			if set.name != "nothing" {
				require.ErrorIs(t, set.do(std.(*net.TCPConn)), net.ErrClosed, set.name)
				require.ErrorIs(t, set.do(ours), net.ErrClosed, set.name)
			}
			raw, err := ours.SyscallConn()
			require.NoError(t, err)
			require.ErrorIs(t, raw.Control(func(uintptr) { t.Error("called") }), net.ErrClosed)
			peer.Close()
			dialed.Close()
			ln.Close()
		}
	})
}

// netSettable is what a *net.TCPConn and a NetConn have in common.
type netSettable interface {
	net.Conn
	settable
	SetKeepAlive(bool) error
	SetKeepAlivePeriod(time.Duration) error
}

// The settings of a NetConn do what those of package net do, and say what they say.
func TestNetConnSettings(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, set := range []struct {
			name string
			do   func(c netSettable) error
		}{
			{"delay", func(c netSettable) error { return c.SetNoDelay(false) }},
			{"no keep-alive", func(c netSettable) error { return c.SetKeepAlive(false) }},
			{"keep-alive", func(c netSettable) error { return errors.Join(c.SetKeepAlive(false), c.SetKeepAlive(true)) }},
			{"period", func(c netSettable) error { return c.SetKeepAlivePeriod(6*time.Second + 1) }},
			{"period, default", func(c netSettable) error { return c.SetKeepAlivePeriod(0) }},
			{"period, as it is", func(c netSettable) error { return c.SetKeepAlivePeriod(-1) }},
			{"keep-alive, too much", func(c netSettable) error {
				return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 1000})
			}},
			{"read buffer", func(c netSettable) error { return c.SetReadBuffer(10_000) }},
			{"write buffer", func(c netSettable) error { return c.SetWriteBuffer(20_000) }},
			{"linger", func(c netSettable) error { return c.SetLinger(3) }},
		} {
			theirs, stop := dialedBy(t, "tcp", net.Dial)
			ours, stopOurs := dialedBy(t, "tcp", func(network, address string) (net.Conn, error) { return dialOurs(t, rt, network, address) })
			std, n := theirs.(netSettable), ours.(netSettable)
			require.Equal(t, said(0, set.do(std)), said(0, set.do(n)), set.name)
			require.Equal(t, settingsOf(t, std), settingsOf(t, n), set.name)
			require.NoError(t, n.Close())
			require.NoError(t, std.Close())
			if set.name != "period, as it is" {
				require.Equal(t, said(0, set.do(std)), said(0, set.do(n)), set.name)
			}
			stop()
			stopOurs()
		}
	})
}

func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	errors.As(err, &e)
	return e
}

// What has no such setting says so.
func TestSocketSettingsElsewhere(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		require.NoError(t, err)
		defer ln.Close()
		f := ln.Accept()
		peer, err := net.Dial("unix", ln.Addr().String())
		require.NoError(t, err)
		c, err := f.Await(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, c.SetNoDelay(true), syscall.EOPNOTSUPP)
		require.NoError(t, c.SetReadBuffer(10_000))
		raw, err := c.SyscallConn()
		require.NoError(t, err)
		var calls int
		require.NoError(t, raw.Write(func(uintptr) bool { calls++; return true }))
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, raw.Read(func(fd uintptr) bool {
			calls++
			n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
			return n == 1 && err == nil
		}))
		require.GreaterOrEqual(t, calls, 2)
		require.NoError(t, raw.Control(func(fd uintptr) {
			require.NoError(t, c.Close(), "which does not wait")
			require.NotEmpty(t, c.LocalAddr().String())
			_, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
			require.NoError(t, err)
		}))
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		peer.Close()

		r, w, err := rt.Pipe()
		require.NoError(t, err)
		require.ErrorIs(t, r.SetReadBuffer(1), syscall.ENOTSOCK)
		closedDown(t, r)
		closedDown(t, w)
	})
}

// A NetConn has the settings of a *net.TCPConn, and they do the same.
func TestSettingsOfANetConn(t *testing.T) {
	type setter interface {
		net.Conn
		settable
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		theirs, ours := setter(peer), c.NetConn(t.Context()).(setter)
		for _, set := range []func(s setter) error{
			func(s setter) error { return s.SetNoDelay(false) },
			func(s setter) error { return s.SetKeepAlivePeriod(77 * time.Second) },
			func(s setter) error { return s.SetKeepAlivePeriod(-1) },
			func(s setter) error { return s.SetKeepAlive(false) },
			func(s setter) error { return s.SetKeepAlivePeriod(0) },
			func(s setter) error { return s.SetKeepAlive(true) },
			func(s setter) error { return s.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 3}) },
			func(s setter) error { return errors.Join(s.SetReadBuffer(10_000), s.SetWriteBuffer(20_000)) },
			func(s setter) error { return s.SetLinger(3) },
			func(s setter) error { return s.SetLinger(-1) },
		} {
			require.NoError(t, set(theirs))
			require.NoError(t, set(ours))
			require.Equal(t, settingsOf(t, theirs), settingsOf(t, ours))
		}
		require.NoError(t, ours.Close())
		closedDown(t, c)
		require.ErrorIs(t, ours.SetKeepAlivePeriod(time.Second), net.ErrClosed)
	})
}

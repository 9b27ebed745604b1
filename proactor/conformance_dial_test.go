package proactor_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// names is a resolver that knows one name.
type names []netip.Addr

func (n names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return n, nil }

// silence is a resolver that answers when it is told to stop.
type silence chan struct{}

func (s silence) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	close(s)
	<-ctx.Done()
	return nil, ctx.Err()
}

func itoa(n int) string { return strconv.Itoa(n) }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// echoAt echoes on an address until the test ends.
func echoAt(t *testing.T, network, address string) net.Addr {
	t.Helper()
	ln, err := net.Listen(network, address)
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				p := make([]byte, 1024)
				for {
					n, err := c.Read(p)
					if err != nil {
						return
					}
					c.Write(p[:n])
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	return ln.Addr()
}

// echoes shows that c is connected to one that echoes, and closes it.
func echoes(t *testing.T, c *proactor.Conn) {
	t.Helper()
	_, err := c.SendBytes([]byte("hello")).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hello", receivedAll(t, t.Context(), c, 5))
	closedDown(t, c)
}

// deaf is a listener that answers no further connection: its queue is full.
func deaf(t *testing.T, address string) *net.TCPAddr {
	t.Helper()
	a := netip.MustParseAddr(address).As4()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: a}))
	require.NoError(t, syscall.Listen(fd, 0))
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	addr := &net.TCPAddr{IP: a[:], Port: sa.(*syscall.SockaddrInet4).Port}
	fills, err := net.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { fills.Close() })
	return addr
}

// bindable reports whether a listener can have the address, or no listener on any port.
func bindable(address string) bool {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		ln.Close()
	}
	return !errors.Is(err, syscall.EADDRINUSE)
}

// refusing is an address where nobody listens, nor at the same port of the others.
func refusing(t *testing.T, others ...string) *net.TCPAddr {
	t.Helper()
	return withPort(t, others, func() *net.TCPAddr {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Close(fd) }) // bound all the while: nobody else gets the port
		require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		sa, err := syscall.Getsockname(fd)
		require.NoError(t, err)
		return &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: sa.(*syscall.SockaddrInet4).Port}
	})
}

// withPort binds until it has an address whose port is nobody's at the other hosts.
// There it refuses connections: without that, another process may listen.
func withPort(t *testing.T, others []string, bind func() *net.TCPAddr) *net.TCPAddr {
	t.Helper()
	for {
		addr, refused := bind(), 0
		for _, host := range others {
			if refuses(t, netip.AddrPortFrom(ip(host), uint16(addr.Port))) {
				refused++
			}
		}
		if refused == len(others) {
			return addr
		}
	}
}

// refuses binds a socket to the address, which listens not, unless it is taken.
// That a system has no such address is as good.
func refuses(t *testing.T, addr netip.AddrPort) bool {
	t.Helper()
	family, sa := syscall.AF_INET, syscall.Sockaddr(&syscall.SockaddrInet4{Addr: [4]byte(addr.Addr().AsSlice()[:4]), Port: int(addr.Port())})
	if addr.Addr().Is6() {
		family, sa = syscall.AF_INET6, &syscall.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err != nil {
		return family == syscall.AF_INET6
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = syscall.Bind(fd, sa)
	return err == nil || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// dialError is what every error of Dial is.
func dialError(t *testing.T, err error) *net.OpError {
	t.Helper()
	require.Error(t, err)
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, "dial", op.Op)
	return op
}

func dialTimedOut(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var ne net.Error
	require.ErrorAs(t, err, &ne)
	require.True(t, ne.Timeout())
}

var dialing = []behaviour{
	{name: "every network", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, at := range [][3]string{
			{"tcp", "127.0.0.1:0"}, {"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"},
			{"unix", filepath.Join(t.TempDir(), "socket")}, {"unix", abstractName("dial-" + rt.Backend().Backend.String())},
		} {
			addr := echoAt(t, at[0], at[1])
			c, err := rt.Dial(t.Context(), at[0], addr.String()).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, addr.String(), c.RemoteAddr().String())
			echoes(t, c)
		}
	}},
	{name: "no host is this machine", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := echoAt(t, "tcp4", "127.0.0.1:0").(*net.TCPAddr)
		for _, host := range []string{"", "0.0.0.0", "localhost"} {
			c, err := rt.Dial(t.Context(), "tcp4", net.JoinHostPort(host, itoa(addr.Port))).Await(t.Context())
			require.NoError(t, err)
			echoes(t, c)
		}
	}},
	{name: "a task's connection is on the task's loop", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := echoAt(t, "tcp", "127.0.0.1:0")
		for _, l := range rt.Loops() {
			_, err := l.Go(t.Context(), func(ctx context.Context) error {
				c, err := rt.Dial(ctx, "tcp", addr.String()).Await(ctx)
				if err != nil {
					return err
				}
				require.Same(t, l, c.Loop())
				_, err = c.SendBytes([]byte("x")).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "x", received(t, ctx, c))
				return c.Close()
			}).Await(t.Context())
			require.NoError(t, err)
		}
	}},
	{name: "refused", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := refusing(t)
		_, err := rt.Dial(t.Context(), "tcp", addr.String()).Await(t.Context())
		op := dialError(t, err)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.Equal(t, addr.String(), op.Addr.String())
		_, std := net.Dial("tcp", addr.String())
		require.Equal(t, std.Error(), err.Error())
		_, err = rt.Dial(t.Context(), "unix", filepath.Join(t.TempDir(), "none")).Await(t.Context())
		dialError(t, err)
		require.ErrorIs(t, err, syscall.ENOENT)
	}},
	{name: "unreachable", show: func(t *testing.T, rt *proactor.Runtime) {
		_, err := rt.Dial(t.Context(), "tcp", "224.0.0.1:80").Await(t.Context()) // TCP reaches no group
		dialError(t, err)
		require.ErrorIs(t, err, syscall.ENETUNREACH)
	}},
	{name: "bad addresses", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, bad := range [][2]string{{"carrier-pigeon", "127.0.0.1:1"}, {"tcp", "127.0.0.1"}, {"tcp4", "[::1]:1"},
			{"tcp6", "127.0.0.1:1"}, {"tcp", "127.0.0.1:70000"}, {"tcp", "127.0.0.1:no-such-service"}, {"unix", string(make([]byte, 200))}} {
			_, err := rt.Dial(t.Context(), bad[0], bad[1]).Await(t.Context())
			dialError(t, err)
		}
		_, err := rt.Dial(t.Context(), "carrier-pigeon", "").Await(t.Context())
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
		d := proactor.Dialer{LocalAddr: &net.UnixAddr{Name: "x"}}
		_, err = d.Dial(t.Context(), rt, "tcp", "127.0.0.1:1").Await(t.Context())
		require.ErrorContains(t, dialError(t, err), "*net.TCPAddr")
	}},
	{name: "a name that is not found", show: func(t *testing.T, rt *proactor.Runtime) {
		d := proactor.Dialer{Resolver: notFound{}}
		_, err := d.Dial(t.Context(), rt, "tcp", "nowhere.invalid:80").Await(t.Context())
		dialError(t, err)
		var dns *net.DNSError
		require.ErrorAs(t, err, &dns)
		require.True(t, dns.IsNotFound)
	}},
	{name: "the local address", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := echoAt(t, "tcp", "127.0.0.1:0")
		d := proactor.Dialer{LocalAddr: &net.TCPAddr{IP: net.IP{127, 0, 0, 7}}}
		c, err := d.Dial(t.Context(), rt, "tcp", addr.String()).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "127.0.0.7", c.LocalAddr().(*net.TCPAddr).IP.String())
		echoes(t, c)
		d.LocalAddr = &net.TCPAddr{IP: net.IP{192, 0, 2, 1}}
		_, err = d.Dial(t.Context(), rt, "tcp", addr.String()).Await(t.Context())
		dialError(t, err)
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	}},
	{name: "of several addresses the next is tried when one fails", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := withPort(t, []string{"127.0.0.1", "::1", "127.0.0.2"}, func() *net.TCPAddr { return echoAt(t, "tcp", "127.0.0.3:0").(*net.TCPAddr) })
		d := proactor.Dialer{FallbackDelay: time.Hour, Resolver: names{ip("127.0.0.1"), ip("::1"), ip("127.0.0.2"), ip("127.0.0.3")}}
		c, err := d.Dial(t.Context(), rt, "tcp", net.JoinHostPort("name", itoa(addr.Port))).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, addr.String(), c.RemoteAddr().String())
		echoes(t, c)
	}},
	{name: "of several failures the first counts", show: func(t *testing.T, rt *proactor.Runtime) {
		port := refusing(t, "127.0.0.2", "::1").Port
		d := proactor.Dialer{Resolver: names{ip("127.0.0.1"), ip("127.0.0.2"), ip("::1")}}
		_, err := d.Dial(t.Context(), rt, "tcp", net.JoinHostPort("name", itoa(port))).Await(t.Context())
		require.Equal(t, "127.0.0.1", dialError(t, err).Addr.(*net.TCPAddr).IP.String())
	}},
	{name: "an address that does not answer is overtaken by the next", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		for !bindable(net.JoinHostPort("::1", itoa(hangs.Port))) { // others listen there
			hangs = deaf(t, "127.0.0.1")
		}
		echoAt(t, "tcp", net.JoinHostPort("::1", itoa(hangs.Port)))
		d := proactor.Dialer{FallbackDelay: time.Millisecond, Resolver: names{ip("127.0.0.1"), ip("::1")}}
		c, err := d.Dial(t.Context(), rt, "tcp", net.JoinHostPort("name", itoa(hangs.Port))).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "::1", c.RemoteAddr().(*net.TCPAddr).IP.String())
		echoes(t, c)
	}},
	{name: "the timeout", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		fds := openDescriptors(t)
		d := proactor.Dialer{Timeout: 5 * time.Millisecond, FallbackDelay: time.Millisecond, Resolver: names{ip("127.0.0.1"), ip("127.0.0.1"), ip("127.0.0.1")}}
		for _, host := range []string{"127.0.0.1", "name"} {
			_, err := d.Dial(t.Context(), rt, "tcp", net.JoinHostPort(host, itoa(hangs.Port))).Await(t.Context())
			dialError(t, err)
			dialTimedOut(t, err)
			require.LessOrEqual(t, openDescriptors(t), fds, "the sockets are closed when the future fails")
		}
		d.Resolver = make(silence)
		_, err := d.Dial(t.Context(), rt, "tcp", "name:80").Await(t.Context())
		dialTimedOut(t, err)
	}},
	{name: "the context's deadline", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := rt.Dial(ctx, "tcp", hangs.String()).Await(t.Context())
		dialError(t, err)
		dialTimedOut(t, err)
		_, err = rt.Dial(ctx, "tcp", hangs.String()).Await(t.Context())
		dialError(t, err)
		dialTimedOut(t, err)
	}},
	{name: "futures.WithTimeout", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		fds := openDescriptors(t)
		_, err := futures.WithTimeout(rt.Dial(t.Context(), "tcp", hangs.String()), 5*time.Millisecond).Await(t.Context())
		dialTimedOut(t, err)
		require.LessOrEqual(t, openDescriptors(t), fds)
	}},
	{name: "a cancel while it connects", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		fds, idle := openDescriptors(t), rt.Stats().Total().InFlight
		f := rt.Dial(t.Context(), "tcp", hangs.String())
		eventually(t, func() bool { return rt.Stats().Total().InFlight > idle }, func() string { return "no connect" })
		f.Cancel()
		_, err := f.Await(t.Context())
		require.Equal(t, hangs.String(), dialError(t, err).Addr.String())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.ErrorIs(t, err, context.Canceled)
		require.LessOrEqual(t, openDescriptors(t), fds)

		ctx, cancel := context.WithCancelCause(t.Context())
		f = rt.Dial(ctx, "tcp", hangs.String())
		why := errors.New("changed my mind")
		cancel(why)
		_, err = f.Await(t.Context())
		dialError(t, err)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, why)
	}},
	{name: "a cancel while it looks up", show: func(t *testing.T, rt *proactor.Runtime) {
		s := make(silence)
		f := (&proactor.Dialer{Resolver: s}).Dial(t.Context(), rt, "tcp", "name:80")
		<-s
		f.Cancel()
		_, err := f.Await(t.Context())
		dialError(t, err)
		require.ErrorIs(t, err, futures.ErrCanceled)

		s = make(silence)
		ctx, cancel := context.WithCancel(t.Context())
		f = (&proactor.Dialer{Resolver: s}).Dial(ctx, rt, "tcp", "name:80")
		<-s
		cancel()
		_, err = f.Await(t.Context())
		require.ErrorIs(t, err, context.Canceled)
	}},
	{name: "a connect to a unix listener whose queue is full can be canceled", show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "socket")
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		require.NoError(t, err)
		defer syscall.Close(fd)
		require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
		require.NoError(t, syscall.Listen(fd, 0))
		first, err := rt.Dial(t.Context(), "unix", path).Await(t.Context())
		require.NoError(t, err)
		d := proactor.Dialer{Timeout: 5 * time.Millisecond}
		_, err = d.Dial(t.Context(), rt, "unix", path).Await(t.Context())
		dialTimedOut(t, err)
		waits := rt.Dial(t.Context(), "unix", path)
		taken, _, err := syscall.Accept(fd)
		require.NoError(t, err)
		defer syscall.Close(taken)
		c, err := waits.Await(t.Context())
		require.NoError(t, err)
		closedDown(t, c)
		closedDown(t, first)
	}},
	{name: "cancels that race with the connect leak nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := echoAt(t, "tcp", "127.0.0.1:0")
		fds := openDescriptors(t)
		d := proactor.Dialer{FallbackDelay: time.Microsecond, Resolver: names{ip("127.0.0.1"), ip("127.0.0.2"), ip("127.0.0.1"), ip("::1")}}
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				for i := range 200 {
					ctx, cancel := context.WithCancel(t.Context())
					host := "127.0.0.1"
					if g%2 == 1 {
						host = "name"
					}
					f := d.Dial(ctx, rt, "tcp", net.JoinHostPort(host, itoa(addr.(*net.TCPAddr).Port)))
					for range i % 50 {
						ctx.Err() // a little later each time
					}
					if i%2 == 0 {
						f.Cancel()
					} else {
						cancel()
					}
					c, err := f.Await(context.Background())
					cancel()
					if err == nil {
						c.Abort()
						c.Closed().Await(context.Background())
					} else if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		eventually(t, func() bool { return openDescriptors(t) <= fds }, func() string { return "sockets left over" })
	}},
	{name: "Close ends it, and no other begins", show: func(t *testing.T, rt *proactor.Runtime) {
		hangs := deaf(t, "127.0.0.1")
		s := make(silence)
		looks := (&proactor.Dialer{Resolver: s}).Dial(t.Context(), rt, "tcp", "name:80")
		connects := rt.Dial(t.Context(), "tcp", hangs.String())
		<-s
		require.NoError(t, rt.Close())
		for _, f := range []futures.Future[*proactor.Conn]{looks, connects, rt.Dial(t.Context(), "tcp", hangs.String())} {
			_, err := f.Await(t.Context())
			dialError(t, err)
		}
		_, err := connects.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "Shutdown does not wait for it", show: func(t *testing.T, rt *proactor.Runtime) {
		connects := rt.Dial(t.Context(), "tcp", deaf(t, "127.0.0.1").String())
		require.NoError(t, rt.Shutdown(t.Context()))
		_, err := connects.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

// notFound knows no name.
type notFound struct{}

func (notFound) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

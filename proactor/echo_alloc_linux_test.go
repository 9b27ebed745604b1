package proactor_test

import (
	"context"
	"math"
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestEchoAllocatesNothing counts allocations of the whole process over many
// round trips between two connections of one runtime's loop.
func TestEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c := rawDial(t, serveEcho(t, rt, style))
				msg := make([]byte, 64)
				requireNoAllocs(t, func() { c.roundTrip(t, msg) })
			})
		})
	}
}

// With many connections much is ready in one turn.
func TestEchoOfManyAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	for _, style := range styles {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serveEcho(t, rt, style)
				var conns [64]rawConn
				for i := range conns {
					conns[i] = rawDial(t, addr)
				}
				msg := make([]byte, 64)
				round := func() {
					for _, c := range conns {
						c.write(t, msg)
					}
					for _, c := range conns {
						c.read(t, msg)
					}
				}
				requireNoAllocs(t, round)
			})
		})
	}
}

// requireNoAllocs counts the allocations of the whole process over many rounds.
func requireNoAllocs(t *testing.T, round func()) {
	t.Helper()
	for range 100 {
		round()
	}
	const n = 300
	least, _ := leastAllocs(n/20, func() error {
		for range n {
			round()
		}
		return nil
	})
	require.LessOrEqual(t, least, uint64(n/20))
}

// leastAllocs is how many allocations of the whole process rounds takes, in the least of five
// counts, unless one is small enough before: the runtime itself allocates now and then, a
// thread say on a busy machine, but not each time.
func leastAllocs(enough uint64, rounds func() error) (uint64, error) {
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := rounds(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		if least = min(least, after.Mallocs-before.Mallocs); least <= enough {
			break
		}
	}
	return least, nil
}

// rawConn is a client that allocates nothing: blocking system calls.
type rawConn int

func rawDial(t testing.TB, addr net.Addr) rawConn {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	a := &syscall.SockaddrInet4{Port: addr.(*net.TCPAddr).Port}
	copy(a.Addr[:], addr.(*net.TCPAddr).IP.To4())
	require.NoError(t, syscall.Connect(fd, a))
	require.NoError(t, syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
	return rawConn(fd)
}

func (c rawConn) roundTrip(t testing.TB, p []byte) {
	c.write(t, p)
	c.read(t, p)
}

// write writes all of p. A signal, such as those of the Go scheduler, cuts a write that
// waits for room.
func (c rawConn) write(t testing.TB, p []byte) {
	for len(p) > 0 {
		n, err := syscall.Write(int(c), p)
		if err != nil && err != syscall.EINTR {
			t.Error(n, err)
			return
		}
		p = p[max(n, 0):]
	}
}

func (c rawConn) read(t testing.TB, p []byte) {
	for got := 0; got < len(p); {
		n, err := syscall.Read(int(c), p[got:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Error(n, err)
			return
		}
		got += n
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, backend := range backends {
		for _, style := range styles {
			b.Run(backend.String()+"/"+style, func(b *testing.B) {
				rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
				require.NoError(b, err)
				defer rt.Close()
				c := rawDial(b, benchEcho(b, rt, style))
				msg := make([]byte, 64)
				b.ReportAllocs()
				for b.Loop() {
					c.roundTrip(b, msg)
				}
			})
		}
	}
}

func benchEcho(b *testing.B, rt *proactor.Runtime, style string) net.Addr {
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	if style == "callback" {
		require.NoError(b, ln.OnConn(func(c *proactor.Conn) {
			c.OnRecv(func(buf proactor.Buffer, err error) {
				if err != nil {
					c.Close()
					return
				}
				c.Queue(buf)
			})
		}))
		return ln.Addr()
	}
	go ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
		for {
			buf, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if style == "queue" {
				_, err = c.Queue(buf).Await(ctx)
			} else {
				_, err = c.Send(buf).Await(ctx)
			}
			if err != nil {
				return err
			}
		}
	})
	return ln.Addr()
}

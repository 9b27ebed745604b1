package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// deafClient is a client that never reads, with little room for what is sent to it.
func deafClient(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			err = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096),
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
		})
		return err
	}}
	c, err := d.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// pushed writes p without waiting, and says how much of it went out.
func pushed(c *net.TCPConn, p []byte) (n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), p)
		return true
	})
	return max(n, 0)
}

// fillsTheWayBack writes until the server has stopped reading for want of a reader.
func fillsTheWayBack(t *testing.T, rt *proactor.Runtime, c *net.TCPConn, chunk int) {
	t.Helper()
	p := make([]byte, chunk)
	for quiet, total := 0, 0; quiet < 50 && total < 64<<20; {
		n := pushed(c, p)
		total += n
		rt.Stats() // the loop has turned
		if n == 0 {
			quiet++
		} else {
			quiet = 0
		}
	}
}

const poolSize = 256

// served are servers that an attack must not stop for others.
var served = []string{"await", "queue", "callback"}

// While clients attack, another one is served, and little is held.
func TestAttackCostsOnlyItsOwnConnection(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, rt *proactor.Runtime, addr net.Addr, good *net.TCPConn) []*net.TCPConn{
		"never read": func(t *testing.T, rt *proactor.Runtime, addr net.Addr, _ *net.TCPConn) (bad []*net.TCPConn) {
			for range 16 {
				bad = append(bad, deafClient(t, addr))
			}
			for _, c := range bad {
				fillsTheWayBack(t, rt, c, 64<<10)
			}
			return bad
		},
		"small messages behind a full way back": func(t *testing.T, rt *proactor.Runtime, addr net.Addr, good *net.TCPConn) []*net.TCPConn {
			c := deafClient(t, addr)
			fillsTheWayBack(t, rt, c, 16<<10)
			for i := range 4096 {
				pushed(c, []byte("1"))
				if i%64 == 0 {
					require.NoError(t, roundTrip(good, 10, 'g'))
				}
			}
			return []*net.TCPConn{c}
		},
		"slow readers": func(t *testing.T, rt *proactor.Runtime, addr net.Addr, good *net.TCPConn) (bad []*net.TCPConn) {
			for range 16 {
				c := deafClient(t, addr)
				for sent := 0; sent < 1<<20; {
					n := pushed(c, make([]byte, 60<<10))
					if n == 0 {
						break
					}
					sent += n
				}
				bad = append(bad, c)
			}
			for range 100 {
				for _, c := range bad {
					pushed(c, make([]byte, 60))
				}
				require.NoError(t, roundTrip(good, 10, 'g'))
			}
			return bad
		},
	} {
		for _, style := range served {
			t.Run(name+"/"+style, func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					addr := serveEcho(t, rt, style)
					good := dial(t, addr)
					require.NoError(t, roundTrip(good, 10, 'g'))
					bad := attack(t, rt, addr, good)
					for range 3 {
						bounded(t, "the echo of another client", func() {
							if err := roundTrip(good, 100, 'g'); err != nil {
								t.Error(err)
							}
							late, err := net.Dial("tcp", addr.String())
							if err == nil {
								err = roundTrip(late, 100, 'l')
								late.Close()
							}
							if err != nil {
								t.Error(err)
							}
						})
					}
					s := rt.Stats().Total()
					require.LessOrEqual(t, s.BuffersOut, poolSize/2)
					require.LessOrEqual(t, s.Held, int64(len(bad)+1)*(2<<20))
					for _, c := range bad {
						c.SetLinger(0)
						c.Close()
					}
					nothingHeld(t, rt)
					require.NoError(t, roundTrip(good, 100, 'g'))
				}, proactor.WithLoops(1), proactor.WithBuffers(32<<10, poolSize))
			})
		}
	}
}

// Handlers that do not give their leases back lose nothing.
func TestHandlersThatForgetLeases(t *testing.T) {
	for name, end := range map[string]func(){
		"return": func() {}, "panic": func() { panic("of the handler's own") }, "goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
					if _, err := c.Recv().Await(ctx); err != nil {
						return err
					}
					end()
					return nil
				})
				for range 5000 {
					c := rawDialOnce(t, addr)
					c.write(t, []byte("x"))
					syscall.Read(int(c), make([]byte, 1)) // until the server has closed it
					syscall.Close(int(c))
				}
				nothingHeld(t, rt)
				require.Zero(t, rt.Stats().Total().NoBuffers)
			}, proactor.WithLoops(1), proactor.WithBuffers(4096, 64))
		})
	}
}

// rawDialOnce is rawDial of a connection that the caller closes.
func rawDialOnce(t *testing.T, addr net.Addr) rawConn {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	a := &syscall.SockaddrInet4{Port: addr.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	require.NoError(t, syscall.Connect(fd, a))
	require.NoError(t, syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	return rawConn(fd)
}

// logged keeps what is logged.
type logged struct {
	mu      sync.Mutex
	records []slog.Record
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logged) WithGroup(string) slog.Handler            { return l }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	return nil
}

// about are the records with that text, with the value of an attribute.
func (l *logged) about(text, key string) (values []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.Message != text {
			continue
		}
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == key {
				values = append(values, a.Value.String())
			}
			return true
		})
	}
	return values
}

const overBudgetNotice = "connection closed over the memory budget"

// A program that keeps what a peer sends loses that connection, and no other.
func TestOverBudget(t *testing.T) {
	for _, size := range []int{1, 1000, 256 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			log := &logged{}
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				log.mu.Lock()
				log.records = nil
				log.mu.Unlock()
				var mu sync.Mutex
				var stored []proactor.Buffer
				var ended atomic.Pointer[error]
				ln := listen(t, rt)
				defer ln.Close()
				require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
					keeps := false
					c.OnRecv(func(b proactor.Buffer, err error) {
						switch {
						case err != nil:
							if keeps {
								ended.CompareAndSwap(nil, &err)
							}
							c.Close()
						case keeps || b.Bytes()[0] == 'k':
							keeps = true
							mu.Lock()
							stored = append(stored, b)
							mu.Unlock()
						default:
							c.Queue(b)
						}
					})
				}))
				good := dial(t, ln.Addr())
				require.NoError(t, roundTrip(good, 10, 'g'))
				bad := dial(t, ln.Addr())
				message := bytes.Repeat([]byte("k"), size)
				var err error
				for i := 0; err == nil && ended.Load() == nil && i < 1<<17; i++ {
					_, err = bad.Write(message)
					rt.Stats()
				}
				eventually(t, func() bool { return ended.Load() != nil }, func() string { return fmt.Sprintf("never ended: %+v", rt.Stats().Total()) })
				var op *net.OpError
				require.ErrorIs(t, *ended.Load(), proactor.ErrOverBudget)
				require.ErrorAs(t, *ended.Load(), &op)
				require.Equal(t, bad.LocalAddr().String(), op.Addr.String())
				require.Equal(t, bad.RemoteAddr().String(), op.Source.String())
				require.NoError(t, roundTrip(good, 1000, 'g'), "others are not concerned")
				require.Equal(t, uint64(1), rt.Stats().Total().OverBudget)
				require.Equal(t, []string{bad.LocalAddr().String()}, log.about(overBudgetNotice, "peer"))
				for _, b := range stored {
					b.Release()
				}
				nothingHeld(t, rt)
			}, proactor.WithLoops(1), proactor.WithMemoryBudget(4<<20), proactor.WithBuffers(16<<10, 64), proactor.WithLogger(slog.New(log)))
		})
	}
}

// Many that are closed at once are one line a second.
func TestOverBudgetIsLoggedRarely(t *testing.T) {
	log := &logged{}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.mu.Lock()
		log.records = nil
		log.mu.Unlock()
		var stored []proactor.Buffer
		begun := time.Now()
		const many = 20
		for range many {
			c, peer := pairOn(t, rt.Loops()[0], rt, "unix")
			ended := make(chan error, 10)
			c.OnRecv(func(b proactor.Buffer, err error) {
				if err != nil {
					ended <- err
					return
				}
				stored = append(stored, b)
			})
			bounded(t, "a connection over its budget", func() {
				for {
					select {
					case err := <-ended:
						if !errors.Is(err, proactor.ErrOverBudget) {
							t.Error(err)
						}
						return
					default:
						peer.SendBytes(make([]byte, 64<<10)).Await(context.Background())
					}
				}
			})
			require.True(t, c.Loop().Do(func() {
				for _, b := range stored {
					b.Release()
				}
				stored = nil
			}))
		}
		lines := len(log.about(overBudgetNotice, "peer"))
		require.Equal(t, uint64(many), rt.Stats().Total().OverBudget)
		require.LessOrEqual(t, lines, 1+int(time.Since(begun)/time.Second))
		require.Positive(t, lines)
		nothingHeld(t, rt)
	}, proactor.WithLoops(1), proactor.WithMemoryBudget(1<<20), proactor.WithBuffers(16<<10, 64), proactor.WithLogger(slog.New(log)))
}

func TestOverBudgetOfMessages(t *testing.T) {
	log := &logged{}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.mu.Lock()
		log.records = nil
		log.mu.Unlock()
		l := rt.Loops()[0]
		c, peer, to := packetPairOn(t, l, rt)
		good, _, goodTo := packetPairOn(t, l, rt)
		var stored []proactor.Message
		ended := make(chan error, 10)
		peer.OnMessage(func(m proactor.Message, err error) {
			if err != nil {
				ended <- err
				return
			}
			stored = append(stored, m)
		})
		var err error
		bounded(t, "a PacketConn over its budget", func() {
			for {
				select {
				case err = <-ended:
					return
				default:
					c.SendTo(make([]byte, 8000), to).Await(context.Background())
				}
			}
		})
		require.ErrorIs(t, err, proactor.ErrOverBudget)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, to.String(), op.Source.String())
		require.Equal(t, uint64(1), rt.Stats().Total().OverBudget)
		require.NotEmpty(t, log.about(overBudgetNotice, "local"))
		_, err = good.SendTo([]byte("x"), netip.AddrPort(goodTo)).Await(t.Context())
		require.NoError(t, err)
		require.True(t, l.Do(func() {
			for _, m := range stored {
				m.Release()
			}
			stored = nil
		}))
		nothingHeld(t, rt)
	}, proactor.WithLoops(1), proactor.WithMemoryBudget(4<<20), proactor.WithBuffers(16<<10, 64), proactor.WithLogger(slog.New(log)))
}

// Forwarding there and back between many connections with few buffers goes on.
func TestForwardWithFewBuffers(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const pairs, size = 16, 256 << 10
		var all sync.WaitGroup
		for range pairs {
			in, left := pairOn(t, rt.Loops()[0], rt, "unix")
			right, out := pairOn(t, rt.Loops()[1], rt, "unix")
			up, down := left.Forward(right), right.Forward(left)
			for _, end := range []*proactor.Conn{in, out} {
				all.Go(func() {
					ctx := context.Background()
					end.SendBytes(make([]byte, size))
					end.CloseWrite()
					n := 0
					for b, err := range end.Bufs(ctx) {
						if err != nil {
							t.Error(err)
							return
						}
						n += b.Len()
						b.Release()
					}
					if n != size {
						t.Errorf("%d bytes came through", n)
					}
				})
			}
			for _, f := range []futures.Future[int64]{up, down} {
				all.Go(func() {
					if n, err := f.Await(context.Background()); n != size || err != nil {
						t.Errorf("forwarded %d bytes: %v", n, err)
					}
				})
			}
		}
		bounded(t, "forwarding", all.Wait)
		nothingHeld(t, rt)
	}, proactor.WithBuffers(4096, 8))
}

// A pool that runs dry is counted, and logged once a second with a connection that
// it met.
func TestDryPoolIsLogged(t *testing.T) {
	log := &logged{}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.mu.Lock()
		log.records = nil
		log.mu.Unlock()
		addr := serveEcho(t, rt, "callback")
		begun := time.Now()
		var conns []*net.TCPConn
		for range 64 {
			conns = append(conns, dial(t, addr))
		}
		eventually(t, func() bool {
			for _, c := range conns { // many in one turn
				pushed(c, []byte("x"))
			}
			return rt.Stats().Total().NoBuffers > 0
		}, func() string { return "the pool never ran dry" })
		var peers []string
		eventually(t, func() bool { peers = log.about("no receive buffer was free", "peer"); return len(peers) > 0 }, func() string { return "not logged" })
		require.LessOrEqual(t, len(peers), 1+int(time.Since(begun)/time.Second))
		var all []string
		for _, c := range conns {
			all = append(all, c.LocalAddr().String())
		}
		require.Subset(t, all, peers)
	}, proactor.WithLoops(1), proactor.WithBuffers(1024, 4), proactor.WithLogger(slog.New(log)))
}

// However much waits to be received, a loop receives no more of it at a time than stays in
// a processor's cache, and needs no more buffers than that.
func TestMuchAtATimeTakesFewBuffers(t *testing.T) {
	const conns, size = 200, 256 << 10
	for _, style := range served {
		t.Run(style, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				addr := serveEcho(t, rt, style)
				var clients []*net.TCPConn
				for range conns {
					clients = append(clients, dial(t, addr))
				}
				for range 4 {
					busy, goOn := make(chan struct{}), make(chan struct{})
					rt.Loops()[0].Do(func() { close(busy); <-goOn })
					<-busy
					sent := make([]int, conns)
					for i, c := range clients {
						for sent[i] < size {
							n := pushed(c, make([]byte, size-sent[i]))
							if n == 0 {
								break
							}
							sent[i] += n
						}
					}
					close(goOn)
					for i, c := range clients {
						_, err := io.ReadFull(c, make([]byte, sent[i]))
						require.NoError(t, err)
					}
				}
				s := rt.Stats().Total()
				require.LessOrEqual(t, s.BufferBytes, 48<<20)
				nothingHeld(t, rt)
			}, proactor.WithLoops(1))
		})
	}
}

// A ring of the larger buffers that runs dry stops nobody: receives wait until there are
// some again.
func TestDryBulkRing(t *testing.T) {
	const size, bulk = "1024", "8192" // of a buffer
	log := &logged{}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		log.mu.Lock()
		log.records = nil
		log.mu.Unlock()
		addr := serveEcho(t, rt, "await")
		small := dial(t, addr)
		var conns []*net.TCPConn
		for range 12 {
			conns = append(conns, dial(t, addr))
		}
		eventually(t, func() bool {
			var streams sync.WaitGroup
			for i, c := range conns {
				streams.Go(func() {
					if err := roundTrip(c, 256<<10, byte('a'+i)); err != nil {
						t.Error(err)
					}
				})
			}
			bounded(t, "the echo of few bytes beside it", func() {
				for range 10 {
					if err := roundTrip(small, 10, 's'); err != nil {
						t.Error(err)
					}
				}
			})
			bounded(t, "the echo of many bytes", streams.Wait)
			return slices.Contains(log.about("no receive buffer was free", "size"), bulk)
		}, func() string { return "the larger buffers never ran out" })
		require.NotContains(t, log.about("no receive buffer was free", "size"), size, "there were enough of the usual ones")
		nothingHeld(t, rt)
	}, proactor.WithLoops(1), proactor.WithBuffers(1024, 64), proactor.WithLogger(slog.New(log)))
}

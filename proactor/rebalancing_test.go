package proactor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// onEachRebalanced runs test on each backend, with two loops whose load the test sets; see
// proactor.NewHand.
func onEachRebalanced(t *testing.T, portion float64, test func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand)) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			hand := proactor.NewHand(portion)
			onBackend(t, b, func(t *testing.T, rt *proactor.Runtime) { test(t, rt, hand) },
				proactor.WithRebalancing(proactor.RebalanceEvery(time.Millisecond), proactor.RebalanceLimit(1<<20), proactor.RebalanceBy(hand)))
		})
	}
}

func queueBack(ctx context.Context, c *proactor.Conn) error {
	for {
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Queue(b).Await(ctx); err != nil {
			return err
		}
	}
}

// echoBack is queueBack by callbacks.
func echoBack(c *proactor.Conn) {
	c.OnRecv(func(b proactor.Buffer, err error) {
		if err != nil {
			c.Close()
			return
		}
		c.Queue(b)
	})
}

// movable is a listener on whose connections serve works until the test ends.
func movable(t *testing.T, rt *proactor.Runtime, opts ...proactor.ListenOption) *proactor.Listener {
	t.Helper()
	ln, err := rt.Listen("tcp", "127.0.0.1:0", append(opts, proactor.WithMovableHandlers())...)
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

// serving serves until the test ends.
func serving(t *testing.T, ln *proactor.Listener, handler func(context.Context, *proactor.Conn) error) {
	served := make(chan error, 1)
	go func() { served <- ln.Serve(context.Background(), handler) }()
	t.Cleanup(func() {
		ln.Close()
		require.ErrorIs(t, <-served, net.ErrClosed)
	})
}

// roundTrips sends pieces of random sizes and compares what comes back, until enough.
func roundTrips(t *testing.T, addr net.Addr, seed uint64, size int, enough func() bool) {
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	dice := rand.New(rand.NewPCG(seed, 1))
	source := rand.NewChaCha8([32]byte{byte(seed)})
	sent, back := make([]byte, size), make([]byte, size)
	for !enough() {
		n := 1 + dice.IntN(size)
		source.Read(sent[:n])
		written := make(chan error, 1)
		go func() { _, err := c.Write(sent[:n]); written <- err }()
		if _, err := io.ReadFull(c, back[:n]); err != nil {
			t.Errorf("of %d bytes: %v", n, err)
			return
		}
		if err := <-written; err != nil || string(back[:n]) != string(sent[:n]) {
			t.Errorf("%d bytes came back changed, or %v", n, err)
			return
		}
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %d bytes, %v", len(rest), err)
	}
}

func rebalanced(rt *proactor.Runtime) int { return int(rt.Stats().Total().Rebalanced) }

// TestRebalancingToAndFro: connections move between the loops all the time, and every
// byte is compared.
func TestRebalancingToAndFro(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, ln *proactor.Listener){
		"Serve":  func(t *testing.T, ln *proactor.Listener) { serving(t, ln, queueBack) },
		"OnRecv": func(t *testing.T, ln *proactor.Listener) { require.NoError(t, ln.OnConn(echoBack)) },
	} {
		t.Run(name, func(t *testing.T) {
			onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
				ln := movable(t, rt, proactor.WithSpread(proactor.SpreadRoundRobin))
				begin(t, ln)
				const conns, moves = 100, 200
				var done atomic.Bool
				var clients sync.WaitGroup
				for i := range conns {
					clients.Go(func() {
						roundTrips(t, ln.Addr(), uint64(i), 1<<(6+i%10), func() bool { return done.Load() || t.Failed() })
					})
				}
				eventually(t, func() bool {
					hand.Heat(int(hand.Looks() / 11 % 2))
					return rebalanced(rt) >= moves || t.Failed()
				}, rt.Describe)
				done.Store(true)
				clients.Wait()
				eventually(t, func() bool { return rt.Stats().Total().Conns == 0 }, rt.Describe)
			})
		})
	}
}

// TestRebalancingOfSkew: eight connections that do much are on one loop, beside others;
// some of the eight move, and new connections are placed elsewhere.
func TestRebalancingOfSkew(t *testing.T) {
	onEachRebalanced(t, 0.5, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
		const heavy, light = 8, 40
		var heavyOn [2]atomic.Int32 // loops of handlers that were begun for those that do much
		ln := movable(t, rt)
		serving(t, ln, func(ctx context.Context, c *proactor.Conn) error {
			b, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if b.Len() > 1 {
				on := &heavyOn[0]
				if c.Loop() == rt.Loops()[1] {
					on = &heavyOn[1]
				}
				on.Add(1)
				defer on.Add(-1)
			}
			c.Unread(b)
			return queueBack(ctx, c)
		})
		var done atomic.Bool
		var clients sync.WaitGroup
		enough := func() bool { return done.Load() || t.Failed() }
		hand.Heat(1) // they are accepted by the other
		looks := hand.Looks()
		eventually(t, func() bool { return hand.Looks() > looks+4 }, rt.Describe)
		for i := range heavy {
			clients.Go(func() { roundTrips(t, ln.Addr(), uint64(i), 128<<10, enough) })
		}
		eventually(t, func() bool { return heavyOn[0].Load() == heavy }, rt.Describe)
		require.Zero(t, heavyOn[1].Load())
		for i := range light {
			clients.Go(func() { roundTrips(t, ln.Addr(), uint64(i), 1, enough) })
		}
		hand.Heat(0)
		eventually(t, func() bool { return heavyOn[1].Load() >= heavy/2 }, rt.Describe)
		require.NotZero(t, rt.Stats()[0].Rebalanced)
		done.Store(true)
		clients.Wait()
	})
}

// TestRebalancingTakesStateAlong: what a handler knows goes to the one that follows, and so do
// the limits of the connection.
func TestRebalancingTakesStateAlong(t *testing.T) {
	onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
		ln := listen(t, rt)
		defer ln.Close()
		s := &numbering{idle: make(chan *proactor.Conn, 1)}
		serving(t, ln, func(ctx context.Context, c *proactor.Conn) error {
			c.SetIdleTimeout(time.Hour)
			c.SetQueueLimit(7, proactor.QueueRefuse)
			if err := c.SetReadDeadline(time.Now().Add(2 * time.Hour)); err != nil {
				return err
			}
			return s.serve(ctx, c)
		})
		peer := dial(t, ln.Addr())
		lines := bufio.NewReader(peer)
		for i := 0; rebalanced(rt) < 4; i++ {
			hand.Heat(int(hand.Looks() / 11 % 2))
			wrote(t, peer, "next\n")
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(i)+"\n", line)
		}
		wrote(t, peer, "limits\n") // from now on it stays where it is, though loops are saturated
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "7\n", line)
		(<-s.idle).PassIdle(2 * time.Hour)
		_, err = lines.ReadString('\n')
		require.Error(t, err)
		eventually(t, func() bool { return s.ended.Load() != nil }, rt.Describe)
		require.ErrorIs(t, *s.ended.Load(), proactor.ErrIdle)
	})
}

// numbering is a handler with state: it numbers the lines that it receives.
type numbering struct {
	n     int
	idle  chan *proactor.Conn
	ended atomic.Pointer[error] // what has ended the last handler
}

func (s *numbering) serve(ctx context.Context, c *proactor.Conn) (err error) {
	defer func() {
		if !errors.Is(err, proactor.ErrMoved) {
			s.ended.Store(&err)
		}
	}()
	if err := c.AllowMove(s.serve); err != nil {
		return err
	}
	for line, err := range c.Reader().Lines(ctx, 0) {
		if err != nil {
			return err
		}
		answer := strconv.Itoa(s.n)
		if string(line) == "limits" {
			left, limit := proactor.LimitsOf(c)
			if left < time.Hour || left > 2*time.Hour {
				return fmt.Errorf("deadline in %v", left)
			}
			answer = strconv.Itoa(limit)
			if err := c.AllowMove(nil); err != nil {
				return err
			}
			s.idle <- c
		}
		s.n++
		if _, err := c.SendBytes([]byte(answer + "\n")).Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// TestRebalancingKeepsDeadlines: a deadline that was set before the move passes after it.
func TestRebalancingKeepsDeadlines(t *testing.T) {
	onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
		ln := listen(t, rt)
		defer ln.Close()
		late := make(chan error, 1)
		serving(t, ln, func(ctx context.Context, c *proactor.Conn) error {
			err := c.AllowMove(func(ctx context.Context, c *proactor.Conn) error {
				err := queueBack(ctx, c)
				late <- err
				return err
			})
			if err != nil {
				return err
			}
			for {
				c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if err := queueBack(ctx, c); !errors.Is(err, os.ErrDeadlineExceeded) {
					return err
				}
			}
		})
		peer := dial(t, ln.Addr())
		for rebalanced(rt) == 0 {
			hand.Heat(int(hand.Looks() / 11 % 2))
			wrote(t, peer, "x")
			readFull(t, peer, 1)
		}
		hand.Heat(-1)
		require.ErrorIs(t, <-late, os.ErrDeadlineExceeded)
	})
}

// TestRebalancingSparesThoseWhoHold: a connection of which something is held, or whose
// handler waits for something else, stays.
func TestRebalancingSparesThoseWhoHold(t *testing.T) {
	for name, handler := range map[string]func(ctx context.Context, c *proactor.Conn, free *atomic.Bool) error{
		"a lease": func(ctx context.Context, c *proactor.Conn, free *atomic.Bool) error {
			b, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			c.SendBytes([]byte("x"))
			first := string(b.Bytes())
			for !free.Load() {
				next, err := c.Recv().Await(ctx)
				if err != nil {
					return fmt.Errorf("while a lease was held: %w", err)
				}
				if first != string(b.Bytes()) {
					return errors.New("the lease has changed")
				}
				next.Release()
				c.SendBytes([]byte("x"))
			}
			b.Release()
			return queueBack(ctx, c)
		},
		"a part of a frame": func(ctx context.Context, c *proactor.Conn, free *atomic.Bool) error {
			r := c.Reader()
			for n := 1; !free.Load(); n++ {
				if _, err := r.Peek(ctx, n); err != nil {
					return fmt.Errorf("while a part of a frame was there: %w", err)
				}
				c.SendBytes([]byte("x"))
			}
			r.Discard(r.Buffered())
			r.Release()
			return queueBack(ctx, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
				var free atomic.Bool
				ended := make(chan error, 100)
				ln := movable(t, rt)
				serving(t, ln, func(ctx context.Context, c *proactor.Conn) error {
					err := handler(ctx, c, &free)
					ended <- err
					return err
				})
				peer := dial(t, ln.Addr())
				for begin := hand.Looks(); hand.Looks() < begin+50; {
					hand.Heat(int(hand.Looks() / 11 % 2))
					wrote(t, peer, "x")
					readFull(t, peer, 1)
				}
				require.Zero(t, rebalanced(rt))
				free.Store(true)
				for rebalanced(rt) == 0 {
					hand.Heat(int(hand.Looks() / 11 % 2))
					wrote(t, peer, "x")
					readFull(t, peer, 1)
				}
				require.Equal(t, proactor.ErrMoved, errors.Unwrap(<-ended))
			})
		})
	}
}

// TestRebalancingAmidEnds: the context of Serve, the runtime or the handler ends while
// connections move.
func TestRebalancingAmidEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, rt *proactor.Runtime, cancel func()){
		"the context": func(t *testing.T, rt *proactor.Runtime, cancel func()) { cancel() },
		"Close":       func(t *testing.T, rt *proactor.Runtime, cancel func()) { require.NoError(t, rt.Close()) },
		"Shutdown": func(t *testing.T, rt *proactor.Runtime, cancel func()) {
			require.NoError(t, rt.Shutdown(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
				ln := movable(t, rt, proactor.WithSpread(proactor.SpreadRoundRobin))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				served := make(chan error, 1)
				go func() { served <- ln.Serve(ctx, queueBack) }()
				var clients sync.WaitGroup
				for range 50 {
					peer := dial(t, ln.Addr())
					clients.Go(func() {
						defer peer.Close()
						for {
							if _, err := peer.Write([]byte("message")); err != nil {
								return
							}
							back := make([]byte, 7)
							if n, err := io.ReadFull(peer, back); err != nil {
								if name == "Shutdown" && n > 0 {
									t.Errorf("a part of %d bytes came back", n)
								}
								return
							}
						}
					})
				}
				eventually(t, func() bool {
					hand.Heat(int(hand.Looks() / 11 % 2))
					return rebalanced(rt) >= 20
				}, rt.Describe)
				end(t, rt, cancel)
				require.Error(t, <-served)
				clients.Wait()
			})
		})
	}
}

// TestRebalancingOfFailedHandlers: a handler that does not return when it is told is not
// followed by another, and its connection is closed.
func TestRebalancingOfFailedHandlers(t *testing.T) {
	onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, hand *proactor.Hand) {
		ln := movable(t, rt)
		serving(t, ln, func(ctx context.Context, c *proactor.Conn) error {
			if err := queueBack(ctx, c); errors.Is(err, proactor.ErrMoved) {
				panic("moved")
			}
			return nil
		})
		peer := dial(t, ln.Addr())
		for {
			hand.Heat(int(hand.Looks() / 11 % 2))
			if _, err := peer.Write([]byte("x")); err != nil {
				break
			}
			if _, err := peer.Read(make([]byte, 1)); err != nil {
				break
			}
		}
		require.Equal(t, 1, rebalanced(rt))
	})
}

// TestClosedIsNotMoved: ErrMoved is ErrClosed, and not the opposite. A handler must be able
// to tell that its connection goes on elsewhere.
func TestClosedIsNotMoved(t *testing.T) {
	for _, reason := range []error{proactor.ErrMoved, proactor.ErrDetached, proactor.ErrShutdown} {
		require.ErrorIs(t, reason, proactor.ErrClosed)
		require.ErrorIs(t, reason, net.ErrClosed)
		require.NotErrorIs(t, proactor.ErrClosed, reason)
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		closedDown(t, c)
		_, err := c.Recv().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		require.NotErrorIs(t, err, proactor.ErrMoved)
	})
}

func TestAllowMoveByOthers(t *testing.T) {
	onEachRebalanced(t, 1, func(t *testing.T, rt *proactor.Runtime, _ *proactor.Hand) {
		c, _ := accepted(t, rt)
		require.ErrorIs(t, c.AllowMove(queueBack), syscall.EINVAL)
		inTask(t, rt, c, func(context.Context) { require.ErrorIs(t, c.AllowMove(queueBack), syscall.EINVAL) })
		require.NoError(t, c.Close())
	})
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		require.NoError(t, c.AllowMove(queueBack))
		require.NoError(t, c.Close())
	})
}

func TestRebalancingOptions(t *testing.T) {
	for text, option := range map[string]proactor.RebalancingOption{
		"rebalancing every 1µs": proactor.RebalanceEvery(time.Microsecond),
		"0 moves a second":      proactor.RebalanceLimit(0),
	} {
		_, err := proactor.New(proactor.WithRebalancing(option))
		require.ErrorContains(t, err, text)
	}
}

func TestJudgeLoads(t *testing.T) {
	for name, c := range map[string]struct {
		loads [][]float64
		want  string
	}{
		"balanced":                        {[][]float64{{.9, .9}, {.9, .8}, {.2, .2}, {.9, .7}}, ",,,"},
		"idle":                            {[][]float64{{.5, 0}, {.6, 0}, {.6, .1}}, ",,"},
		"saturated, twice in a row":       {[][]float64{{.9, 0}, {.9, 0}}, "observe 0,give 0 1"},
		"one interval only":               {[][]float64{{.9, 0}, {.2, 0}, {.9, 0}, {.9, 0}}, "observe 0,,observe 0,give 0 1"},
		"another loop begins anew":        {[][]float64{{.9, 0}, {0, .9}, {0, .9}}, "observe 0,observe 1,give 1 0"},
		"what was moved has time to work": {[][]float64{{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}}, "observe 0,give 0 1,,,observe 0,give 0 1"},
		"the idlest gets them":            {[][]float64{{.5, 1, .1}, {.1, 1, .5}}, "observe 1,give 1 0"},
		"all are saturated":               {[][]float64{{1, 1.4, 1.2}, {1.5, 1.4, 1.3}}, "observe 1,"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, strings.Join(proactor.JudgeLoads(c.loads), ","))
		})
	}
}

package proactor_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// nothingHeld waits until no lease is out and nothing is charged to anybody.
func nothingHeld(t *testing.T, rt *proactor.Runtime) {
	t.Helper()
	var s proactor.LoopStats
	eventually(t, func() bool { s = rt.Stats().Total(); return s.BuffersOut == 0 && s.Held == 0 },
		func() string {
			return fmt.Sprintf("%d buffers out, %d bytes held\n%s", s.BuffersOut, s.Held, rt.Describe())
		})
}

// droppers start operations that hold a lease when they are done, and take no result.
var droppers = map[string]func(ctx context.Context, receive func() (ready func() bool)){
	"when it has come": func(ctx context.Context, receive func() func() bool) {
		ready := receive()
		for !ready() {
			if futures.Yield(ctx) != nil {
				return
			}
		}
	},
	"while it is to come": func(_ context.Context, receive func() func() bool) { receive() },
	"before a panic": func(ctx context.Context, receive func() func() bool) {
		ready := receive()
		for !ready() {
			if futures.Yield(ctx) != nil {
				return
			}
		}
		panic("of the task's own")
	},
	"before Goexit": func(ctx context.Context, receive func() func() bool) {
		ready := receive()
		for !ready() {
			if futures.Yield(ctx) != nil {
				return
			}
		}
		runtime.Goexit()
	},
	"and asked for by Done": func(ctx context.Context, receive func() func() bool) {
		ready := receive()
		futures.Blocking(ctx, func() (struct{}, error) {
			for !ready() {
				runtime.Gosched()
			}
			return struct{}{}, nil
		})
	},
	"many of them": func(ctx context.Context, receive func() func() bool) {
		var last func() bool
		for range 20 {
			last = receive()
		}
		for !last() {
			if futures.Yield(ctx) != nil {
				return
			}
		}
	},
}

// A result that nobody takes is given back when the task that made the call ends,
// although the connection stays open.
func TestDroppedByATask(t *testing.T) {
	for name, drop := range droppers {
		t.Run("Conn "+name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				l := rt.Loops()[0]
				c, peer := pairOn(t, l, rt, "unixpacket")
				for range 3 {
					l.Go(context.Background(), func(ctx context.Context) error {
						drop(ctx, func() func() bool {
							f := c.Recv()
							peer.SendBytes([]byte("dropped"))
							return f.Ready
						})
						return nil
					}).Await(t.Context())
				}
				nothingHeld(t, rt)
				peer.SendBytes([]byte("after"))
				require.Equal(t, "after", lastReceived(t, c))
				nothingHeld(t, rt)
			})
		})
		t.Run("PacketConn "+name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				l := rt.Loops()[0]
				c, peer, to := packetPairOn(t, l, rt)
				for range 3 {
					l.Go(context.Background(), func(ctx context.Context) error {
						drop(ctx, func() func() bool {
							f := peer.Recv()
							c.SendTo([]byte("dropped"), to)
							return f.Ready
						})
						return nil
					}).Await(t.Context())
				}
				nothingHeld(t, rt)
			})
		})
	}
}

// lastReceived receives until something else than "dropped" comes.
func lastReceived(t *testing.T, c *proactor.Conn) string {
	t.Helper()
	for {
		if s := received(t, t.Context(), c); s != "dropped" {
			return s
		}
	}
}

// A result that nobody takes, and that no task asked for, is given back when the
// connection ends.
func TestDroppedElsewhere(t *testing.T) {
	for name, drop := range map[string]func(l *proactor.Loop, receive func() (ready func() bool)) (ready func() bool){
		"goroutine": func(_ *proactor.Loop, receive func() func() bool) func() bool { return receive() },
		"goroutine that asks with Result": func(_ *proactor.Loop, receive func() func() bool) func() bool {
			ready := receive()
			ready()
			return ready
		},
		"callback": func(l *proactor.Loop, receive func() func() bool) func() bool {
			made := make(chan func() bool, 1)
			l.Do(func() { made <- receive() })
			return <-made
		},
	} {
		for end, finish := range map[string]func(t *testing.T, c *proactor.Conn, rt *proactor.Runtime){
			"closed":  func(_ *testing.T, c *proactor.Conn, _ *proactor.Runtime) { c.Close() },
			"aborted": func(_ *testing.T, c *proactor.Conn, _ *proactor.Runtime) { c.Abort() },
			"moved and closed": func(t *testing.T, c *proactor.Conn, rt *proactor.Runtime) {
				for i := range 3 {
					moved, err := c.Move(rt.Loops()[(i+1)%2]).Await(t.Context())
					require.NoError(t, err)
					c = moved
				}
				c.Close()
			},
		} {
			t.Run(fmt.Sprintf("Conn of a %s, %s", name, end), func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					c, peer := pairOn(t, rt.Loops()[0], rt, "unix")
					ready := drop(c.Loop(), func() func() bool { return c.Recv().Ready })
					_, err := peer.SendBytes([]byte("dropped")).Await(t.Context())
					require.NoError(t, err)
					eventually(t, ready, func() string { return "it never came" })
					require.Positive(t, rt.Stats().Total().BuffersOut)
					finish(t, c, rt)
					nothingHeld(t, rt)
				})
			})
		}
		t.Run("PacketConn of a "+name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c, peer, to := packetPairOn(t, rt.Loops()[0], rt)
				ready := drop(c.Loop(), func() func() bool { return peer.Recv().Ready })
				_, err := c.SendTo([]byte("dropped"), netip.AddrPort(to)).Await(t.Context())
				require.NoError(t, err)
				eventually(t, ready, func() string { return "it never came" })
				peer.Close()
				nothingHeld(t, rt)
			})
		})
	}
}

// A task that ends with leases in hand gives them back; Keep makes one last.
func TestTaskEndsWithLeases(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		c, peer := pairOn(t, l, rt, "unixpacket")
		var lost, kept, inSub proactor.Buffer
		for _, how := range []func(){func() {}, func() { panic("of the task's own") }, runtime.Goexit} {
			l.Go(context.Background(), func(ctx context.Context) error {
				for _, b := range []*proactor.Buffer{&lost, &kept, &inSub} {
					peer.SendBytes([]byte("lease"))
					*b, _ = c.Recv().Await(ctx)
				}
				kept.Keep()
				how()
				return nil
			}).Await(t.Context())
			requirePanic(t, "its task has returned", func() { lost.Bytes() })
			require.Equal(t, "lease", string(kept.Bytes()))
			kept.Release()
			nothingHeld(t, rt)
		}
	})
}

// Keep on another goroutine counts when it has returned, and for that lease only.
func TestKeepElsewhere(t *testing.T) {
	elsewhere := func(fn func()) {
		done := make(chan struct{})
		go func() { defer close(done); fn() }()
		<-done // the loop must not come to anything else
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		var kept, lost proactor.Buffer
		_, err := l.Go(context.Background(), func(ctx context.Context) error {
			kept = l.Buffer(5)
			elsewhere(func() { kept.Keep() })
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
		require.Len(t, kept.Bytes(), 5)
		kept.Release()
		nothingHeld(t, rt)

		_, err = l.Go(context.Background(), func(ctx context.Context) error {
			kept = l.Buffer(5)
			elsewhere(func() { kept.Keep() })
			kept.Release()
			lost = l.Buffer(5) // the same memory
			return futures.Yield(ctx)
		}).Await(t.Context())
		require.NoError(t, err)
		requirePanic(t, "its task has returned", func() { lost.Bytes() })
		nothingHeld(t, rt)
	})
}

// A lease belongs to the task that asked for it, whoever takes it from the future.
func TestTaskEndsWithLeasesThatOthersTook(t *testing.T) {
	takers := map[string]func(rt *proactor.Runtime, f futures.Future[proactor.Buffer], take func(proactor.Buffer)){
		"goroutine": func(_ *proactor.Runtime, f futures.Future[proactor.Buffer], take func(proactor.Buffer)) {
			go func() {
				b, _ := f.Await(context.Background())
				take(b)
			}()
		},
		"callback": func(_ *proactor.Runtime, f futures.Future[proactor.Buffer], take func(proactor.Buffer)) {
			f.Then(func(b proactor.Buffer, _ error) { take(b) })
		},
		"task of another loop": func(rt *proactor.Runtime, f futures.Future[proactor.Buffer], take func(proactor.Buffer)) {
			rt.Loops()[1].Go(context.Background(), func(ctx context.Context) error {
				b, _ := f.Await(ctx)
				take(b)
				futures.NewPromise[struct{}]().Future().Await(ctx) // it goes on when the other has ended
				return nil
			})
		},
	}
	for name, taker := range takers {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				l := rt.Loops()[0]
				c, peer := pairOn(t, l, rt, "unixpacket")
				from, to, at := packetPairOn(t, l, rt)
				var lost, kept proactor.Buffer
				_, err := l.Go(context.Background(), func(ctx context.Context) error {
					for _, b := range []*proactor.Buffer{&lost, &kept} {
						taken := futures.NewPromise[struct{}]()
						taker(rt, c.Recv(), func(got proactor.Buffer) { *b = got; taken.Resolve(struct{}{}) })
						peer.SendBytes([]byte("lease"))
						if _, err := taken.Future().Await(ctx); err != nil {
							return err
						}
					}
					kept.Keep()
					taken := futures.NewPromise[struct{}]()
					message := to.Recv()
					go func() { message.Await(context.Background()); taken.Resolve(struct{}{}) }()
					from.SendTo([]byte("message"), at)
					_, err := taken.Future().Await(ctx)
					return err
				}).Await(t.Context())
				require.NoError(t, err)
				requirePanic(t, "its task has returned", func() { lost.Bytes() })
				require.Equal(t, "lease", string(kept.Bytes()))
				kept.Release()
				nothingHeld(t, rt)
			})
		})
	}
}

func requirePanic(t *testing.T, text string, fn func()) {
	t.Helper()
	defer func() { require.Contains(t, fmt.Sprint(recover()), text) }()
	fn()
}

package proactor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// onAllThreads runs round so often, by tasks of both loops and by goroutines.
func onAllThreads(t *testing.T, rt *proactor.Runtime, rounds int, round func(ctx context.Context, random *rand.Rand) error) {
	t.Helper()
	if testing.Short() {
		rounds /= 10
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	const each = 4
	var ended []futures.Future[struct{}]
	for i := range uint64(each) {
		for place := range uint64(3) {
			repeat := func(ctx context.Context) error {
				random := rand.New(rand.NewPCG(seed, 3*i+place))
				for range rounds / (3 * each) {
					if err := round(ctx, random); err != nil {
						return err
					}
				}
				return nil
			}
			if loops := rt.Loops(); place < uint64(len(loops)) {
				ended = append(ended, loops[place].Go(t.Context(), repeat))
				continue
			}
			ended = append(ended, futures.Go(t.Context(), func(ctx context.Context) (struct{}, error) {
				return struct{}{}, repeat(ctx)
			}))
		}
	}
	_, err := futures.All(ended...).Await(t.Context())
	require.NoError(t, err)
}

// endingSoon derives a context that may end at any moment.
func endingSoon(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go cancel()
	return ctx
}

func TestPrimitivesExclude(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var m futures.Mutex
		var rw futures.RWMutex
		s := futures.NewSemaphore(1)
		for name, lock := range map[string]struct {
			lock   func(context.Context) error
			unlock func()
		}{
			"Mutex":     {m.Lock, m.Unlock},
			"RWMutex":   {rw.Lock, rw.Unlock},
			"Semaphore": {func(ctx context.Context) error { return s.Acquire(ctx, 1) }, func() { s.Release(1) }},
		} {
			t.Run(name, func(t *testing.T) {
				inside := 0 // the race detector looks on
				onAllThreads(t, rt, 12_000, func(ctx context.Context, random *rand.Rand) error {
					lockCtx := ctx
					if random.IntN(8) == 0 {
						lockCtx = endingSoon(ctx)
					}
					if err := lock.lock(lockCtx); err != nil {
						if lockCtx.Err() == nil {
							return err
						}
						return nil
					}
					defer lock.unlock()
					if inside++; inside != 1 {
						return errors.New("not alone")
					}
					if random.IntN(4) == 0 {
						if err := futures.Yield(ctx); err != nil {
							return err
						}
					}
					inside--
					return nil
				})
				require.NoError(t, lock.lock(t.Context()), "nothing is lost")
				lock.unlock()
			})
		}
	})
}

// A task that holds a lock while it awaits, and others that wait for it, hold up no
// loop: completions come meanwhile.
func TestPrimitivesHoldUpNoLoop(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var m futures.Mutex
		order := 0
		var ended []futures.Future[struct{}]
		for i := range 20 {
			ended = append(ended, rt.Loops()[i%2].Go(t.Context(), func(ctx context.Context) error {
				return m.Do(ctx, func() error {
					order++
					_, err := rt.Sleep(1).Await(ctx) // a completion of the loop, or its timer
					return err
				})
			}))
		}
		_, err := futures.All(ended...).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 20, order)
	})
}

// Tasks that compute and yield let completions come in between.
func TestYieldLetsCompletionsCome(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		var slept futures.Event
		var tasks futures.WaitGroup
		tasks.Add(1)
		computes := l.Go(t.Context(), func(ctx context.Context) error {
			tasks.Done()
			for !slept.IsSet() {
				if err := futures.Yield(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, tasks.Wait(t.Context()))
		_, err := l.Go(t.Context(), func(ctx context.Context) error {
			_, err := rt.Sleep(1000).Await(ctx)
			slept.Set()
			return err
		}).Await(t.Context())
		require.NoError(t, err)
		_, err = computes.Await(t.Context())
		require.NoError(t, err)
	})
}

func TestGroupOnLoop(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		failure := errors.New("failed")
		for _, l := range rt.Loops() {
			_, err := l.Go(t.Context(), func(ctx context.Context) error {
				g := futures.NewGroup(ctx)
				g.SetLimit(5)
				for i := range 50 {
					g.Go(func(ctx context.Context) error {
						if !l.Inside() {
							return errors.New("not on the loop")
						}
						if i == 30 {
							return failure
						}
						_, err := rt.Sleep(1).Await(ctx)
						return err
					})
				}
				return g.Wait(ctx)
			}).Await(t.Context())
			require.ErrorIs(t, err, failure)
		}
	})
}

// A runtime that closes ends those who wait.
func TestCloseEndsWaits(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context) error{
		"Mutex": func() func(context.Context) error {
			m := new(futures.Mutex)
			m.TryLock()
			return m.Lock
		}(),
		"Semaphore": func() func(context.Context) error {
			s := futures.NewSemaphore(1)
			s.TryAcquire(1)
			return func(ctx context.Context) error { return s.Acquire(ctx, 1) }
		}(),
		"Event": new(futures.Event).Wait,
		"Select": func(ctx context.Context) error {
			_, err := futures.Select(ctx, futures.NewPromise[int]().Future())
			return err
		},
		"Group": func(ctx context.Context) error {
			g := futures.NewGroup(ctx)
			g.SetLimit(1)
			for range 3 {
				g.Go(new(futures.Event).Wait)
			}
			return g.Wait(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				var ended []futures.Future[struct{}]
				var begun futures.WaitGroup
				for _, l := range rt.Loops() {
					begun.Add(1)
					ended = append(ended, l.Go(context.Background(), func(ctx context.Context) error {
						begun.Done()
						return wait(ctx)
					}))
				}
				require.NoError(t, begun.Wait(t.Context()))
				require.NoError(t, rt.Close())
				for _, f := range ended {
					_, err := f.Await(t.Context())
					require.ErrorIs(t, err, context.Canceled)
				}
			})
		})
	}
}

// A handler selects between what comes from its peer and from a channel.
func TestSelectOnLoop(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		orders := make(chan string)
		a, b, err := rt.SocketPair("unix")
		require.NoError(t, err)
		defer b.Close()
		f := a.Loop().Go(t.Context(), func(ctx context.Context) error {
			defer a.Close()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel() // ends the goroutine of FromChan
			received := futures.FromChan(ctx, orders)
			order, data := received.Next(), a.Recv()
			for {
				i, err := futures.Select(ctx, order, data)
				if err != nil {
					return err
				}
				if i == 0 {
					text, err := order.Await(ctx)
					if err != nil {
						return err
					}
					if _, err := a.SendBytes([]byte(text)).Await(ctx); err != nil {
						return err
					}
					order = received.Next()
					continue
				}
				buf, err := data.Await(ctx)
				if err != nil {
					return err
				}
				if string(buf.Bytes()) == "end" {
					buf.Release()
					return nil
				}
				if _, err := a.Send(buf).Await(ctx); err != nil {
					return err
				}
				data = a.Recv()
			}
		})
		for range 20 {
			orders <- "from a channel"
			require.Equal(t, "from a channel", recvText(t, b))
			_, err := b.SendBytes([]byte("from a peer")).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, "from a peer", recvText(t, b))
		}
		_, err = b.SendBytes([]byte("end")).Await(t.Context())
		require.NoError(t, err)
		_, err = f.Await(t.Context())
		require.NoError(t, err)
	})
}

func recvText(t *testing.T, c *proactor.Conn) string {
	t.Helper()
	buf, err := c.Recv().Await(t.Context())
	require.NoError(t, err)
	defer buf.Release()
	return string(buf.Bytes())
}

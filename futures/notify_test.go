package futures

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// notifier is a WaitGroup, an Event or a Cond in the model: those who wait, and
// who goes on with each of its operations.
type notifier struct {
	wait   func(ctx context.Context) error
	steps  []func(waiting int) (released int) // -1: all
	free   func() bool                        // one who comes need not wait
	settle func()                             // releases all
}

func notifiers() map[string]notifier {
	const all = -1
	var e Event
	var g WaitGroup
	count := 0
	var m Mutex
	c := NewCond(&m)
	return map[string]notifier{
		"Event": {
			wait: e.Wait,
			steps: []func(int) int{
				func(int) int { e.Set(); return all },
				func(int) int { e.Set(); e.Reset(); return all },
				func(int) int { e.Reset(); return 0 },
				func(int) int { return 0 },
			},
			free:   e.IsSet,
			settle: e.Set,
		},
		"WaitGroup": {
			wait: g.Wait,
			steps: []func(int) int{
				func(int) int { g.Add(2); count += 2; return 0 },
				func(int) int {
					if count == 0 {
						return 0
					}
					g.Done()
					if count--; count == 0 {
						return all
					}
					return 0
				},
				func(int) int {
					if count == 0 {
						return 0
					}
					g.Add(-count)
					g.Add(count)
					return all
				},
			},
			free:   func() bool { return count == 0 },
			settle: func() { g.Add(-count); count = 0 },
		},
		"Cond": {
			wait: func(ctx context.Context) error {
				return m.Do(ctx, func() error { return c.Wait(ctx) })
			},
			steps: []func(int) int{
				func(int) int { c.Broadcast(); return all },
				func(n int) int { c.Signal(); return min(n, 1) },
				func(n int) int { c.Signal(); c.Signal(); return min(n, 2) },
			},
			free:   func() bool { return false },
			settle: c.Broadcast,
		},
	}
}

// Random waits, cancels and operations on one loop, and the same on a model.
func TestNotifyModel(t *testing.T) {
	l := newLoop(t)
	steps := 20000
	if testing.Short() {
		steps = 2000
	}
	for name, n := range notifiers() {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Log("seed", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			var waiting []*request
			l.do(func() {
				from := len(l.ready)
				for range steps {
					switch random.IntN(4) {
					case 0, 1:
						r := &request{result: make(chan error, 1)}
						free := n.free()
						r.task = l.scheduler.Start(t.Context(), func(ctx context.Context) error {
							r.result <- n.wait(ctx)
							return nil
						}, nil)
						l.turn(from)
						if free {
							require.NoError(t, <-r.result)
						} else {
							waiting = append(waiting, r)
						}
					case 2:
						if len(waiting) == 0 {
							continue
						}
						r := pick(random, &waiting)
						r.task.Cancel(errTest)
						l.turn(from)
						require.ErrorIs(t, <-r.result, errTest)
					case 3:
						released := n.steps[random.IntN(len(n.steps))](len(waiting))
						if released < 0 {
							released = len(waiting)
						}
						l.turn(from)
						for _, r := range waiting[:released] {
							require.NoError(t, <-r.result)
						}
						waiting = waiting[released:]
					}
					for _, r := range waiting {
						require.Empty(t, r.result)
					}
				}
				n.settle()
				l.turn(from)
				for _, r := range waiting {
					require.NoError(t, <-r.result)
				}
			})
		})
	}
}

// A queue with a bound, of a Mutex and two Conds: whatever is lost stops it.
func TestCondStress(t *testing.T) {
	rounds := 50_000
	if testing.Short() {
		rounds = 3_000
	}
	c := newCanceler(t)
	var m Mutex
	notEmpty, notFull := NewCond(&m), NewCond(&m)
	length := 0
	var sent, received atomic.Int64
	wait := func(ctx context.Context, random *rand.Rand, cond *Cond) error {
		if random.IntN(4) == 0 {
			ctx = c.soon(ctx)
		}
		if err := cond.Wait(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
	contenders(t, rounds, func(ctx context.Context, random *rand.Rand) error {
		// Everyone puts one in and takes one out, in this order: nobody is stuck.
		err := m.Do(ctx, func() error {
			for length == 12 {
				if err := wait(ctx, random, notFull); err != nil {
					return err
				}
			}
			length++
			notEmpty.Signal()
			return nil
		})
		sent.Add(1)
		return errors.Join(err, m.Do(ctx, func() error {
			for length == 0 {
				if err := wait(ctx, random, notEmpty); err != nil {
					return err
				}
			}
			length--
			notFull.Signal()
			received.Add(1)
			return nil
		}))
	})
	require.Zero(t, length)
	require.Equal(t, sent.Load(), received.Load())
	require.Zero(t, m.units.word.Load())
	require.False(t, notEmpty.queue.waits())
	require.False(t, notFull.queue.waits())
}

// Events, by which contenders wake each other, and a WaitGroup for each round.
func TestEventStress(t *testing.T) {
	rounds := 30_000
	if testing.Short() {
		rounds = 3_000
	}
	c := newCanceler(t)
	var e Event
	var g WaitGroup
	contenders(t, rounds, func(ctx context.Context, random *rand.Rand) error {
		waitCtx := c.soon(ctx)
		g.Add(1)
		defer g.Done()
		var err error
		switch random.IntN(4) {
		case 0:
			e.Set()
		case 1:
			e.Reset()
		case 2:
			err = e.Wait(waitCtx)
		case 3:
			g.Done()
			err = g.Wait(waitCtx)
			g.Add(1)
		}
		if err != nil && waitCtx.Err() == nil {
			return err
		}
		return nil
	})
	require.Zero(t, g.word.Load())
	require.False(t, e.queue.waits())
	require.False(t, g.queue.waits())
}

func TestOnce(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		require.NoError(t, run(t.Context(), func(ctx context.Context) error {
			var o Once
			require.Equal(t, errTest, o.Do(ctx, func(context.Context) error { return errTest }))
			require.Panics(t, func() { o.Do(ctx, func(context.Context) error { panic(errTest) }) })
			require.False(t, o.Done())
			require.NoError(t, o.Do(ctx, Yield), "one who failed spoils nothing")
			require.True(t, o.Done())
			require.NoError(t, o.Do(ctx, func(context.Context) error { panic("done before") }))
			return nil
		}))
	})
	t.Run("many", func(t *testing.T) {
		var o Once
		var ran, failed atomic.Int64
		contenders(t, 120, func(ctx context.Context, random *rand.Rand) error {
			err := o.Do(ctx, func(ctx context.Context) error {
				runtime.Gosched()
				if err := Yield(ctx); err != nil {
					return err
				}
				if ran.Add(1) < 5 {
					return errTest
				}
				return nil
			})
			if err == errTest {
				failed.Add(1)
				return nil
			}
			return err
		})
		require.EqualValues(t, 5, ran.Load())
		require.EqualValues(t, 4, failed.Load())
	})
}

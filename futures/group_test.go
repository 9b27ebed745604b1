package futures

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroup(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		require.NoError(t, run(t.Context(), func(ctx context.Context) error {
			here := schedulerOf(ctx)
			g := NewGroup(ctx)
			var ran atomic.Int64
			for range 100 {
				g.Go(func(child context.Context) error {
					require.Equal(t, here, schedulerOf(child), "a task of the same loop, else a goroutine")
					ran.Add(1)
					return Yield(child)
				})
			}
			require.NoError(t, g.Wait(ctx))
			require.EqualValues(t, 100, ran.Load())
			require.NoError(t, g.Wait(ctx), "twice")
			return nil
		}))
	})
}

// The first error ends the others, and is what Wait returns when they have ended.
func TestGroupFails(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		for name, c := range map[string]struct {
			fail  func(context.Context) error
			check func(error)
		}{
			"error": {func(context.Context) error { return errTest }, func(err error) { require.Equal(t, errTest, err) }},
			"panic": {func(context.Context) error { panic(errTest) }, func(err error) {
				var p *PanicError
				require.ErrorAs(t, err, &p)
				require.ErrorIs(t, err, errTest)
			}},
			"Goexit": {func(context.Context) error { runtime.Goexit(); return nil }, func(err error) { require.Equal(t, ErrGoexit, err) }},
		} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, run(t.Context(), func(ctx context.Context) error {
					g := NewGroup(ctx)
					var ended atomic.Int64
					for range 5 {
						g.Go(func(ctx context.Context) error {
							defer ended.Add(1)
							return new(Event).Wait(ctx)
						})
					}
					g.Go(c.fail)
					c.check(g.Wait(ctx))
					require.EqualValues(t, 5, ended.Load())
					g.Go(func(ctx context.Context) error {
						require.Error(t, ctx.Err(), "the group is over")
						return nil
					})
					c.check(g.Wait(ctx))
					return nil
				}))
			})
		}
	})
}

func TestGroupLimit(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		require.NoError(t, run(t.Context(), func(ctx context.Context) error {
			g := NewGroup(ctx)
			g.SetLimit(3)
			var running, most atomic.Int64
			f := func(ctx context.Context) error {
				n := running.Add(1)
				defer running.Add(-1)
				for is := most.Load(); n > is && !most.CompareAndSwap(is, n); is = most.Load() {
				}
				return errors.Join(Yield(ctx), Yield(ctx))
			}
			for range 50 {
				g.Go(f)
			}
			require.NoError(t, g.Wait(ctx))
			require.LessOrEqual(t, most.Load(), int64(3))

			g = NewGroup(ctx)
			g.SetLimit(1)
			e := new(Event)
			require.True(t, g.TryGo(e.Wait))
			require.False(t, g.TryGo(e.Wait))
			e.Set()
			require.NoError(t, g.Wait(ctx))
			g.SetLimit(0)
			require.True(t, g.TryGo(e.Wait))
			require.NoError(t, g.Wait(ctx))
			require.Zero(t, g.slots.word.Load())
			return nil
		}))
	})
}

// A callback cannot wait for the limit: what it starts begins later.
func TestGroupLimitInCallback(t *testing.T) {
	l := newLoop(t)
	e := new(Event)
	var most, running int
	require.NoError(t, l.task(func(ctx context.Context) error {
		g := NewGroup(ctx)
		g.SetLimit(2)
		l.post(func() {
			for range 10 {
				g.Go(func(ctx context.Context) error {
					running++
					most = max(most, running)
					defer func() { running-- }()
					return e.Wait(ctx)
				})
			}
			require.Equal(t, ErrNoTask, g.Wait(ctx))
			l.post(e.Set)
		})
		if err := Yield(ctx); err != nil {
			return err
		}
		return g.Wait(ctx)
	}))
	require.Equal(t, 2, most)
	require.Zero(t, running)
}

// Wait ends with nothing running, though its context has ended.
func TestGroupWaitEndsGroup(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		require.NoError(t, run(t.Context(), func(ctx context.Context) error {
			var zero Group
			for _, g := range []*Group{NewGroup(ctx), &zero} {
				ctx, cancel := context.WithCancelCause(ctx)
				ended := new(atomic.Bool)
				g.Go(func(ctx context.Context) error {
					defer ended.Store(true)
					return new(Event).Wait(ctx)
				})
				g.Go(func(context.Context) error { cancel(errTest); return nil })
				require.ErrorIs(t, g.Wait(ctx), errTest)
				require.True(t, ended.Load())
			}
			return nil
		}))
	})
}

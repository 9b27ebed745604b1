package futures

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelect(t *testing.T) {
	l, other := newLoop(t), newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		promises := map[string]func() *Promise[int]{
			"free":                  NewPromise[int],
			"bound":                 func() *Promise[int] { return newBound(l) },
			"bound to another loop": func() *Promise[int] { return newBound(other) },
		}
		for name, promise := range promises {
			t.Run(name, func(t *testing.T) {
				p, never := promise(), NewPromise[string]()
				f, n := p.Future(), never.Future()
				require.NoError(t, run(t.Context(), func(ctx context.Context) error {
					go p.Resolve(7)
					for range 3 { // it observes, and takes nothing
						i, err := Select(ctx, n, f)
						require.NoError(t, err)
						require.Equal(t, 1, i)
						require.Nil(t, never.others.first, "no trace")
					}
					v, err := f.Await(ctx)
					require.Equal(t, 7, v)
					require.NoError(t, err)
					i, err := Select(ctx, Resolved(1), f, Failed[string](errTest))
					require.Zero(t, i, "the first")
					return err
				}))
				require.True(t, never.Pending(), "the others are left alone")
			})
		}
	})
}

func TestSelectOfNone(t *testing.T) {
	i, err := Select(t.Context())
	require.Equal(t, -1, i)
	require.Equal(t, ErrNoFutures, err)
}

// A bound promise whose future was selected serves the next operation all the same.
func TestSelectRenews(t *testing.T) {
	l := newLoop(t)
	require.NoError(t, l.task(func(ctx context.Context) error {
		p, never := newBound(l), newBound(l)
		for n := range 10 {
			f := renew(p)
			l.post(func() { p.Resolve(n) })
			i, err := Select(ctx, never.Future(), f)
			require.NoError(t, err)
			require.Equal(t, 1, i)
			_, ok := p.Renew()
			require.False(t, ok, "Select has not taken the result")
			v, err := f.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, n, v)
			require.Nil(t, never.others.first)
		}
		return nil
	}))
}

func TestSelectEndsWithContext(t *testing.T) {
	l, other := newLoop(t), newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		ctx, cancel := context.WithCancelCause(t.Context())
		fs := []*Promise[int]{NewPromise[int](), newBound(l), newBound(other)}
		go cancel(errTest)
		require.ErrorIs(t, run(ctx, func(ctx context.Context) error {
			i, err := Select(ctx, fs[0].Future(), fs[1].Future(), fs[2].Future())
			require.Equal(t, -1, i)
			return err
		}), errTest)
		for _, l := range []*loop{l, other} {
			l.do(func() {})
		}
		for _, p := range fs {
			require.True(t, p.Pending())
			require.Nil(t, p.others.first, "no trace")
		}
	})
}

// The loop of a future has ended.
func TestSelectOfEndedLoop(t *testing.T) {
	l := newLoop(t)
	f := newBound(l).Future()
	l.close()
	i, err := Select(t.Context(), NewPromise[int]().Future(), f)
	require.NoError(t, err)
	require.Equal(t, 1, i)
	require.ErrorIs(t, f.error(t.Context()), ErrClosed)
}

// Many select from the same futures, which settle, and whose contexts end.
func TestSelectStress(t *testing.T) {
	rounds := 30_000
	if testing.Short() {
		rounds = 1_500
	}
	c := newCanceler(t)
	promises := make(chan *Promise[int], 64)
	resolved := make(chan bool)
	go func() {
		defer close(resolved)
		for p := range promises {
			p.Resolve(1)
		}
	}()
	shared := make(chan *Promise[int], 1)
	never := NewPromise[string]()
	shared <- NewPromise[int]()
	contenders(t, rounds, func(ctx context.Context, random *rand.Rand) error {
		p := NewPromise[int]()
		if random.IntN(2) == 0 {
			select {
			case p = <-shared:
				shared <- p
			default:
			}
		}
		select {
		case promises <- p:
		default:
			p.Resolve(1)
		}
		selectCtx := ctx
		if random.IntN(4) == 0 {
			selectCtx = c.soon(ctx)
		}
		i, err := Select(selectCtx, never.Future(), p.Future(), NewPromise[int]().Future())
		switch {
		case err != nil && selectCtx.Err() == nil:
			return err
		case err == nil && (i != 1 || !p.Future().Ready()):
			return errors.New("selected what has no result")
		}
		return nil
	})
	close(promises)
	<-resolved
	require.Nil(t, never.others.first)
}

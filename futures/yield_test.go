package futures

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tasks that yield take turns, and what is posted runs in between.
func TestYield(t *testing.T) {
	l := newLoop(t)
	var order []string
	ended := make(chan error, 2)
	l.do(func() {
		for _, name := range []string{"a", "b"} {
			l.scheduler.Start(t.Context(), func(ctx context.Context) error {
				for range 3 {
					order = append(order, name)
					if err := Yield(ctx); err != nil {
						return err
					}
				}
				return nil
			}, func(err error) { ended <- err })
		}
		l.post(func() { order = append(order, "posted") })
	})
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.Equal(t, []string{"a", "b", "posted", "a", "b", "a", "b"}, order)
}

// A wake-up for something else does not end it.
func TestYieldNeedlessWake(t *testing.T) {
	l := newLoop(t)
	ran := false
	require.NoError(t, l.task(func(ctx context.Context) error {
		ctx.(*Task).wake()
		l.post(func() { ran = true })
		err := Yield(ctx)
		require.True(t, ran)
		return err
	}))
}

func TestYieldEnded(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		ctx, cancel := context.WithCancelCause(t.Context())
		require.NoError(t, run(ctx, Yield))
		cancel(errTest)
		require.ErrorIs(t, run(ctx, Yield), errTest)
	})
	l.do(func() { require.Equal(t, ErrNoTask, Yield(t.Context())) })
}

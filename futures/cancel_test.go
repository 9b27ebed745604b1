package futures

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// places are those from which an operation of a loop may be awaited.
func places(t *testing.T, l *loop, test func(t *testing.T, run func(ctx context.Context, fn func(ctx context.Context) error) error)) {
	other := newLoop(t)
	onLoop := func(l *loop) func(context.Context, func(context.Context) error) error {
		return func(ctx context.Context, fn func(context.Context) error) error {
			ended := make(chan error, 1)
			l.do(func() { l.scheduler.StartWatching(ctx, fn, func(err error) { ended <- err }) })
			return <-ended
		}
	}
	t.Run("task", func(t *testing.T) { test(t, onLoop(l)) })
	t.Run("task of another loop", func(t *testing.T) { test(t, onLoop(other)) })
	t.Run("derived context", func(t *testing.T) {
		test(t, func(ctx context.Context, fn func(context.Context) error) error {
			return onLoop(l)(ctx, func(task context.Context) error {
				ctx, cancel := context.WithCancel(task)
				defer cancel()
				return fn(ctx)
			})
		})
	})
	t.Run("goroutine", func(t *testing.T) {
		test(t, func(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) })
	})
	t.Run("leaked context", func(t *testing.T) {
		test(t, func(ctx context.Context, fn func(context.Context) error) error {
			result := make(chan error, 1)
			err := onLoop(l)(ctx, func(ctx context.Context) error {
				_, err := Blocking(context.WithoutCancel(ctx), func() (int, error) {
					result <- fn(ctx)
					return 0, nil
				})
				return err
			})
			require.NoError(t, err)
			return <-result
		})
	})
}

func TestContextEndsOperation(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		for name, c := range map[string]struct {
			terminal func(op *operation)
			check    func(v int, err error)
		}{
			"ends at once": {
				func(op *operation) { op.Fail(ErrCanceled) },
				func(v int, err error) { require.ErrorIs(t, err, errTest) },
			},
			"ends later": {
				func(op *operation) { l.post(func() { op.Fail(ErrCanceled) }) },
				func(v int, err error) { require.ErrorIs(t, err, errTest) },
			},
			"succeeds all the same": {
				func(op *operation) { l.post(func() { op.Resolve(9) }) },
				func(v int, err error) {
					require.NoError(t, err)
					require.Equal(t, 9, v)
				},
			},
			"says how far it got": {
				func(op *operation) { l.post(func() { op.Settle(4, fmt.Errorf("4 of 9: %w", ErrCanceled)) }) },
				func(v int, err error) {
					require.ErrorIs(t, err, errTest)
					require.ErrorContains(t, err, "4 of 9")
					require.Equal(t, 4, v)
				},
			},
			"fails otherwise": {
				func(op *operation) { l.post(func() { op.Fail(errors.ErrUnsupported) }) },
				func(v int, err error) {
					require.Equal(t, errors.ErrUnsupported, err)
				},
			},
		} {
			t.Run(name, func(t *testing.T) {
				for _, before := range []bool{true, false} {
					op := newOperation(l)
					op.cancel = func() { c.terminal(op) }
					f := op.Future()
					ctx, cancel := context.WithCancelCause(t.Context())
					err := run(ctx, func(ctx context.Context) error {
						if before {
							cancel(errTest)
							<-ctx.Done()
						} else {
							defer l.post(func() { cancel(errTest) })
							l.post(func() { cancel(errTest) })
						}
						v, err := f.Await(ctx)
						c.check(v, err)
						if errors.Is(err, errTest) {
							require.ErrorIs(t, err, context.Canceled)
						}
						return nil
					})
					require.NoError(t, err)
					l.do(func() {
						require.Equal(t, 1, op.cancels)
						require.False(t, op.Pending())
					})
					cancel(nil)
				}
			})
		}
	})
}

func TestContextEndsWaitForPlainPromise(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		for name, p := range map[string]*Promise[int]{"free": NewPromise[int](), "bound": newBound(l)} {
			t.Run(name, func(t *testing.T) {
				f := p.Future()
				for _, before := range []bool{true, false} {
					ctx, cancel := context.WithCancelCause(t.Context())
					err := run(ctx, func(ctx context.Context) error {
						if before {
							cancel(errTest)
							<-ctx.Done()
						} else {
							l.post(func() { cancel(errTest) })
						}
						_, err := f.Await(ctx)
						return err
					})
					require.ErrorIs(t, err, errTest)
					require.ErrorIs(t, err, context.Canceled)
				}
				require.True(t, p.Pending(), "the promise is left alone")
				l.do(func() {
					require.Nil(t, p.others.first, "nothing is left behind")
					require.Nil(t, p.task)
				})
				p.Resolve(1)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				require.NoError(t, run(ctx, func(ctx context.Context) error {
					_, err := f.Await(ctx)
					return err
				}), "a result counts more than an ended context")
			})
		}
	})
}

func TestDerivedTimeout(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	op.cancel = func() { op.Fail(ErrCanceled) }
	err := l.task(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, errTest, 1), time.Millisecond)
		defer cancel()
		_, err := renew(&op.Promise).Await(ctx)
		return err
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	l.do(func() { require.Equal(t, 1, op.cancels) })
}

func TestFutureCancel(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	op.cancel = func() { l.post(func() { op.Fail(ErrCanceled) }) }
	var f Future[int]
	for i := range 3 {
		l.do(func() { f = renew(&op.Promise) })
		f.Cancel()
		f.Cancel()
		_, err := f.Await(t.Context())
		require.Equal(t, ErrCanceled, err)
		f.Cancel()
		l.do(func() { require.Equal(t, i+1, op.cancels, "the producer hears of it once") })
	}
	for _, p := range []*Promise[int]{NewPromise[int](), newBound(l)} {
		f := p.Future()
		f.Cancel()
		_, err := f.Await(t.Context())
		require.Equal(t, ErrCanceled, err)
	}
}

type cancelerFunc func()

func (c cancelerFunc) Cancel() { c() }

func TestFreePromiseWithCanceler(t *testing.T) {
	l := newLoop(t)
	places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
		ctx, cancel := context.WithCancel(t.Context())
		p := NewPromise[int]()
		p.SetCanceler(cancelerFunc(func() {
			require.True(t, p.Pending(), "no lock is held")
			go p.Fail(ErrCanceled)
		}))
		err := run(ctx, func(ctx context.Context) error {
			go cancel()
			_, err := p.Future().Await(ctx)
			return err
		})
		require.Equal(t, context.Canceled, err)
	})
}

// The context of a task that does not end with it does not end the wait
// either.
func TestWithoutCancel(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	ended := make(chan error, 1)
	task := l.start(func(ctx context.Context) error {
		_, err := renew(&op.Promise).Await(context.WithoutCancel(ctx))
		return err
	}, func(err error) { ended <- err })
	task.Cancel(nil)
	l.do(func() {})
	l.do(func() {
		require.Zero(t, op.cancels)
		op.Resolve(1)
	})
	require.NoError(t, <-ended)
}

// One task awaits with the context of another.
func TestContextOfAnotherTask(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	op.cancel = func() { op.Fail(ErrCanceled) }
	var f Future[int]
	l.do(func() { f = renew(&op.Promise) })
	first := NewPromise[int]()
	lender := l.start(func(ctx context.Context) error {
		_, err := first.Future().Await(context.WithoutCancel(ctx))
		return err
	}, nil)
	ended := make(chan error, 1)
	l.start(func(context.Context) error {
		_, err := f.Await(lender)
		return err
	}, func(err error) { ended <- err })
	l.do(func() {})
	lender.Cancel(errTest)
	require.ErrorIs(t, <-ended, errTest)
	first.Resolve(0)
}

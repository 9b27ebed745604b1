package futures

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// awaits is a sequence whose body awaits, in a coroutine in a coroutine and so on.
func awaits(depth int, await func() (int, error)) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		if depth == 0 {
			for {
				if v, err := await(); !yield(v, err) || err != nil {
					return
				}
			}
		}
		next, stop := iter.Pull2(awaits(depth-1, await))
		defer stop()
		for {
			v, err, ok := next()
			if !ok || !yield(v, err) {
				return
			}
		}
	}
}

// later resolves the next operation of p in a later turn, and awaits it.
func later(l *loop, p *Promise[int], ctx context.Context) func() (int, error) {
	n := 0
	return func() (int, error) {
		n++
		f := renew(p)
		v := n
		l.post(func() { p.Resolve(v) })
		return f.Await(ctx)
	}
}

// A task pulls from a sequence that awaits: the sequence runs in a coroutine of its
// own, on the loop's thread, and parks the task.
func TestAwaitInCoroutineOfTask(t *testing.T) {
	l := newLoop(t)
	const tasks, values = 3, 50
	for depth := range 4 {
		for name, derive := range map[string]func(context.Context) context.Context{
			"task":       func(ctx context.Context) context.Context { return ctx },
			"derived":    func(ctx context.Context) context.Context { return context.WithValue(ctx, errTest, 1) },
			"background": func(context.Context) context.Context { return context.Background() },
		} {
			ended := make(chan error, tasks)
			for range tasks {
				l.start(func(ctx context.Context) error {
					p := newBound(l)
					next, stop := iter.Pull2(awaits(depth, later(l, p, derive(ctx))))
					defer stop()
					for i := 1; i <= values; i++ {
						v, err, ok := next()
						if !ok || err != nil || v != i || !l.Inside() {
							return errors.New("wrong value")
						}
						if i%7 == 0 { // the function itself awaits in between
							if err := Resolved(1).error(ctx); err != nil {
								return err
							}
							other := NewPromise[int]()
							l.post(func() { other.Resolve(1) })
							if err := other.Future().error(derive(ctx)); err != nil {
								return err
							}
						}
					}
					return nil
				}, func(err error) { ended <- err })
			}
			for range tasks {
				require.NoError(t, <-ended, name)
			}
		}
	}
	l.do(func() { require.Nil(t, l.scheduler.Current()) })
}

func TestCancelWhileCoroutineOfTaskWaits(t *testing.T) {
	l := newLoop(t)
	for depth := range 3 {
		op := newOperation(l)
		op.cancel = func() { l.post(func() { op.Fail(ErrCanceled) }) }
		ended := make(chan error, 1)
		task := l.start(func(ctx context.Context) error {
			next, stop := iter.Pull2(awaits(depth, func() (int, error) { return renew(&op.Promise).Await(ctx) }))
			defer stop()
			for {
				if _, err, _ := next(); err != nil {
					return err
				}
			}
		}, func(err error) { ended <- err })
		for waits := false; !waits; {
			l.do(func() { waits = op.task != nil })
		}
		task.Cancel(errTest)
		require.ErrorIs(t, <-ended, errTest)
	}
}

// The coroutine of a task panics or exits after it has waited; so does the task.
func TestCoroutineOfTaskEnds(t *testing.T) {
	l := newLoop(t)
	for depth := range 3 {
		for name, c := range map[string]struct {
			end   func()
			check func(err error)
		}{
			"panic":  {func() { panic(errTest) }, func(err error) { require.ErrorIs(t, err, errTest) }},
			"Goexit": {runtime.Goexit, func(err error) { require.Equal(t, ErrGoexit, err) }},
		} {
			t.Run(name, func(t *testing.T) {
				c.check(l.task(func(ctx context.Context) error {
					await := later(l, newBound(l), ctx)
					n := 0
					next, stop := iter.Pull2(awaits(depth, func() (int, error) {
						if n++; n == 3 {
							defer func() { _, _ = await() }() // and waits on the way out
							c.end()
						}
						return await()
					}))
					defer stop()
					for {
						next()
					}
				}))
				require.NoError(t, l.task(func(ctx context.Context) error {
					_, err := later(l, newBound(l), ctx)()
					return err
				}), "the loop lives")
			})
		}
	}
}

// A task leaves a sequence before its end: what the sequence does then may wait.
func TestCoroutineOfTaskStopped(t *testing.T) {
	l := newLoop(t)
	cleaned := false
	require.NoError(t, l.task(func(ctx context.Context) error {
		await := later(l, newBound(l), ctx)
		next, stop := iter.Pull(func(yield func(int) bool) {
			defer func() {
				v, _ := await()
				cleaned = v == 2
			}()
			v, _ := await()
			yield(v)
		})
		v, _ := next()
		require.Equal(t, 1, v)
		stop()
		return nil
	}))
	require.True(t, cleaned)
}

// A coroutine that one task has begun and another goes on with parks whoever runs
// it.
func TestCoroutineOfTwoTasks(t *testing.T) {
	l := newLoop(t)
	var next func() (int, error, bool)
	var stop func()
	pull := func(ctx context.Context) error {
		v, err, ok := next()
		if err != nil || !ok || v == 0 {
			return errors.New("wrong value")
		}
		return nil
	}
	require.NoError(t, l.task(func(ctx context.Context) error {
		next, stop = iter.Pull2(awaits(1, later(l, newBound(l), context.WithoutCancel(ctx))))
		return pull(ctx)
	}))
	require.NoError(t, l.task(pull))
	require.NoError(t, l.task(func(context.Context) error { stop(); return nil }))
}

// In a coroutine of a callback there is no task that could wait.
func TestAwaitInCoroutineOfCallback(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	l.do(func() {
		next, stop := iter.Pull2(awaits(1, func() (int, error) { return p.Future().Await(context.Background()) }))
		defer stop()
		_, err, _ := next()
		require.Equal(t, ErrNoTask, err)
	})
}

// A task awaits with a context that has nothing to do with it.
func TestAwaitWithForeignContext(t *testing.T) {
	l, other := newLoop(t), newLoop(t)
	waiting := NewPromise[int]()
	foreign := other.start(func(ctx context.Context) error {
		return waiting.Future().error(context.Background())
	}, nil)
	defer waiting.Resolve(1)
	for name, ctx := range map[string]context.Context{
		"background":           context.Background(),
		"task of another loop": foreign,
		"derived from that":    context.WithValue(foreign, errTest, 1),
	} {
		for kind, p := range map[string]*Promise[int]{"bound": newBound(l), "free": NewPromise[int](), "of another loop": newBound(other)} {
			t.Run(name+", "+kind, func(t *testing.T) {
				f := p.Future()
				turned := false
				require.NoError(t, l.task(func(context.Context) error {
					l.post(func() { turned = true; p.Resolve(7) })
					v, err := f.Await(ctx)
					require.Equal(t, 7, v)
					return err
				}))
				require.True(t, turned)
			})
		}
	}
	t.Run("that ends", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		op := newOperation(l)
		op.cancel = func() { l.post(func() { op.Fail(ErrCanceled) }) }
		require.ErrorIs(t, l.task(func(context.Context) error {
			l.post(func() { cancel(errTest) })
			return renew(&op.Promise).error(ctx)
		}), errTest)
	})
}

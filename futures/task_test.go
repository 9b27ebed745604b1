package futures

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTaskIsItsContext(t *testing.T) {
	l := newLoop(t)
	type key struct{}
	deadline := time.Now().Add(time.Hour)
	parent, cancel := context.WithDeadline(context.WithValue(t.Context(), key{}, "value"), deadline)
	defer cancel()
	ended := make(chan error, 1)
	var task *Task
	l.do(func() {
		task = l.scheduler.Start(parent, func(ctx context.Context) error {
			require.Equal(t, context.Context(task), ctx)
			require.Equal(t, task, l.scheduler.Current())
			require.Equal(t, "value", ctx.Value(key{}))
			d, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, deadline, d)
			require.NoError(t, ctx.Err())
			require.NoError(t, context.Cause(ctx))
			return errTest
		}, func(err error) {
			require.True(t, l.Inside())
			require.Nil(t, l.scheduler.Current())
			require.Zero(t, l.scheduler.Len())
			ended <- err
		})
		require.Equal(t, 1, l.scheduler.Len())
	})
	require.Equal(t, errTest, <-ended)
	<-task.Done()
	require.Equal(t, context.Canceled, task.Err(), "the context ends with the function")
	require.Equal(t, context.Canceled, context.Cause(task))
}

func TestTaskCancel(t *testing.T) {
	l := newLoop(t)
	p := NewPromise[int]()
	ended := make(chan error, 1)
	parent, cancelParent := context.WithCancelCause(t.Context())
	var task *Task
	l.do(func() {
		task = l.scheduler.Start(parent, func(ctx context.Context) error {
			_, err := p.Future().Await(ctx)
			return err
		}, func(err error) { ended <- err })
	})
	done := task.Done()
	derived, cancel := context.WithCancel(task)
	defer cancel()
	require.NotNil(t, task.after, "deriving registers, instead of starting a goroutine")
	dropped, drop := context.WithCancel(task)
	drop()
	require.Nil(t, task.after.next, "and leaves nothing behind")
	var order []int
	for i := range 3 {
		stop := task.AfterFunc(func() { order = append(order, i) })
		if i == 1 {
			require.True(t, stop())
			require.False(t, stop())
		}
	}
	cancelParent(errors.New("not watched"))
	require.NoError(t, task.Err())
	task.Cancel(errTest)
	task.Cancel(errors.New("second"))
	<-done
	require.Equal(t, context.Canceled, derived.Err(), "derived contexts end before Cancel returns")
	require.Equal(t, context.Canceled, task.Err())
	require.Equal(t, errTest, context.Cause(task))
	require.Equal(t, errTest, context.Cause(derived))
	require.Equal(t, context.Canceled, context.Cause(dropped))
	require.Len(t, order, 2)
	require.ErrorIs(t, <-ended, errTest)
	late := make(chan bool)
	stop := task.AfterFunc(func() { close(late) })
	<-late
	require.False(t, stop())
}

func TestStartWatching(t *testing.T) {
	l := newLoop(t)
	p := NewPromise[int]()
	for _, before := range []bool{true, false} {
		parent, cancel := context.WithCancelCause(t.Context())
		if before {
			cancel(errTest)
		}
		ended := make(chan error, 1)
		l.do(func() {
			l.scheduler.StartWatching(parent, func(ctx context.Context) error {
				_, err := p.Future().Await(ctx)
				return err
			}, func(err error) { ended <- err })
		})
		cancel(errTest)
		require.ErrorIs(t, <-ended, errTest)
	}
	parent, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	ended := make(chan error, 1)
	l.do(func() {
		l.scheduler.StartWatching(parent, func(ctx context.Context) error {
			_, err := p.Future().Await(ctx)
			return err
		}, func(err error) { ended <- err })
	})
	err := <-ended
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NotErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, context.DeadlineExceeded.Error())
}

func TestTaskCanceledBeforeItRuns(t *testing.T) {
	l := newLoop(t)
	ended := make(chan error, 1)
	l.do(func() {
		l.scheduler.Start(t.Context(), func(ctx context.Context) error { return ctx.Err() },
			func(err error) { ended <- err }).Cancel(nil)
	})
	require.Equal(t, context.Canceled, <-ended)
}

func TestTaskPanics(t *testing.T) {
	l := newLoop(t)
	for range 10 {
		err := l.task(func(ctx context.Context) error { panic(errTest) })
		var p *PanicError
		require.ErrorAs(t, err, &p)
		require.ErrorIs(t, err, errTest)
		require.Contains(t, string(p.Stack), "TestTaskPanics")
		require.Error(t, l.task(func(ctx context.Context) error { panic(nil) }))
	}
	l.do(func() { require.Len(t, l.scheduler.idle, 1, "the coroutine is used again") })
}

func TestGoexit(t *testing.T) {
	l := newLoop(t)
	p := NewPromise[int]()
	const n = 1000
	ended := make(chan error, n)
	for i := range n {
		l.start(func(ctx context.Context) error {
			defer func() {
				_, err := p.Future().Await(ctx) // waiting on the way out
				require.NoError(t, err)
			}()
			if i%2 == 0 {
				_, err := p.Future().Await(ctx)
				require.NoError(t, err)
			}
			runtime.Goexit()
			return nil
		}, func(err error) { ended <- err })
	}
	p.Resolve(1)
	for range n {
		require.Equal(t, ErrGoexit, <-ended)
	}
	require.NoError(t, l.task(func(context.Context) error { return nil }), "the loop lives")
	l.do(func() { l.scheduler.Close() })
	require.Zero(t, coroutines(), "and no coroutine is left")
}

// A function that exits and panics on the way out ends as one that panics: the Goexit
// must not reach the loop.
func TestPanicWhileGoexit(t *testing.T) {
	l := newLoop(t)
	for range 3 {
		var p *PanicError
		require.ErrorAs(t, l.task(func(ctx context.Context) error {
			defer func() { panic(errTest) }()
			runtime.Goexit()
			return nil
		}), &p)
		require.Equal(t, errTest, p.Value)
	}
	l.do(func() {
		require.Nil(t, l.scheduler.Current())
		require.Zero(t, l.scheduler.Len())
	})
	require.NoError(t, l.task(func(context.Context) error { return nil }), "the loop lives")
}

// coroutines counts those of all loops.
func coroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "futures.(*coroutine).live(")
}

func TestCloseEndsCoroutines(t *testing.T) {
	l := newLoop(t)
	p := NewPromise[int]()
	const n = maxIdle + 100
	ended := make(chan error, n)
	for range n {
		l.start(func(ctx context.Context) error {
			_, err := p.Future().Await(ctx)
			return err
		}, func(err error) { ended <- err })
	}
	l.do(func() { require.Panics(t, l.scheduler.Close, "tasks are running") })
	p.Resolve(1)
	for range n {
		require.NoError(t, <-ended)
	}
	require.NotZero(t, coroutines())
	l.do(func() {
		require.Len(t, l.scheduler.idle, maxIdle)
		l.scheduler.Close()
	})
	require.Zero(t, coroutines())
	require.NoError(t, l.task(func(context.Context) error { return nil }), "it may be used again")
}

func TestDonePanics(t *testing.T) {
	l := newLoop(t)
	l.start(func(context.Context) error { return nil }, func(error) { panic("done") })
	require.Equal(t, "done", <-l.panics)
}

func TestCancelAll(t *testing.T) {
	l := newLoop(t)
	ops, fs := operations(l, 5)
	ended := make(chan error, len(fs))
	for _, f := range fs {
		l.start(func(ctx context.Context) error { return f.error(ctx) }, func(err error) { ended <- err })
	}
	ops[2].Resolve(1) // out of the middle of the list
	require.NoError(t, <-ended)
	l.do(func() { l.scheduler.CancelAll(errTest) })
	for range 4 {
		require.ErrorIs(t, <-ended, errTest)
	}
	l.do(func() {
		require.Nil(t, l.scheduler.tasks)
		require.Zero(t, l.scheduler.Len())
	})
}

// Wake-ups that are late, early or for nobody do no harm.
func TestNeedlessWakes(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	ended := make(chan error, 1)
	const n = 100
	task := l.start(func(ctx context.Context) error {
		for i := range n {
			v, err := renew(&op.Promise).Await(ctx)
			if err != nil || v != i {
				return errors.New("wrong result")
			}
		}
		return nil
	}, func(err error) { ended <- err })
	for i := range n {
		task.wake()
		l.do(func() { op.Resolve(i); task.wake(); task.wake() })
	}
	require.NoError(t, <-ended)
	task.wake()
	task.Cancel(nil)
	require.NoError(t, l.task(func(context.Context) error { return nil }))
}

func TestGo(t *testing.T) {
	l := newLoop(t)
	test := func(t *testing.T, ctx context.Context, onLoop bool) {
		v, err := Go(ctx, func(ctx context.Context) (int, error) {
			require.Equal(t, onLoop, l.Inside())
			return 6, nil
		}).Await(ctx)
		require.NoError(t, err)
		require.Equal(t, 6, v)
		_, err = Go(ctx, func(context.Context) (int, error) { panic(errTest) }).Await(ctx)
		require.ErrorIs(t, err, errTest)
		_, err = Go(ctx, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }).Await(ctx)
		require.Equal(t, ErrGoexit, err)

		wait := func(ctx context.Context) (int, error) {
			return 1, Future[int]{promise: NewPromise[int]()}.error(ctx)
		}
		child := Go(ctx, wait)
		child.Cancel()
		_, err = child.Await(ctx)
		require.ErrorIs(t, err, ErrCanceled)

		limited, cancel := context.WithCancelCause(ctx)
		child = Go(limited, wait)
		cancel(errTest)
		_, err = child.Await(ctx)
		require.ErrorIs(t, err, errTest)
		_, err = Go(ctx, wait).Await(limited)
		require.ErrorIs(t, err, errTest)
	}
	t.Run("goroutine", func(t *testing.T) { test(t, t.Context(), false) })
	t.Run("task", func(t *testing.T) {
		require.NoError(t, l.task(func(ctx context.Context) error {
			test(t, ctx, true)
			return nil
		}))
	})
}

func (f Future[T]) error(ctx context.Context) error {
	_, err := f.Await(ctx)
	return err
}

func TestChildEndsWithParent(t *testing.T) {
	l := newLoop(t)
	var child Future[int]
	require.NoError(t, l.task(func(ctx context.Context) error {
		child = Go(ctx, func(ctx context.Context) (int, error) {
			return NewPromise[int]().Future().Await(ctx)
		})
		return nil
	}))
	_, err := child.Await(t.Context())
	require.Equal(t, context.Canceled, err)
}

func TestBlocking(t *testing.T) {
	l := newLoop(t)
	test := func(ctx context.Context) error {
		v, err := Blocking(ctx, func() (int, error) {
			require.False(t, l.Inside())
			return 2, errTest
		})
		require.Equal(t, errTest, err)
		require.Equal(t, 2, v)
		_, err = Blocking(ctx, func() (int, error) { panic(errTest) })
		require.ErrorIs(t, err, errTest)
		_, err = Blocking(ctx, func() (int, error) { runtime.Goexit(); return 0, nil })
		require.Equal(t, ErrGoexit, err)

		ctx, cancel := context.WithCancelCause(ctx)
		begun, finish := make(chan bool), make(chan bool)
		go func() { <-begun; cancel(errTest) }()
		_, err = Blocking(ctx, func() (int, error) { close(begun); <-finish; return 1, nil })
		require.ErrorIs(t, err, errTest)
		close(finish)
		_, err = Blocking(ctx, func() (int, error) { panic("not run") })
		require.ErrorIs(t, err, errTest)
		return nil
	}
	require.NoError(t, test(t.Context()))
	require.NoError(t, l.task(test))
}

func TestBlockingIsBounded(t *testing.T) {
	l := newLoop(t)
	const n = 3 * maxBlocking
	release := make(chan bool)
	ended := make(chan error, n)
	for range n {
		l.start(func(ctx context.Context) error {
			_, err := Blocking(ctx, func() (int, error) { <-release; return 0, nil })
			return err
		}, func(err error) { ended <- err })
	}
	l.do(func() {})
	l.do(func() {
		require.Equal(t, maxBlocking, l.scheduler.pool.busy)
		require.Equal(t, n-maxBlocking, l.scheduler.pool.waiting.Len())
	})
	close(release)
	for range n {
		require.NoError(t, <-ended)
	}
}

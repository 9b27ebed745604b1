package futures

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

var errTest = errors.New("test")

func TestZeroFuture(t *testing.T) {
	l := newLoop(t)
	var f Future[string]
	v, err := f.Await(t.Context())
	require.NoError(t, err)
	require.Empty(t, v)
	_, err = f.Result()
	require.NoError(t, err)
	require.True(t, f.Ready())
	<-f.Done()
	f.Cancel()
	called := make(chan error)
	f.Then(func(_ string, err error) { called <- err })
	require.NoError(t, <-called)
	require.NoError(t, l.task(func(ctx context.Context) error {
		_, err := f.Await(ctx)
		return err
	}))
}

func TestFreePromise(t *testing.T) {
	p := NewPromise[int]()
	f := p.Future()
	require.Equal(t, f, p.Future(), "handles of one operation are equal")
	require.True(t, p.Pending())
	require.False(t, f.Ready())
	_, err := f.Result()
	require.ErrorIs(t, err, ErrPending)
	var order []string
	f.Then(func(v int, err error) { order = append(order, "first") })
	f.Then(func(v int, err error) { order = append(order, "second") })
	go p.Resolve(7)
	for range 2 { // awaiting twice gives the same twice
		v, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, v)
	}
	<-f.Done()
	require.False(t, p.Resolve(8), "the second result is ignored")
	require.False(t, p.Fail(errTest))
	v, err := f.Result()
	require.NoError(t, err)
	require.Equal(t, 7, v)
	require.False(t, p.Pending())
	late := make(chan int)
	f.Then(func(v int, err error) { late <- v })
	require.Equal(t, 7, <-late)
}

func TestThenOrder(t *testing.T) {
	p := NewPromise[int]()
	var got []int
	for i := range 5 {
		p.Future().Then(func(v int, _ error) { got = append(got, i*v) })
	}
	p.Resolve(10)
	require.Equal(t, []int{0, 10, 20, 30, 40}, got)
}

func TestAwaitInTask(t *testing.T) {
	l := newLoop(t)
	for name, p := range map[string]*Promise[int]{"free": NewPromise[int](), "bound": newBound(l)} {
		t.Run(name, func(t *testing.T) {
			f := p.Future()
			ended := make(chan error, 2)
			for range 2 { // the second one finds the inline slot taken
				l.start(func(ctx context.Context) error {
					for range 2 {
						v, err := f.Await(ctx)
						if err != nil || v != 3 {
							return errors.New("wrong result")
						}
					}
					return nil
				}, func(err error) { ended <- err })
			}
			l.do(func() { require.Equal(t, 2, l.scheduler.Len(), "the tasks wait") })
			l.do(func() { p.Resolve(3) })
			require.NoError(t, <-ended)
			require.NoError(t, <-ended)
		})
	}
}

func TestResolveElsewhere(t *testing.T) {
	l := newLoop(t)
	for name, p := range map[string]*Promise[int]{"free": NewPromise[int](), "bound": newBound(l)} {
		t.Run(name, func(t *testing.T) {
			f := p.Future()
			ended := make(chan error, 1)
			l.start(func(ctx context.Context) error {
				_, err := f.Await(ctx)
				if !l.Inside() {
					return errors.New("the task is not on its loop")
				}
				return err
			}, func(err error) { ended <- err })
			require.True(t, p.Pending())
			p.Fail(errTest)
			require.ErrorIs(t, <-ended, errTest)
		})
	}
}

// A task of one loop waits for a promise of another.
func TestAwaitAcrossLoops(t *testing.T) {
	here, there := newLoop(t), newLoop(t)
	op := newOperation(there)
	op.cancel = func() { op.Fail(ErrCanceled) }
	for range 100 {
		var f Future[int]
		there.do(func() { f = renew(&op.Promise) })
		ended := make(chan error, 1)
		here.start(func(ctx context.Context) error {
			v, err := f.Await(ctx)
			if v != 5 && err == nil {
				return errors.New("wrong value")
			}
			return err
		}, func(err error) { ended <- err })
		there.do(func() { op.Resolve(5) })
		require.NoError(t, <-ended)

		there.do(func() { f = renew(&op.Promise) })
		task := here.start(func(ctx context.Context) error {
			_, err := f.Await(ctx)
			return err
		}, func(err error) { ended <- err })
		task.Cancel(errTest)
		err := <-ended
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errTest)
	}
}

func TestBoundElsewhere(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	f := p.Future()
	require.True(t, p.Pending())
	require.False(t, f.Ready())
	_, err := f.Result()
	require.ErrorIs(t, err, ErrPending)
	done := f.Done()
	require.Equal(t, done, f.Done(), "one channel for everyone")
	called := make(chan bool, 2)
	f.Then(func(v int, err error) { called <- l.Inside() && v == 4 })
	require.True(t, p.Resolve(4))
	<-done
	<-f.Done()
	require.True(t, <-called)
	f.Then(func(v int, err error) { called <- l.Inside() && v == 4 })
	require.True(t, <-called)
	for range 2 {
		v, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, v)
	}
	require.False(t, p.Pending())
}

// A future whose result was taken, and whose promise serves another operation, says
// so. Nothing else does.
func TestStaleHandle(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	var old, current Future[int]
	check := func(t *testing.T, ctx context.Context, thenErr chan error) {
		_, err := old.Await(ctx)
		require.ErrorIs(t, err, ErrStale)
		_, err = old.Result()
		require.ErrorIs(t, err, ErrStale)
		require.True(t, old.Ready())
		<-old.Done()
		old.Cancel()
		old.Then(func(_ int, err error) { thenErr <- err })
		_, err = All(old, old).Await(ctx)
		require.ErrorIs(t, err, ErrStale)
	}
	l.do(func() {
		old = renew(&op.Promise)
		_, ok := op.Renew()
		require.False(t, ok, "an operation is pending")
		op.Resolve(1)
		_, ok = op.Renew()
		require.False(t, ok, "nobody has taken the result")
		require.True(t, old.Ready())
		_, ok = op.Renew()
		require.False(t, ok, "a look at it takes nothing")
		for range 2 {
			v, err := old.Result()
			require.NoError(t, err)
			require.Equal(t, 1, v, "asking again gives it again")
		}
		current = renew(&op.Promise)
	})
	require.NotEqual(t, old, current)
	thenErr := make(chan error, 1)
	check(t, t.Context(), thenErr)
	require.ErrorIs(t, <-thenErr, ErrStale)
	require.NoError(t, l.task(func(ctx context.Context) error {
		check(t, ctx, thenErr)
		return nil
	}))
	require.ErrorIs(t, <-thenErr, ErrStale)
	l.do(func() {
		require.Zero(t, op.cancels)
		op.Resolve(2)
	})
	v, err := current.Result()
	require.NoError(t, err)
	require.Equal(t, 2, v)
}

// Who waited gets the result even if the promise serves the next operation by
// the time that they run.
func TestRenewBeforeWaitersRun(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	got := make(chan int, 8)
	var f Future[int]
	l.do(func() { f = renew(p) })
	for range 3 {
		l.start(func(ctx context.Context) error {
			v, err := f.Await(ctx)
			require.NoError(t, err)
			got <- v
			return nil
		}, nil)
	}
	l.do(func() {}) // they wait now
	l.do(func() {
		p.Resolve(1)
		f.Then(func(v int, err error) { got <- v })
		f.Then(func(v int, err error) { got <- v })
		select {
		case v := <-got:
			require.Fail(t, "no callback inside Then", v)
		default:
		}
		_, ok := p.Renew()
		require.True(t, ok, "two tasks and a callback have it, the others will get it")
		p.Resolve(2)
		_, ok = p.Renew()
		require.False(t, ok, "nobody has taken this one")
	})
	for range 5 {
		require.Equal(t, 1, <-got)
	}
}

func TestThenOnLoop(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	var got []int
	add := func(v int, _ error) { got = append(got, v) }
	l.do(func() {
		f := renew(p)
		f.Then(add)
		f.Then(func(v int, err error) { add(v+1, err) })
		require.Empty(t, got)
		p.Resolve(1)
		require.Equal(t, []int{1, 2}, got, "callbacks run inside Resolve")
		f.Then(func(v int, err error) { add(v+2, err) })
		f.Then(func(v int, err error) { add(v+3, err) })
		require.Len(t, got, 2, "but not inside Then")
	})
	l.do(func() { require.Equal(t, []int{1, 2, 3, 4}, got) })
	l.do(func() { // a callback starts the next operation
		f := renew(p)
		f.Then(func(v int, err error) { renew(p).Then(add) })
		f.Then(add)
		p.Resolve(5)
		require.True(t, p.Pending())
		p.Resolve(6)
		require.Equal(t, []int{1, 2, 3, 4, 5, 6}, got)
	})
}

func TestCallbackPanics(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	got := 0
	l.do(func() {
		f := renew(p)
		f.Then(func(int, error) { panic("inside Resolve") })
		f.Then(func(v int, _ error) { got = v })
		p.Resolve(1)
		f.Then(func(int, error) { panic("posted") })
	})
	require.Equal(t, "inside Resolve", <-l.panics)
	require.Equal(t, "posted", <-l.panics)
	require.Equal(t, 1, got)

	free := NewPromise[int]()
	free.Future().Then(func(int, error) { panic("nobody to tell") })
	free.Future().Then(func(v int, _ error) { got = v })
	require.PanicsWithValue(t, "nobody to tell", func() { free.Resolve(2) })
	require.Equal(t, 2, got, "the others get theirs all the same")
}

func TestLoopEnded(t *testing.T) {
	l := newLoop(t)
	op := newOperation(l)
	f := op.Future()
	l.close()
	_, err := f.Await(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	_, err = f.Result()
	require.ErrorIs(t, err, ErrClosed)
	<-f.Done()
	f.Cancel()
	require.False(t, op.Resolve(1))
	got := make(chan error)
	f.Then(func(_ int, err error) { got <- err })
	require.ErrorIs(t, <-got, ErrClosed)
	_, err = All(f, f).Await(t.Context())
	require.ErrorIs(t, err, ErrClosed)
}

// A loop must not be blocked by a future of no loop either: what would resolve
// it may be behind the caller.
func TestAwaitOfAFreePromiseWithoutTask(t *testing.T) {
	l := newLoop(t)
	p := NewPromise[int]()
	l.do(func() {
		_, err := p.Future().Await(t.Context())
		require.ErrorIs(t, err, ErrNoTask)
	})
	err := l.task(func(ctx context.Context) error {
		l.Post(function(func() { p.Resolve(1) }))
		v, err := p.Future().Await(ctx)
		require.Equal(t, 1, v)
		return err
	})
	require.NoError(t, err)
	l.do(func() {
		v, err := p.Future().Await(context.Background())
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

func TestAwaitWithoutTask(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	l.do(func() {
		f := renew(p)
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, ErrNoTask)
		p.Resolve(1)
		v, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

func TestMisuse(t *testing.T) {
	l := newLoop(t)
	require.Panics(t, func() { NewPromise[int]().Renew() })
	require.Panics(t, func() { newBound(l).SetCanceler(nil) })
}

func TestErrors(t *testing.T) {
	require.ErrorIs(t, ErrCanceled, context.Canceled)
	require.NotErrorIs(t, ErrCanceled, context.DeadlineExceeded)
	err := error(&PanicError{Value: errTest, Stack: []byte("the stack")})
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "the stack")
	require.ErrorContains(t, &PanicError{Value: 42}, "42")
	require.NotErrorIs(t, &PanicError{Value: 42}, errTest)
}

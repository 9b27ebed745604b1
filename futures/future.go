package futures

import "context"

// Future is a handle on a result that may still be to come. It is a small
// comparable value: copy it freely. Any goroutine may use it.
//
// The zero Future has a result already: T's zero value and no error.
//
// A future of a bound promise, as the operations of a loop give it, speaks for
// one operation: once the promise serves the next one the handle is stale, and
// answers ErrStale.
type Future[T any] struct {
	promise    *Promise[T]
	generation uint32
}

// closed is the Done channel of everything that is done.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Await waits for the result and returns it; awaiting again gives it again.
//
// Where ctx is the context of the running task, or derived from it, the task
// gives way to its loop; on an ordinary goroutine, that goroutine waits.
//
// When ctx ends first, what happens depends on the promise:
//   - With a Canceler, the operation is canceled and Await goes on waiting
//     until it has really ended: whenever Await returns, the operation no
//     longer uses the memory it was given. If it succeeded all the same, that is
//     the result. If it ended because of the cancel, the error is ctx's.
//   - Without one, Await stops waiting and returns ctx's error. The future is as
//     it was, for others to wait for.
//
// A future that has a result gives it even if ctx is done already. ctx's error
// satisfies errors.Is for both ctx.Err() and context.Cause(ctx).
//
// Other errors are ErrStale, ErrClosed when the future's loop has ended, and
// ErrNoTask.
func (f Future[T]) Await(ctx context.Context) (T, error) {
	p := f.promise
	if p == nil {
		var zero T
		return zero, nil
	}
	t, ok := ctx.(*Task)
	if ok && p.exec == t.scheduler.exec && p.exec.Inside() && p.generation == f.generation {
		if p.state == resolved {
			return p.taken()
		}
		if t.scheduler.current == t && p.task == nil && !t.over.Load() {
			p.task = t
			t.park()
			if p.generation != f.generation {
				return takeCarried[T](t)
			}
			p.task = nil
			if p.state == resolved {
				return p.taken()
			}
		}
	}
	return f.await(ctx)
}

// await is Await in every case but the frequent one.
//
//go:noinline
func (f Future[T]) await(ctx context.Context) (T, error) {
	t := running(ctx)
	w := &waiter[T]{task: t}
	if t == nil {
		if schedulerOf(ctx) != nil || executors.here() {
			return f.now()
		}
		w.wake = make(chan struct{})
	}
	if !f.promise.subscribe(f.generation, w) {
		return w.outcome.Value, ErrClosed
	}
	if t != nil {
		return f.parkTask(ctx, t, w)
	}
	return f.parkGoroutine(ctx, w)
}

// now is the result, for those on the executor who cannot wait for it.
func (f Future[T]) now() (T, error) {
	v, err := f.Result()
	if err == ErrPending {
		err = ErrNoTask
	}
	return v, err
}

func (f Future[T]) parkGoroutine(ctx context.Context, w *waiter[T]) (T, error) {
	select {
	case <-w.wake:
		return w.outcome.Value, w.outcome.Err
	default:
	}
	select {
	case <-w.wake:
		return w.outcome.Value, w.outcome.Err
	case <-ctx.Done():
	}
	if !f.promise.interrupt(f.generation, w) {
		return *new(T), ErrClosed
	}
	<-w.wake
	return w.outcome.Value, endedBy(ctx, w.outcome.Err)
}

func (f Future[T]) parkTask(ctx context.Context, t *Task, w *waiter[T]) (T, error) {
	if w.settled.Load() {
		return w.outcome.Value, w.outcome.Err
	}
	if stop := t.watch(ctx); stop != nil {
		defer stop()
	}
	interrupted := false
	for !w.settled.Load() {
		// Whoever wakes a task may be late or early; what counts is what holds now.
		if !interrupted && ctx.Err() != nil {
			interrupted = true
			if !f.promise.interrupt(f.generation, w) {
				return *new(T), ErrClosed
			}
			continue
		}
		t.park()
	}
	if interrupted {
		return w.outcome.Value, endedBy(ctx, w.outcome.Err)
	}
	return w.outcome.Value, w.outcome.Err
}

// Then makes fn receive the result. fn never runs inside Then.
//
// With a bound promise fn runs on the executor: inside Resolve, or posted if
// there is a result already. It must not block. Its panic goes to the
// executor's Panicked(value any, stack []byte) if it has that method, else it
// goes on. With a free promise fn runs on the goroutine that resolves it, or
// on one of its own if there is a result already. A panic of fn there is that
// goroutine's: on one of its own it ends the process, as a panic in any goroutine
// does; a loop that resolves it contains it as it does its own callbacks'. Nothing
// is swallowed in silence: fn that may panic where nobody is to catch it recovers
// itself.
//
// fn receives ErrStale and ErrClosed like any result, the latter on a goroutine
// of its own.
func (f Future[T]) Then(fn func(T, error)) {
	p := f.promise
	if p == nil {
		var zero T
		go fn(zero, nil)
		return
	}
	if p.exec != nil && p.exec.Inside() {
		p.thenHere(f.generation, fn)
		return
	}
	p.thenElsewhere(f.generation, fn)
}

// Done returns a channel that is closed when there is a result. On a bound
// promise, from outside of its executor, Done asks the executor and waits for
// the answer.
func (f Future[T]) Done() <-chan struct{} {
	p := f.promise
	if p == nil {
		return closed
	}
	done := closed
	p.read(func() {
		if p.state == resolved || p.generation != f.generation {
			return
		}
		if p.done == nil {
			p.done = make(chan struct{})
		}
		done = p.done
	})
	return done
}

// Result returns the result, or ErrPending without one, without waiting for
// it. On a bound promise, from outside of its executor, Result asks the
// executor and waits for the answer.
func (f Future[T]) Result() (v T, err error) {
	p := f.promise
	if p == nil {
		return v, nil
	}
	if p.exec == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return f.result()
	}
	if p.exec.Inside() {
		return f.result()
	}
	return f.resultElsewhere()
}

// result is Result where the state of the promise may be read.
func (f Future[T]) result() (v T, err error) {
	p := f.promise
	switch {
	case p.generation != f.generation:
		return v, ErrStale
	case p.state == pending:
		return v, ErrPending
	}
	return p.value, p.err
}

//go:noinline
func (f Future[T]) resultElsewhere() (v T, err error) {
	if !askElsewhere(f.promise.exec, func() { v, err = f.result() }) {
		return v, ErrClosed
	}
	return v, err
}

// Ready reports whether Await would return at once. On a bound promise, from
// outside of its executor, Ready asks the executor and waits for the answer.
func (f Future[T]) Ready() bool {
	_, err := f.Result()
	return err != ErrPending
}

// Cancel asks the operation to end. The future gets its result when the
// operation really has ended: ErrCanceled, or what it came to before. A future
// without a Canceler fails with ErrCanceled at once. Cancel does nothing to a
// future that has a result or is stale.
func (f Future[T]) Cancel() {
	if f.promise != nil {
		f.promise.cancel(f.generation)
	}
}

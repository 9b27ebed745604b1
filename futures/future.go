package futures

import "context"

// Future is a result that may still be to come. It is a small comparable value:
// copy it freely. Any goroutine may use it, and none of its methods but Await
// waits for anything.
//
// A future gives its result to everyone who waits for it, and keeps it until
// somebody has taken it, however many operations follow. A result is taken when
// Await or Result returns it, when a callback of Then gets it, or when a combinator
// passes it on. After that the future of a loop's operation may be over: the next
// operation may use its memory, and to ask again is then an error that says so.
// So keep the result rather than the future.
//
// The zero Future has a result already: T's zero value and no error.
type Future[T any] struct {
	promise   *Promise[T]
	operation uint64 // the promise's generation
}

// closed is the Done channel of everything that is done.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Await waits for the result and returns it.
//
// In a task, the task gives way to its loop while it waits, whatever the context.
// An ordinary goroutine waits. In a callback of a loop there is nothing that could
// wait: Await returns the result if there is one and otherwise cancels the
// operation and returns ErrNoTask, once an operation of that loop has let go of its
// memory. One of another loop is only asked to end.
//
// In a callback this holds, too, for an operation that was asked to end before: by
// Cancel, by a deadline, by the end of its connection. Where that takes time, as a read
// does that a device is at work on, Await holds up the loop for so long. What a function
// of Go, FlatMap or Then begins later is not waited for.
//
// When ctx ends first, what happens depends on the promise:
//   - With a Canceler, the operation is canceled and Await goes on waiting until it
//     has really ended. If it succeeded all the same, that is the result. If it
//     ended because of the cancel, the error is ctx's.
//   - Without one, Await stops waiting and returns ctx's error. The future is as
//     it was, for others to wait for.
//
// So when Await returns, for whatever reason, the operation no longer uses the
// memory that it was given. One exception: in a callback of a loop, an operation of
// another loop is only asked to end, for a loop never waits for another one.
//
// A future that has a result gives it even if ctx is done already. ctx's error
// satisfies errors.Is for both ctx.Err() and context.Cause(ctx). That of a deadline
// is os.ErrDeadlineExceeded too, a net.Error with Timeout() true, and not
// context.Canceled. Other errors are
// ErrClosed when the future's loop has ended, and ErrNoTask.
func (f Future[T]) Await(ctx context.Context) (T, error) {
	p := f.promise
	if p == nil {
		var zero T
		return zero, nil
	}
	t, ok := ctx.(*Task)
	if ok && p.exec == t.scheduler.exec && p.exec.Inside() {
		word := p.word.Load()
		switch {
		case word&^flags != f.operation:
		case word&resolved != 0:
			return p.result()
		case t.scheduler.current == t && p.task == nil && !t.over.Load():
			p.task = t
			t.park()
			word = p.word.Load()
			if word&^flags != f.operation {
				return takeCarried[T](t)
			}
			p.task = nil
			if word&resolved != 0 {
				return p.result()
			}
		}
	}
	return f.await(ctx)
}

// await is Await in every case but the frequent one.
//
//go:noinline
func (f Future[T]) await(ctx context.Context) (T, error) {
	w := new(waiter[T])
	if s := schedulerHere(ctx); s == nil {
		w.wake = make(chan struct{})
	} else if w.task = s.current; w.task == nil {
		return f.now(s.exec)
	}
	if !f.promise.subscribe(f.operation, w) {
		return f.promise.resultElsewhere(f.operation)
	}
	if w.task != nil {
		return f.parkTask(ctx, w)
	}
	return f.parkGoroutine(ctx, w)
}

// now is Await in a callback of exec.
func (f Future[T]) now(exec Executor) (T, error) {
	v, err := f.Result()
	if err != ErrPending {
		return v, err
	}
	if f.promise.cancelable() {
		if q, ok := exec.(Quiescer); ok {
			q.Quiesce(f.Cancel)
		} else {
			f.Cancel()
		}
	}
	return v, ErrNoTask
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
	if !f.promise.interrupt(f.operation, w) {
		return f.closed(w)
	}
	<-w.wake
	return w.outcome.Value, endedBy(ctx, w.outcome.Err)
}

func (f Future[T]) parkTask(ctx context.Context, w *waiter[T]) (T, error) {
	if w.settled.Load() {
		return w.outcome.Value, w.outcome.Err
	}
	t := w.task
	if stop := t.watch(ctx); stop != nil {
		defer stop()
	}
	interrupted := false
	for !w.settled.Load() {
		// Whoever wakes a task may be late or early; what counts is what holds now.
		if !interrupted && ctx.Err() != nil {
			interrupted = true
			if !f.promise.interrupt(f.operation, w) {
				return f.closed(w)
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

// closed is the result for one who waited when the executor ended.
func (f Future[T]) closed(w *waiter[T]) (T, error) {
	if w.settled.Load() {
		return w.outcome.Value, w.outcome.Err
	}
	return f.promise.resultElsewhere(f.operation)
}

// Then makes fn receive the result. fn never runs inside Then.
//
// With a bound promise fn runs on the executor: inside Resolve, or posted if
// there is a result already. It must not block. Its panic goes to the
// executor's Panicked(value any, stack []byte) if it has that method, else it
// goes on. With a free promise fn runs on the goroutine that resolves it, or
// on one of its own if there is a result already. A panic of fn there is that
// goroutine's: on one of its own it ends the process, as a panic in any goroutine
// does; a loop that resolves it treats it as a panic of its own callbacks.
//
// When the loop has ended fn receives the result, or ErrClosed without one, on a
// goroutine of its own.
func (f Future[T]) Then(fn func(T, error)) {
	p := f.promise
	if p == nil {
		var zero T
		go fn(zero, nil)
		return
	}
	if p.exec != nil && p.exec.Inside() {
		p.thenHere(f.operation, fn)
		return
	}
	p.thenElsewhere(f.operation, fn)
}

// Done returns a channel that is closed when there is a result. It does not take
// the result: Result does then.
func (f Future[T]) Done() <-chan struct{} {
	p := f.promise
	if p == nil {
		return closed
	}
	word := p.share(f.operation)
	if word&^flags != f.operation || word&(resolved|ended) != 0 {
		return closed
	}
	done, isNew := p.doneChannel()
	if isNew && p.exec != nil && !p.exec.Inside() {
		p.post(func() {}) // is there still an executor?
	}
	return done
}

func (p *Promise[T]) doneChannel() (done <-chan struct{}, isNew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.Pending():
		return closed, false
	case p.done == nil:
		p.done, isNew = make(chan struct{}), true
	}
	return p.done, isNew
}

// Result returns the result, or ErrPending if there is none yet.
func (f Future[T]) Result() (v T, err error) {
	p := f.promise
	switch {
	case p == nil:
		return v, nil
	case p.exec != nil && p.exec.Inside():
		return p.resultHere(f.operation)
	}
	return p.resultElsewhere(f.operation)
}

// Ready reports whether Await would return at once. It does not take the result.
func (f Future[T]) Ready() bool {
	p := f.promise
	if p == nil {
		return true
	}
	var word uint64
	if p.exec == nil || p.exec.Inside() {
		word = p.word.Load()
	} else {
		word = p.share(f.operation)
	}
	return word&^flags != f.operation || word&(resolved|ended) != 0
}

// Cancel asks the operation to end, and does not wait for it. The future gets its
// result when the operation really has ended: ErrCanceled, or what it came to
// before. Until then the operation may use the memory that it was given: Await waits for
// that, in a callback too. A future without a Canceler fails with ErrCanceled at once. Cancel does
// nothing to a future that has a result.
func (f Future[T]) Cancel() {
	if f.promise != nil {
		f.promise.cancel(f.operation)
	}
}

// observe calls fn with the result, which stays where it is: at once if there is
// one, else where a callback of Then runs.
func (f Future[T]) observe(fn func(T, error)) { f.tell(&waiter[T]{call: fn, observes: true}) }

// receive is observe for one who takes the result.
func (f Future[T]) receive(fn func(T, error)) { f.tell(&waiter[T]{call: fn}) }

func (f Future[T]) tell(w *waiter[T]) {
	if f.promise == nil {
		w.call(*new(T), nil)
	} else if !f.promise.subscribe(f.operation, w) {
		w.call(f.promise.resultElsewhere(f.operation))
	}
}

// take notes that somebody takes the result that he has observed. Its error says
// that the producer was faster and has taken it back.
func (f Future[T]) take() error {
	p := f.promise
	if p == nil {
		return nil
	}
	if p.exec != nil && p.exec.Inside() {
		switch word := p.word.Load(); {
		case word&^flags != f.operation || word&resolved == 0: // taken by others before, or ErrClosed
			return nil
		case word&reclaimed != 0:
			return errReclaimed
		}
		p.give()
		return nil
	}
	if _, err := p.resultElsewhere(f.operation); err == errReclaimed {
		return err
	}
	return nil
}

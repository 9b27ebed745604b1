package futures

import (
	"runtime/debug"
	"sync"
)

// Canceler is the producer's side of Cancel: it asks the operation to end.
// The producer must resolve the promise when the operation really has ended,
// within Cancel or later.
//
// It is called once for an operation at most: on the executor for a bound
// promise, on any goroutine and with no lock held for a free one.
type Canceler interface{ Cancel() }

// Recycler is told when the result of a bound promise's operation has been
// taken, by a task's Await or a callback of Then, so that the promise may be
// renewed for another: the future is over then. That is on the executor, and
// possibly several times for one operation. A result that is taken in another
// way, or never, is not reported.
type Recycler interface{ Recycle() }

type state uint8

const (
	pending state = iota
	resolved
)

// Promise is the producer's side of a Future.
//
// NewPromise makes a free promise, which any goroutine may resolve. Bind makes
// a promise part of an executor: its state is touched there alone, without
// locks, and it can be renewed to serve one operation after the other without
// allocating. The zero Promise may be embedded and then bound.
//
// A Promise must not be copied after first use.
type Promise[T any] struct {
	exec       Executor // nil: free
	recycler   Recycler // nil: nobody wants to know
	task       *Task    // parked in Await on the executor; stays until it has run
	generation uint32
	state      state
	started    bool // a handle may have been given out
	canceled   bool // the canceler knows
	value      T
	err        error
	then       func(T, error) // the first callback, or the one posted after the result
	others     waiters[T]
	canceler   Canceler
	mu         sync.Mutex // guards a free promise; a bound one is its executor's
	done       chan struct{}
}

// NewPromise makes a free promise: any goroutine may resolve and await it.
func NewPromise[T any]() *Promise[T] { return &Promise[T]{started: true} }

// Bind makes p a promise of exec, whose operation c cancels; a nil c means
// that there is nothing to cancel. It must be called before p is used.
func (p *Promise[T]) Bind(exec Executor, c Canceler) { p.exec, p.canceler = exec, c }

// SetRecycler has r told when a result has been taken. Call it after Bind, before
// p is used.
func (p *Promise[T]) SetRecycler(r Recycler) { p.recycler = r }

// SetCanceler tells a free promise how to cancel its operation. It does
// nothing for one that is resolved.
func (p *Promise[T]) SetCanceler(c Canceler) {
	if p.exec != nil {
		panic("futures: SetCanceler of a bound promise: give the canceler to Bind")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == pending {
		p.canceler = c
	}
}

// Future returns the handle of the current operation.
func (p *Promise[T]) Future() Future[T] {
	if p.exec == nil {
		return Future[T]{promise: p}
	}
	if p.exec.Inside() {
		p.started = true
		return Future[T]{p, p.generation}
	}
	return p.futureElsewhere()
}

//go:noinline
func (p *Promise[T]) futureElsewhere() (f Future[T]) {
	if !askElsewhere(p.exec, func() { f = p.Future() }) {
		return Failed[T](ErrClosed)
	}
	return f
}

// Renew begins the next operation of a bound promise and returns its handle.
// Earlier handles become stale, but who waits already gets the result there
// was. Only the executor may call it. It panics while an operation is pending;
// a fresh promise has none.
func (p *Promise[T]) Renew() Future[T] {
	if p.exec == nil {
		panic("futures: Renew of a free promise: Bind it first")
	}
	if p.state == resolved {
		if p.task != nil || p.then != nil {
			p.bequeath()
		}
		var none T
		p.value, p.err, p.done = none, nil, nil
		p.state, p.canceled = pending, false
		p.generation++
	} else if p.started {
		panic("futures: Renew while the operation is pending: Resolve it first")
	}
	p.started = true
	return Future[T]{p, p.generation}
}

// bequeath gives the result to those who were promised it but did not run yet.
//
//go:noinline
func (p *Promise[T]) bequeath() {
	outcome := &Outcome[T]{p.value, p.err}
	if t := p.task; t != nil {
		t.carried, p.task = outcome, nil
	}
	if fn := p.then; fn != nil {
		p.then = nil
		p.exec.Post(function(func() { p.call(fn, outcome.Value, outcome.Err) }))
	}
}

func takeCarried[T any](t *Task) (T, error) {
	outcome := t.carried.(*Outcome[T])
	t.carried = nil
	return outcome.Value, outcome.Err
}

// Resolve gives the operation its value, and returns false if it has a result
// already. Callbacks of Then run inside.
//
// A bound promise is resolved on its executor. A call from elsewhere is posted
// there: it returns false only when the executor has ended, and settles
// whatever operation is pending when it gets there.
func (p *Promise[T]) Resolve(v T) bool { return p.settle(v, nil) }

// Fail ends the operation with an error, as Resolve does with a value.
func (p *Promise[T]) Fail(err error) bool {
	var none T
	return p.settle(none, err)
}

// Settle ends the operation with a value and an error, such as a count and why
// it is short; otherwise it is like Resolve.
func (p *Promise[T]) Settle(v T, err error) bool { return p.settle(v, err) }

// Pending reports whether there is no result yet. On a bound promise, from
// outside of its executor, it asks the executor and waits for the answer.
func (p *Promise[T]) Pending() bool {
	if p.exec != nil && p.exec.Inside() {
		return p.state == pending
	}
	return p.pendingElsewhere()
}

//go:noinline
func (p *Promise[T]) pendingElsewhere() (is bool) {
	p.read(func() { is = p.state == pending })
	return is
}

func (p *Promise[T]) settle(v T, err error) bool {
	switch {
	case p.exec == nil:
		return p.settleFree(v, err)
	case !p.exec.Inside():
		return p.settleElsewhere(v, err)
	case p.state == resolved:
		return false
	}
	p.state, p.value, p.err = resolved, v, err
	if p.task != nil { // whose executor is p's
		p.exec.Post((*resumption)(p.task))
	}
	if p.then != nil || p.others.first != nil || p.done != nil {
		p.notify(v, err)
	}
	return true
}

//go:noinline
func (p *Promise[T]) settleElsewhere(v T, err error) bool {
	return p.exec.Post(function(func() { p.settle(v, err) }))
}

func (p *Promise[T]) settleFree(v T, err error) bool {
	p.mu.Lock()
	if p.state == resolved {
		p.mu.Unlock()
		return false
	}
	p.state, p.value, p.err = resolved, v, err
	p.canceler = nil
	others := p.others
	p.others = waiters[T]{}
	if p.done != nil {
		close(p.done)
	}
	p.mu.Unlock()
	p.deliver(&others, v, err)
	return true
}

// notify tells everyone but the inline task. A callback may renew p, so all is
// taken off p before the first one runs.
func (p *Promise[T]) notify(v T, err error) {
	then, others := p.then, p.others
	p.then, p.others = nil, waiters[T]{}
	if p.done != nil {
		close(p.done)
	}
	if others.first != nil {
		defer p.deliver(&others, v, err)
	}
	if then != nil {
		p.call(then, v, err)
		if p.recycler != nil {
			p.recycler.Recycle()
		}
	}
}

// taken is the result, taken by a task. Whoever recycles the promise may renew
// it.
func (p *Promise[T]) taken() (T, error) {
	v, err := p.value, p.err
	if p.recycler != nil {
		p.recycler.Recycle()
	}
	return v, err
}

// deliver settles a list that is off the promise already. Nobody goes without
// because the callback of someone else panics.
func (p *Promise[T]) deliver(others *waiters[T], v T, err error) {
	defer func() {
		if others.first != nil { // only on the way out of a panic
			p.deliver(others, v, err)
		}
	}()
	for w := others.pop(); w != nil; w = others.pop() {
		if w.call != nil {
			p.call(w.call, v, err)
		} else {
			w.settle(v, err)
		}
	}
}

// panicked is what an executor may implement to learn of panics in callbacks.
type panicked interface {
	Panicked(value any, stack []byte)
}

// call runs a callback so that its panic does not hit the resolver.
func (p *Promise[T]) call(fn func(T, error), v T, err error) {
	defer contain(p.exec)
	fn(v, err)
}

func contain(exec Executor) {
	value := recover()
	if value == nil {
		return
	}
	hook, ok := exec.(panicked)
	if !ok {
		panic(value)
	}
	hook.Panicked(value, debug.Stack())
}

// cancel returns false when the executor has ended.
func (p *Promise[T]) cancel(generation uint32) bool {
	if p.exec == nil {
		p.cancelFree()
		return true
	}
	if !p.exec.Inside() {
		return p.exec.Post(function(func() { p.cancel(generation) }))
	}
	if p.generation != generation || p.state == resolved || p.canceled {
		return true
	}
	if p.canceler == nil {
		p.Fail(ErrCanceled)
		return true
	}
	p.canceled = true
	p.canceler.Cancel()
	return true
}

func (p *Promise[T]) cancelFree() {
	p.mu.Lock()
	c, again := p.canceler, p.canceled
	p.canceled = true
	p.mu.Unlock()
	switch {
	case c == nil:
		p.Fail(ErrCanceled)
	case !again:
		c.Cancel()
	}
}

// subscribe adds w to those who wait, or settles it if there is a result. It
// returns false when the executor has ended.
func (p *Promise[T]) subscribe(generation uint32, w *waiter[T]) bool {
	if p.exec != nil && !p.exec.Inside() {
		return p.exec.Post(function(func() { p.subscribe(generation, w) }))
	}
	if p.exec == nil {
		p.mu.Lock()
	}
	add := p.state == pending && p.generation == generation
	if add {
		p.others.add(w)
	}
	if p.exec == nil {
		p.mu.Unlock()
	}
	switch {
	case add:
	case p.generation != generation:
		w.settle(*new(T), ErrStale)
	default:
		w.settle(p.value, p.err)
	}
	return true
}

// interrupt ends the wait of w: by asking the operation to end, which settles w
// in due course, or, where there is nothing to ask, with errLeft. It returns
// false when the executor has ended.
func (p *Promise[T]) interrupt(generation uint32, w *waiter[T]) bool {
	if p.exec == nil {
		p.interruptFree(w)
		return true
	}
	if !p.exec.Inside() {
		return p.exec.Post(function(func() { p.interrupt(generation, w) }))
	}
	switch {
	case p.generation != generation || p.state == resolved:
	case p.canceler != nil:
		p.cancel(generation)
	default:
		p.others.remove(w)
		w.settle(*new(T), errLeft)
	}
	return true
}

func (p *Promise[T]) interruptFree(w *waiter[T]) {
	p.mu.Lock()
	cancelable := p.canceler != nil
	left := p.state == pending && !cancelable && p.others.remove(w)
	p.mu.Unlock()
	switch {
	case left:
		w.settle(*new(T), errLeft)
	case cancelable:
		p.cancelFree()
	}
}

// read runs fn where the state of p may be touched, or returns false when the
// executor has ended.
func (p *Promise[T]) read(fn func()) bool {
	if p.exec != nil {
		return ask(p.exec, fn)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
	return true
}

// thenHere is Then of a bound promise on its executor.
func (p *Promise[T]) thenHere(generation uint32, fn func(T, error)) {
	switch {
	case p.generation != generation:
		p.exec.Post(function(func() { p.call(fn, *new(T), ErrStale) }))
	case p.state == pending && p.then == nil && p.others.first == nil:
		p.then = fn
	case p.state == pending:
		p.others.add(&waiter[T]{call: fn})
	case p.then == nil:
		p.then = fn
		p.exec.Post((*delivery[T])(p))
	default:
		p.thenLater(fn)
	}
}

//go:noinline
func (p *Promise[T]) thenLater(fn func(T, error)) {
	v, err := p.value, p.err
	p.exec.Post(function(func() { p.call(fn, v, err) }))
}

func (p *Promise[T]) thenElsewhere(generation uint32, fn func(T, error)) {
	if p.exec == nil {
		p.thenFree(fn)
		return
	}
	if !p.exec.Post(function(func() { p.subscribeCall(generation, fn) })) {
		go fn(*new(T), ErrClosed)
	}
}

// subscribeCall is thenHere for a call that has been posted already.
func (p *Promise[T]) subscribeCall(generation uint32, fn func(T, error)) {
	switch {
	case p.generation != generation:
		p.call(fn, *new(T), ErrStale)
	case p.state == pending:
		p.others.add(&waiter[T]{call: fn})
	default:
		p.call(fn, p.value, p.err)
	}
}

func (p *Promise[T]) thenFree(fn func(T, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == pending {
		p.others.add(&waiter[T]{call: fn})
		return
	}
	go fn(p.value, p.err)
}

// delivery is a promise as the Runnable that gives its result to the callback
// that came after it.
type delivery[T any] Promise[T]

func (d *delivery[T]) Run() {
	p := (*Promise[T])(d)
	if fn := p.then; fn != nil && p.state == resolved {
		p.then = nil
		p.call(fn, p.value, p.err)
	}
}

// function is a Runnable without state of its own.
type function func()

func (f function) Run() { f() }

// ask runs fn on the executor and waits for it; false if that has ended.
func ask(exec Executor, fn func()) bool {
	if exec.Inside() {
		fn()
		return true
	}
	return askElsewhere(exec, fn)
}

func askElsewhere(exec Executor, fn func()) bool {
	done := make(chan struct{})
	if !exec.Post(function(func() {
		defer close(done)
		fn()
	})) {
		return false
	}
	<-done
	return true
}

package futures

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Canceler is the producer's side of Cancel: it asks the operation to end.
// The producer must resolve the promise when the operation really has ended,
// within Cancel or later.
//
// It is called once for an operation at most, unless it is a Recanceler: on the
// executor for a bound promise, on any goroutine and with no lock held for a free one.
type Canceler interface{ Cancel() }

// CancelFunc is a function as a Canceler.
type CancelFunc func()

// Cancel calls the function.
func (f CancelFunc) Cancel() { f() }

// Recanceler is a Canceler that can be asked more than once. It is what an operation
// needs that uses memory of the caller: an Await in a callback cancels, to wait for the
// end, what may have been canceled before (see Quiescer).
//
// Recancel is called, where Cancel would be, for an operation that has been canceled and
// has no result yet. Within Quiesce it says once more which operations are to be waited
// for; elsewhere it does nothing, or what Cancel does.
type Recanceler interface {
	Canceler
	Recancel()
}

// again is a function as a Recanceler.
type again func()

func (f again) Cancel()   { f() }
func (f again) Recancel() { f() }

// recancel is a cancel of what has been canceled.
func recancel(c Canceler) {
	if r, ok := c.(Recanceler); ok {
		r.Recancel()
	}
}

// Recycler is a Canceler of a bound promise that is also told when the result of an
// operation has been taken, so that the promise may be renewed for the next one. See
// Renew for what taken means.
//
// Recycle is called on the executor, at most once for an operation, just before
// whoever takes the result goes on with it. It is not called for a promise that
// cannot be renewed, because another goroutine asked for the result itself, with
// Result, Ready or Done: that one is left to the garbage collector.
type Recycler interface{ Recycle() }

// A promise's word has the number of the operation, from generation up, and what
// others than the executor need to know of it. The executor settles and renews
// with an atomic operation on the word, others set their flags with one: so a
// renewed promise is never read, and a shared one never renewed.
const (
	resolved   uint64 = 1 << iota // value and err are set
	begun                         // somebody has the future
	shared                        // others than the executor may read them at any time
	taken                         // one of those has
	reclaimed                     // the producer has taken the result back
	ended                         // the executor has, before there was a result
	generation                    // of the first renewal

	flags = generation - 1
)

// Promise is the producer's side of a Future.
//
// NewPromise makes a free promise, which any goroutine may resolve. Bind makes a
// promise part of an executor: it is resolved there alone, without locks, and can
// be renewed to serve one operation after the other without allocating. The zero
// Promise may be embedded and then bound.
//
// A Promise must not be copied after first use.
type Promise[T any] struct {
	exec     Executor // nil: free
	task     *Task    // parked in Await on the executor; stays until it has run
	word     atomic.Uint64
	canceled bool // the canceler knows
	given    bool // the executor has given the result to somebody
	recycles bool // the canceler is a Recycler
	value    T
	err      error
	then     func(T, error) // the first callback, or the one posted after the result
	others   waiters[T]
	canceler Canceler
	mu       sync.Mutex    // guards done and, of a free promise, all but word
	done     chan struct{} // made when Done is first called
}

// NewPromise makes a free promise: any goroutine may resolve and await it.
func NewPromise[T any]() *Promise[T] { return new(Promise[T]) }

// Bind makes p a promise of exec, whose operation c cancels; a nil c means
// that there is nothing to cancel. A c that is a Recycler is told when a result has
// been taken. Bind must be called before p is used.
func (p *Promise[T]) Bind(exec Executor, c Canceler) {
	p.exec, p.canceler = exec, c
	_, p.recycles = c.(Recycler)
}

// SetCanceler tells a free promise how to cancel its operation. It does
// nothing for one that is resolved.
func (p *Promise[T]) SetCanceler(c Canceler) {
	if p.exec != nil {
		panic("futures: SetCanceler of a bound promise: give the canceler to Bind")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Pending() {
		p.canceler = c
	}
}

// Future returns the future of the current operation. Any goroutine may call it.
func (p *Promise[T]) Future() Future[T] {
	word := p.word.Load()
	if word&begun == 0 {
		word = p.word.Or(begun)
	}
	return Future[T]{p, word &^ flags}
}

// Renew begins the next operation of a bound promise and returns its future. Only
// the executor may call it.
//
// It returns false, and the caller needs another promise for its operation, if
//   - the operation is pending,
//   - nobody has taken its result yet, or
//   - another goroutine asked for the result itself: see Recycler.
//
// A result is taken when a task's or a goroutine's Await returns it, Result does,
// a callback of Then gets it, or a combinator passes it on. Those who waited for it
// when it came get it, however late they run. A fresh promise has no result: its
// first Renew succeeds.
func (p *Promise[T]) Renew() (f Future[T], ok bool) {
	if p.exec == nil {
		panic("futures: Renew of a free promise: Bind it first")
	}
	word := p.word.Load()
	if word&(resolved|begun) == 0 {
		return p.Future(), true
	}
	next := word&^flags + generation
	if word&(resolved|shared) != resolved || !p.given || !p.word.CompareAndSwap(word, next|begun) {
		return f, false
	}
	if p.task != nil || p.then != nil {
		p.bequeath()
	}
	var none T
	p.value, p.err = none, nil
	p.given, p.canceled = false, false
	return Future[T]{p, next}, true
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

// Reclaim takes back a result that nobody has taken, for a producer whose
// connection or task has ended: a result may hold something, such as a lease on a
// buffer, that has to be given back. From then on the future answers with an error
// that is ErrClosed for errors.Is, and a bound promise may be renewed.
//
// It returns false if there is no result, if it has been taken, or if it is on its
// way to somebody who waited for it. The executor may call it, or any goroutine
// for a free promise.
func (p *Promise[T]) Reclaim() (v T, ok bool) {
	if p.exec == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
	} else if p.given || p.task != nil || p.then != nil {
		return v, false
	}
	for {
		word := p.word.Load()
		if word&resolved == 0 || word&(taken|reclaimed) != 0 {
			return v, false
		}
		if p.word.CompareAndSwap(word, word|reclaimed) {
			break
		}
	}
	v, p.value = p.value, v
	p.err, p.given = errReclaimed, true
	return v, true
}

// Resolve gives the operation its value, and returns false if it has a result
// already. Callbacks of Then run inside.
//
// A bound promise is resolved on its executor. A call from elsewhere is posted
// there, for the operation that is the current one at the time of the call: it
// returns false only when the executor has ended.
func (p *Promise[T]) Resolve(v T) bool { return p.settle(v, nil) }

// Fail ends the operation with an error, as Resolve does with a value.
func (p *Promise[T]) Fail(err error) bool {
	var none T
	return p.settle(none, err)
}

// Settle ends the operation with a value and an error, such as a count and why
// it is short; otherwise it is like Resolve.
func (p *Promise[T]) Settle(v T, err error) bool { return p.settle(v, err) }

// Bound reports whether p is an executor's.
func (p *Promise[T]) Bound() bool { return p.exec != nil }

// Taken reports whether somebody has taken the result. Only the executor may call
// it, or any goroutine for a free promise.
func (p *Promise[T]) Taken() bool { return p.given || p.word.Load()&taken != 0 }

// Pending reports whether there is no result yet. Any goroutine may call it.
func (p *Promise[T]) Pending() bool { return p.word.Load()&resolved == 0 }

// AwaitedBy reports whether the operation is pending and t, in Await, is the only one who
// waits for it. Only the executor may call it.
func (p *Promise[T]) AwaitedBy(t *Task) bool {
	if !p.Pending() || p.then != nil {
		return false
	}
	w := p.others.first
	if w == nil {
		return t != nil && p.task == t
	}
	return p.task == nil && w.next == w && w.task == t && w.call == nil
}

func (p *Promise[T]) settle(v T, err error) bool {
	switch {
	case p.exec == nil:
		return p.settleFree(v, err)
	case !p.exec.Inside():
		return p.settleElsewhere(v, err)
	case !p.Pending():
		return false
	}
	p.value, p.err = v, err
	word := p.word.Add(resolved)
	if p.task != nil { // whose executor is p's
		p.exec.Post((*resumption)(p.task))
	}
	if p.then != nil || p.others.first != nil || word&shared != 0 {
		p.notify(v, err)
	}
	return true
}

//go:noinline
func (p *Promise[T]) settleElsewhere(v T, err error) bool {
	operation := p.word.Load() &^ flags
	return p.exec.Post(function(func() {
		if p.word.Load()&^flags == operation {
			p.settle(v, err)
		}
	}))
}

func (p *Promise[T]) settleFree(v T, err error) bool {
	p.mu.Lock()
	if !p.Pending() {
		p.mu.Unlock()
		return false
	}
	p.value, p.err = v, err
	p.canceler = nil
	others := p.others
	p.others = waiters[T]{}
	if others.take() {
		p.word.Or(resolved | taken)
	} else {
		p.word.Or(resolved)
	}
	p.closeDone()
	p.mu.Unlock()
	p.deliver(&others, v, err)
	return true
}

// closeDone tells those who wait for the channel of Done. mu is held.
func (p *Promise[T]) closeDone() {
	if p.done != nil && p.done != closed {
		close(p.done)
		p.done = closed
	}
}

// notify tells everyone but the inline task. A callback may renew p, so all is
// taken off p before the first one runs.
func (p *Promise[T]) notify(v T, err error) {
	then, others := p.then, p.others
	p.then, p.others = nil, waiters[T]{}
	if p.word.Load()&shared != 0 {
		p.mu.Lock()
		p.closeDone()
		p.mu.Unlock()
	}
	if then != nil || others.take() {
		p.give()
	}
	if others.first != nil {
		defer p.deliver(&others, v, err)
	}
	if then != nil {
		p.call(then, v, err)
	}
}

// give notes that somebody takes the result, on the executor.
func (p *Promise[T]) give() {
	if p.given {
		return
	}
	p.given = true
	if p.recycles && p.word.Load()&shared == 0 {
		p.canceler.(Recycler).Recycle()
	}
}

// result is the result, taken by the caller, on the executor.
func (p *Promise[T]) result() (T, error) {
	v, err := p.value, p.err
	p.give()
	return v, err
}

// resultHere is the result of an operation, on the executor.
func (p *Promise[T]) resultHere(operation uint64) (v T, err error) {
	switch word := p.word.Load(); {
	case word&^flags != operation:
		return v, ErrStale
	case word&resolved == 0:
		return v, ErrPending
	}
	return p.result()
}

// resultElsewhere is the result of an operation, not on the executor or of a free
// promise. Once it has set its flags p keeps the result.
func (p *Promise[T]) resultElsewhere(operation uint64) (v T, err error) {
	for {
		word := p.word.Load()
		switch {
		case word&^flags != operation:
			return v, ErrStale
		case word&reclaimed != 0:
			return v, errReclaimed
		case word&(resolved|ended) == ended:
			return v, ErrClosed
		case word&resolved == 0:
			if word&shared != 0 || p.word.CompareAndSwap(word, word|shared) {
				return v, ErrPending
			}
		case word&(shared|taken) == shared|taken || p.word.CompareAndSwap(word, word|shared|taken):
			return p.value, p.err
		}
	}
}

// share makes p keep the result of an operation for those who asked for it, and
// returns the word.
func (p *Promise[T]) share(operation uint64) uint64 {
	for {
		word := p.word.Load()
		if word&^flags != operation || word&shared != 0 || p.word.CompareAndSwap(word, word|shared) {
			return word
		}
	}
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
		p.tell(w, v, err)
	}
}

func (p *Promise[T]) tell(w *waiter[T], v T, err error) {
	if w.call != nil {
		p.call(w.call, v, err)
	} else {
		w.settle(v, err)
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

// cancelable reports whether there is somebody to ask for the operation's end.
func (p *Promise[T]) cancelable() bool {
	if p.exec == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	return p.canceler != nil
}

// cancel returns false when the executor has ended.
func (p *Promise[T]) cancel(operation uint64) bool {
	if p.exec == nil {
		p.cancelFree()
		return true
	}
	if !p.exec.Inside() {
		return p.post(func() { p.cancel(operation) })
	}
	word := p.word.Load()
	switch {
	case word&^flags != operation || word&resolved != 0:
	case p.canceler == nil:
		p.Fail(ErrCanceled)
	case p.canceled:
		recancel(p.canceler)
	default:
		p.canceled = true
		p.canceler.Cancel()
	}
	return true
}

func (p *Promise[T]) cancelFree() {
	p.mu.Lock()
	c, canceled := p.canceler, p.canceled
	p.canceled = true
	p.mu.Unlock()
	switch {
	case c == nil:
		p.Fail(ErrCanceled)
	case canceled:
		recancel(c)
	default:
		c.Cancel()
	}
}

// post makes the executor run fn. If it has ended, an operation that is pending
// will not have a result, which is noted for those who ask.
func (p *Promise[T]) post(fn func()) bool {
	if p.exec.Post(function(fn)) {
		return true
	}
	p.word.Or(ended | shared)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeDone()
	return false
}

// subscribe adds w to those who wait, or tells it at once if there is a result.
// It returns false when the executor has ended.
func (p *Promise[T]) subscribe(operation uint64, w *waiter[T]) bool {
	if p.exec != nil && !p.exec.Inside() {
		return p.post(func() { p.subscribe(operation, w) })
	}
	if !p.enlist(operation, w) {
		v, err := p.late(operation, w)
		p.tell(w, v, err)
	}
	return true
}

// enlist adds w to those who wait, if there is something to wait for.
func (p *Promise[T]) enlist(operation uint64, w *waiter[T]) bool {
	if p.exec == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	word := p.word.Load()
	if word&^flags != operation || word&resolved != 0 {
		return false
	}
	p.others.add(w)
	return true
}

// unsubscribe takes w off those who wait. Once the promise has its result, w is about
// to be told, or was.
func (p *Promise[T]) unsubscribe(operation uint64, w *waiter[T]) {
	if p.exec != nil && !p.exec.Inside() {
		p.exec.Post(function(func() { p.unsubscribe(operation, w) }))
		return
	}
	if p.exec == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	if word := p.word.Load(); word&^flags == operation && word&resolved == 0 {
		p.others.remove(w)
	}
}

// late is the result for one who came after it.
func (p *Promise[T]) late(operation uint64, w *waiter[T]) (v T, err error) {
	switch {
	case p.exec == nil && w.observes:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.value, p.err
	case p.exec == nil:
		return p.resultElsewhere(operation)
	case w.observes && p.word.Load()&^flags == operation:
		return p.value, p.err
	}
	return p.resultHere(operation)
}

// interrupt ends the wait of w: by asking the operation to end, which settles w
// in due course, or, where there is nothing to ask, with errLeft. It returns
// false when the executor has ended.
func (p *Promise[T]) interrupt(operation uint64, w *waiter[T]) bool {
	if p.exec == nil {
		p.interruptFree(w)
		return true
	}
	if !p.exec.Inside() {
		return p.post(func() { p.interrupt(operation, w) })
	}
	word := p.word.Load()
	switch {
	case word&^flags != operation || word&resolved != 0:
	case p.canceler != nil:
		p.cancel(operation)
	default:
		p.others.remove(w)
		w.settle(*new(T), errLeft)
	}
	return true
}

func (p *Promise[T]) interruptFree(w *waiter[T]) {
	p.mu.Lock()
	cancelable := p.canceler != nil
	left := p.Pending() && !cancelable && p.others.remove(w)
	p.mu.Unlock()
	switch {
	case left:
		w.settle(*new(T), errLeft)
	case cancelable:
		p.cancelFree()
	}
}

// thenHere is Then of a bound promise on its executor.
func (p *Promise[T]) thenHere(operation uint64, fn func(T, error)) {
	word := p.word.Load()
	switch {
	case word&^flags != operation:
		p.exec.Post(function(func() { p.call(fn, *new(T), ErrStale) }))
	case word&resolved == 0 && p.then == nil && p.others.first == nil:
		p.then = fn
	case word&resolved == 0:
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
	v, err := p.result()
	p.exec.Post(function(func() { p.call(fn, v, err) }))
}

func (p *Promise[T]) thenElsewhere(operation uint64, fn func(T, error)) {
	w := &waiter[T]{call: fn}
	switch {
	case p.exec != nil:
		if !p.subscribe(operation, w) {
			go fn(p.resultElsewhere(operation))
		}
	case !p.enlist(operation, w):
		go fn(p.resultElsewhere(operation))
	}
}

// delivery is a promise as the Runnable that gives its result to the callback
// that came after it.
type delivery[T any] Promise[T]

func (d *delivery[T]) Run() {
	p := (*Promise[T])(d)
	if fn := p.then; fn != nil && !p.Pending() {
		p.then = nil
		v, err := p.result()
		p.call(fn, v, err)
	}
}

// function is a Runnable without state of its own.
type function func()

func (f function) Run() { f() }

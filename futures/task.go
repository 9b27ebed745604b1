package futures

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Task is a function that runs as a coroutine of a loop, and the context that the
// function was given. Any goroutine may use it as a context. While the function
// awaits a future, with whatever context, its loop goes on with other work. A
// coroutine that the function enters (iter.Pull) may await too: the task waits.
//
// The context ends with Cancel, and when the function has returned. Its values
// and deadline are those of the parent. Contexts derived from it start no
// goroutine. context.Cause gives the cause passed to Cancel; without one it may
// give the parent's, if that has ended too.
//
// While a task blocks on anything that this package does not have, such as a channel
// or a sync.Mutex, so does its whole loop: see Mutex. It must not call
// runtime.LockOSThread.
type Task struct {
	// What a switch touches comes first. Of the executor alone, but for over.
	scheduler *Scheduler
	enter     func() (struct{}, bool) // into the coroutine
	leave     func(struct{}) bool     // out of it
	goroutine uintptr                 // whose descriptor is there: see PrefetchStack
	parkedAt  uintptr                 // on its stack, likewise
	phase     phase
	over      atomic.Bool // the context has ended: err is set for good

	coroutine *coroutine
	job       Job
	result    error
	carried   any // the outcome of a wait whose promise was renewed before the task ran
	prev      *Task
	next      *Task       // in the scheduler's list
	unwatch   func() bool // stop watching the parent
	endHooks  *EndHook    // to be told when the function has ended

	// Anybody's.
	parent context.Context

	mu    sync.Mutex
	err   error
	cause context.Context // ended with the cause, for context.Cause to find
	ended chan struct{}   // made when Done is first called
	after *afterFunc
}

type phase uint8

const (
	fresh phase = iota
	active
	parked
	finished
)

var _ context.Context = (*Task)(nil)

type taskKey struct{}

// wake makes the task run again. Any goroutine may call it, and needlessly:
// whoever parks a task looks for itself whether what it waits for has come.
func (t *Task) wake() bool { return t.scheduler.exec.Post((*resumption)(t)) }

// resumption is a task as the Runnable that switches to it.
type resumption Task

func (r *resumption) Run() {
	t := (*Task)(r)
	switch t.phase {
	case fresh:
		t.scheduler.begin(t)
	case parked:
		t.scheduler.resume(t)
	}
}

// park switches to the loop until the task is woken. Only the running task
// may call it. It uses little stack, since idle connections spend their lives
// here.
func (t *Task) park() {
	t.phase = parked
	t.parkedAt = uintptr(unsafe.Pointer(&t))
	t.leave(struct{}{})
}

// watch wakes the running task when ctx ends, for which the task's own context
// needs nothing.
func (t *Task) watch(ctx context.Context) (stop func() bool) {
	if ctx == context.Context(t) {
		return nil
	}
	done := ctx.Done()
	if done == nil || done == t.Done() {
		return nil
	}
	return context.AfterFunc(ctx, func() { t.wake() })
}

// Job is what the task does, nil when it has ended. Only the executor may call it.
func (t *Task) Job() Job { return t.job }

// Ended reports whether the task's function has returned, panicked or exited.
// Only the executor may call it.
func (t *Task) Ended() bool { return t.phase == finished }

// Cancel ends the task's context, with context.Canceled as its error and cause
// for context.Cause; a nil cause means the same error. If the task is parked on
// an operation, that is canceled. Only the first end counts. Any goroutine may
// call it.
func (t *Task) Cancel(cause error) {
	if t.end(context.Canceled, cause) {
		t.wake()
	}
}

// end returns false if the context has ended before.
func (t *Task) end(err, cause error) bool {
	t.mu.Lock()
	if t.err != nil {
		t.mu.Unlock()
		return false
	}
	t.err = err
	if cause != nil && cause != err {
		t.cause = causing(t.parent, cause)
	}
	t.over.Store(true)
	if t.ended != nil {
		close(t.ended)
	}
	after := t.after
	t.after = nil
	for f := after; f != nil; f = f.next {
		f.task = nil // too late to stop
	}
	t.mu.Unlock()
	for ; after != nil; after = after.next {
		after.fn()
	}
	return true
}

// causing is a context in which context.Cause finds cause: the package lets
// nobody else keep one.
func causing(parent context.Context, cause error) context.Context {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	cancel(cause)
	return ctx
}

// Deadline is the parent's.
func (t *Task) Deadline() (time.Time, bool) { return t.parent.Deadline() }

// Done returns a channel that is closed when the context has ended.
func (t *Task) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		if t.err != nil {
			t.ended = closed
		} else {
			t.ended = make(chan struct{})
		}
	}
	return t.ended
}

// Err is nil until the context has ended.
func (t *Task) Err() error {
	if !t.over.Load() {
		return nil
	}
	return t.err // set before over, and never again
}

// Value is the parent's.
func (t *Task) Value(key any) any {
	if key == (taskKey{}) {
		return t
	}
	if t.over.Load() && t.cause != nil {
		return t.cause.Value(key)
	}
	return t.parent.Value(key)
}

// afterFunc is in the list of its task until that ends.
type afterFunc struct {
	task       *Task // nil: stopped or called
	fn         func()
	prev, next *afterFunc
}

// AfterFunc arranges for fn to be called when the context ends, on the
// goroutine that ends it or, if it has ended, on one of its own. fn must not
// block. stop reports whether it kept fn from being called.
//
// It is there for package context, which derives contexts with it; a program
// calls context.AfterFunc.
func (t *Task) AfterFunc(fn func()) (stop func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		go fn()
		return func() bool { return false }
	}
	f := &afterFunc{task: t, fn: fn, next: t.after}
	if f.next != nil {
		f.next.prev = f
	}
	t.after = f
	return func() bool { return t.stopAfter(f) }
}

func (t *Task) stopAfter(f *afterFunc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.task == nil {
		return false
	}
	f.task = nil
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		t.after = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	}
	return true
}

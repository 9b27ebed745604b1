package futures_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"

	"github.com/goproactor/goproactor/futures"
)

// turner is a small executor: a goroutine that is locked to its thread, and does
// what is posted to it. A loop that waits for I/O does that besides.
type turner struct {
	thread int
	mu     sync.Mutex
	some   sync.Cond
	posted []futures.Runnable
	ended  bool
}

// newTurner is one of the caller's thread, to which its goroutine must be locked.
func newTurner() *turner {
	t := &turner{thread: syscall.Gettid()}
	t.some.L = &t.mu
	return t
}

func (t *turner) Post(r futures.Runnable) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.posted = append(t.posted, r)
	t.some.Signal()
	return true
}

// Inside holds for tasks too: they run on the thread of their loop.
func (t *turner) Inside() bool { return syscall.Gettid() == t.thread }

// turn does what is posted, until there are no tasks any more.
func (t *turner) turn(tasks *futures.Scheduler) {
	for tasks.Len() > 0 {
		t.mu.Lock()
		for len(t.posted) == 0 {
			t.some.Wait()
		}
		batch := t.posted
		t.posted = nil
		t.mu.Unlock()
		for _, r := range batch {
			r.Run()
		}
	}
}

// Tasks of an event loop of one's own. The loops of package proactor have all of
// this in them.
func ExampleNewScheduler() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	loop := newTurner()
	tasks := futures.NewScheduler(loop)
	defer tasks.Close()

	answer := futures.NewPromise[string]()
	tasks.Start(context.Background(), func(ctx context.Context) error {
		fmt.Println("one waits, and holds up nobody")
		v, err := answer.Future().Await(ctx)
		fmt.Println("one has", v)
		return err
	}, func(err error) { fmt.Println("one has ended:", err) })
	tasks.Start(context.Background(), func(ctx context.Context) error {
		fmt.Println("two answers")
		answer.Resolve("its answer")
		return nil
	}, nil)
	loop.turn(tasks)
	// Output:
	// one waits, and holds up nobody
	// two answers
	// one has its answer
	// one has ended: <nil>
}

// A task watches its parent only if it is told to.
func ExampleScheduler_StartWatching() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	loop := newTurner()
	tasks := futures.NewScheduler(loop)
	defer tasks.Close()

	parent, cancel := context.WithCancelCause(context.Background())
	tasks.StartWatching(parent, func(ctx context.Context) error {
		go cancel(errors.New("the server ends"))
		_, err := futures.NewPromise[int]().Future().Await(ctx)
		return err
	}, func(err error) { fmt.Println(err, "-", errors.Is(err, context.Canceled)) })
	loop.turn(tasks)
	// Output: context canceled: the server ends - true
}

// Every task ends with what it waits for, and why is in the context.
func ExampleScheduler_CancelAll() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	loop := newTurner()
	tasks := futures.NewScheduler(loop)
	defer tasks.Close()

	shutdown := errors.New("shutting down")
	for range 3 {
		tasks.Start(context.Background(), func(ctx context.Context) error {
			_, err := futures.NewPromise[int]().Future().Await(ctx)
			return err
		}, func(err error) { fmt.Println(errors.Is(err, shutdown)) })
	}
	tasks.CancelAll(shutdown)
	loop.turn(tasks)
	// Output:
	// true
	// true
	// true
}

// One promise serves one operation after another, and none of them allocates. It
// does so only when the result of the one before has been taken.
func ExamplePromise_Renew() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var p futures.Promise[int]
	p.Bind(newTurner(), nil)

	first, _ := p.Renew()
	p.Resolve(1)
	_, ok := p.Renew()
	fmt.Println("renewed before the result was taken:", ok)
	fmt.Println(first.Result())
	second, ok := p.Renew()
	p.Resolve(2)
	fmt.Println("renewed after that:", ok)
	fmt.Println(second.Result())
	// Output:
	// renewed before the result was taken: false
	// 1 <nil>
	// renewed after that: true
	// 2 <nil>
}

// What may be canceled says how when it is bound.
func ExamplePromise_Bind() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var p futures.Promise[int]
	p.Bind(newTurner(), cancelation(func() { p.Fail(futures.ErrCanceled) }))

	f, _ := p.Renew()
	f.Cancel()
	fmt.Println(f.Result())
	// Output: 0 futures: operation canceled
}

// pool takes back what serves operations.
type pool struct{ spare []*futures.Promise[int] }

type pooled struct {
	pool    *pool
	promise *futures.Promise[int]
}

func (p *pooled) Cancel() { p.promise.Fail(futures.ErrCanceled) }

func (p *pooled) Recycle() { p.pool.spare = append(p.pool.spare, p.promise) }

// A promise is used again when its result has been taken.
func ExampleRecycler() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	loop := newTurner()
	tasks := futures.NewScheduler(loop)
	defer tasks.Close()

	var used pool
	p := new(futures.Promise[int])
	p.Bind(loop, &pooled{&used, p})
	f, _ := p.Renew()
	p.Resolve(7)
	tasks.Start(context.Background(), func(ctx context.Context) error {
		fmt.Println(len(used.spare))
		fmt.Println(f.Await(ctx))
		fmt.Println(len(used.spare))
		return nil
	}, nil)
	loop.turn(tasks)
	// Output:
	// 0
	// 7 <nil>
	// 1
}

// buffer is something that a task may forget to give back.
type buffer struct {
	futures.EndHook
	free *int
}

func (b *buffer) TaskEnded(*futures.Task) { *b.free++ }

// What a task has forgotten is given back when it has ended.
func ExampleTask_AddEndHook() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	loop := newTurner()
	tasks := futures.NewScheduler(loop)
	defer tasks.Close()

	free := 0
	tasks.Start(context.Background(), func(context.Context) error {
		for range 2 {
			b := &buffer{free: &free}
			tasks.Current().AddEndHook(&b.EndHook, b)
		}
		fmt.Println("free:", free)
		return nil
	}, func(error) { fmt.Println("free at the end:", free) })
	loop.turn(tasks)
	// Output:
	// free: 0
	// free at the end: 2
}

// A result that nobody took may hold something that its producer wants back.
func ExamplePromise_Reclaim() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var p futures.Promise[string]
	p.Bind(newTurner(), nil)

	f, _ := p.Renew()
	p.Resolve("a lease")
	fmt.Println(p.Reclaim())
	_, err := f.Result()
	fmt.Println(errors.Is(err, futures.ErrClosed))
	// Output:
	// a lease true
	// true
}

package futures

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Group runs functions concurrently, and waits for all of them. The first error
// ends the context of the others. Tasks of any loops and ordinary goroutines may use
// it. It must not be copied after first use.
//
// The zero Group is one of context.Background(). When Wait has returned, the group
// is over: a function that is started later gets a context that has ended.
type Group struct {
	begin  sync.Once
	ctx    context.Context
	cancel context.CancelCauseFunc

	limit   atomic.Uint64 // zero: none
	slots   units         // taken by those that run, if there is a limit
	running WaitGroup
	failure atomic.Pointer[error]
}

// NewGroup makes a group whose context is derived from ctx. It ends with ctx, with
// the first error, which is then its cause, and when Wait returns. Whoever makes a
// group must Wait for it.
func NewGroup(ctx context.Context) *Group {
	g := new(Group)
	g.begin.Do(func() { g.ctx, g.cancel = context.WithCancelCause(ctx) })
	return g
}

func (g *Group) open() {
	g.begin.Do(func() { g.ctx, g.cancel = context.WithCancelCause(context.Background()) })
}

// SetLimit bounds how many functions run at once. Less than one means no limit. It
// panics if any are running.
func (g *Group) SetLimit(n int) {
	if running := g.running.count(); running > 0 {
		panic(fmt.Sprintf("futures: SetLimit of a Group while %d functions run", running))
	}
	g.limit.Store(uint64(max(n, 0)))
}

// Go runs f concurrently. As with the function Go, f is a task if the group's
// context is that of a task or derived from one, and the caller is on the same loop;
// elsewhere it is a goroutine. f gets the group's context, or its own derived from
// it.
//
// If as many run as SetLimit allows, Go waits until one has ended: a task gives way
// to its loop. In a callback of a loop, which cannot wait, Go returns at once, and f
// begins when its turn comes.
//
// A panic of f becomes a *PanicError and runtime.Goexit becomes ErrGoexit.
func (g *Group) Go(f func(ctx context.Context) error) {
	g.running.Add(1)
	if g.waitForSlot() == ErrNoTask {
		f = g.delayed(f)
	}
	g.start(f)
}

// TryGo is Go if fewer run than SetLimit allows. It reports whether f was started.
func (g *Group) TryGo(f func(ctx context.Context) error) bool {
	g.running.Add(1)
	if limit := g.limit.Load(); limit > 0 && !g.slots.try(1, limit) {
		g.running.Done()
		return false
	}
	g.start(f)
	return true
}

// waitForSlot has no other error than ErrNoTask. Its wait ends: those that run end
// when the group's context does, and f wants to learn of that too.
func (g *Group) waitForSlot() error {
	limit := g.limit.Load()
	if limit == 0 {
		return nil
	}
	return g.slots.acquire(context.Background(), 1, limit)
}

// delayed waits for the slot that its caller could not wait for.
func (g *Group) delayed(f func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := g.waitForSlot(); err != nil {
			return err
		}
		return f(ctx)
	}
}

func (g *Group) start(f func(ctx context.Context) error) {
	g.open()
	if s := schedulerOf(g.ctx); s != nil {
		s.StartWatching(g.ctx, f, g.ended)
		return
	}
	go try(func() (struct{}, error) { return struct{}{}, f(g.ctx) }, func(_ struct{}, err error) bool {
		g.ended(err)
		return true
	})
}

func (g *Group) ended(err error) {
	if err != nil && g.failure.CompareAndSwap(nil, &err) {
		g.cancel(err)
	}
	if limit := g.limit.Load(); limit > 0 {
		g.slots.release(1, limit)
	}
	g.running.Done()
}

// Wait waits until all functions have ended, and returns the first error. If ctx
// ends before, the group's context is canceled, with ctx's error as its cause, and
// Wait goes on waiting: when it returns, nothing that the group has started runs.
// In a callback of a loop, which cannot wait, the error is ErrNoTask if any run, and
// they go on.
func (g *Group) Wait(ctx context.Context) error {
	g.open()
	switch err := g.running.Wait(ctx); err {
	case nil:
	case ErrNoTask:
		return err
	default:
		g.cancel(err)
		g.running.Wait(context.Background())
	}
	g.cancel(nil)
	if failure := g.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

package futures

import (
	"context"

	"github.com/goproactor/goproactor/internal/fifo"
)

// maxBlocking is how many functions of Blocking run at once for a loop.
const maxBlocking = 64

// Blocking runs f, which may block, on a goroutine of its own and waits for it. In
// a task, the task gives way to its loop meanwhile. For each loop 64 such functions
// run at once; others wait for their turn.
//
// If ctx ends first Blocking returns ctx's error. f goes on, if it has begun,
// and its result is dropped: f must not use what the caller reuses. A panic in
// f becomes a *PanicError. In a callback of a loop, which cannot wait, f does not
// run and the error is ErrNoTask.
func Blocking[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if ctx.Err() != nil {
		return *new(T), contextError(ctx)
	}
	s := schedulerHere(ctx)
	if s != nil && s.current == nil {
		return *new(T), ErrNoTask
	}
	p := NewPromise[T]()
	work := func() {
		if ctx.Err() != nil {
			p.Fail(ErrCanceled) // nobody waits any more
			return
		}
		try(f, p.settle)
	}
	if s != nil {
		s.pool.run(work)
	} else {
		go work()
	}
	return p.Future().Await(ctx)
}

// pool bounds how many functions run at once. Its state is the executor's.
type pool struct {
	exec    Executor
	busy    int
	waiting fifo.Queue[func()]
}

func (p *pool) run(work func()) {
	if p.busy == maxBlocking {
		p.waiting.Push(work)
		return
	}
	p.busy++
	go p.work(work)
}

func (p *pool) work(work func()) {
	defer p.exec.Post((*vacancy)(p)) // after a Goexit, too
	work()
}

// vacancy is a pool as the Runnable that begins the next function.
type vacancy pool

func (v *vacancy) Run() {
	p := (*pool)(v)
	p.busy--
	if p.waiting.Len() > 0 {
		p.run(p.waiting.Pop())
	}
}

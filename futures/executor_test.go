package futures

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/goproactor/goproactor/internal/goroutine"
	"github.com/stretchr/testify/require"
)

// loop is a small real executor: a goroutine locked to its thread, an inbox
// with a lock and a local queue without.
type loop struct {
	thread    goroutine.Thread
	scheduler *Scheduler

	mu     sync.Mutex
	some   *sync.Cond
	inbox  []Runnable
	closed bool

	ready   []Runnable
	stop    bool
	stopped chan struct{}
	panics  chan any
}

func newLoop(tb testing.TB) *loop {
	l := &loop{stopped: make(chan struct{}), panics: make(chan any, 16)}
	l.some = sync.NewCond(&l.mu)
	l.scheduler = NewScheduler(l)
	go l.run()
	tb.Cleanup(l.close)
	return l
}

func (l *loop) run() {
	runtime.LockOSThread()
	defer close(l.stopped)
	defer func() { // a failed require ends this goroutine
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	}()
	l.thread.Enter()
	for !l.stop || len(l.ready) > 0 || l.scheduler.Len() > 0 {
		l.collect(len(l.ready) == 0)
		n := len(l.ready)
		for i := range n {
			l.ready[i].Run()
		}
		l.ready = append(l.ready[:0], l.ready[n:]...)
	}
	l.mu.Lock()
	l.closed = true
	rest := l.inbox
	l.mu.Unlock()
	for _, r := range rest {
		r.Run()
	}
	l.scheduler.Close()
	l.thread.Leave()
}

func (l *loop) collect(wait bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for wait && len(l.inbox) == 0 {
		l.some.Wait()
	}
	l.ready = append(l.ready, l.inbox...)
	l.inbox = l.inbox[:0]
}

func (l *loop) Post(r Runnable) bool {
	if l.Inside() {
		l.ready = append(l.ready, r)
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.inbox = append(l.inbox, r)
	l.some.Signal()
	return true
}

func (l *loop) Inside() bool             { return l.thread.Here() }
func (l *loop) Panicked(v any, _ []byte) { l.panics <- v }
func (l *loop) post(fn func())           { l.Post(function(fn)) }
func (l *loop) start(fn func(ctx context.Context) error, done func(error)) *Task {
	var t *Task
	l.do(func() { t = l.scheduler.Start(context.Background(), fn, done) })
	return t
}

// close ends the tasks, so that a test that failed half-way does not hang.
func (l *loop) close() {
	l.post(func() {
		l.stop = true
		l.scheduler.CancelAll(nil)
	})
	<-l.stopped
}

// do runs fn on the loop and waits.
func (l *loop) do(fn func()) {
	if l.Inside() {
		fn()
		return
	}
	done := make(chan struct{})
	posted := l.Post(function(func() {
		defer close(done)
		fn()
	}))
	if posted {
		<-done
	}
}

// task runs fn as a task and waits for its end.
func (l *loop) task(fn func(ctx context.Context) error) error {
	ended := make(chan error, 1)
	l.start(fn, func(err error) { ended <- err })
	return <-ended
}

// turn runs what is ready, from within a callback that do runs.
func (l *loop) turn(from int) {
	for i := from; i < len(l.ready); i++ {
		r := l.ready[i]
		l.ready[i] = nil
		r.Run()
	}
	l.ready = l.ready[:from]
}

// operation is a producer on a loop: its promise is renewed for each start.
type operation struct {
	Promise[int]
	l       *loop
	cancels int
	cancel  func() // what Cancel does; nothing if nil
}

func newOperation(l *loop) *operation {
	op := &operation{l: l}
	op.Bind(l, (*operationCanceler)(op))
	return op
}

type operationCanceler operation

func (c *operationCanceler) Cancel() {
	c.cancels++
	if c.cancel != nil {
		c.cancel()
	}
}

// renew is Renew where it must succeed.
func renew[T any](p *Promise[T]) Future[T] {
	f, ok := p.Renew()
	if !ok {
		panic("the promise cannot be renewed")
	}
	return f
}

func newBound(l *loop) *Promise[int] {
	p := new(Promise[int])
	p.Bind(l, nil)
	return p
}

func TestAllocations(t *testing.T) {
	l := newLoop(t)
	l.do(func() {
		p := newBound(l)
		var f Future[int]
		from := len(l.ready)
		sum := 0
		l.scheduler.Start(t.Context(), func(ctx context.Context) error {
			for {
				v, err := f.Await(ctx)
				if err != nil {
					return nil
				}
				sum += v
				f = renew(p)
			}
		}, nil)
		f = renew(p)
		l.turn(from)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			p.Resolve(1)
			l.turn(from)
		}), "await, resolve, renew")
		p.Fail(ErrCanceled)
		l.turn(from)

		fn := func(v int, _ error) { sum += v }
		require.Zero(t, testing.AllocsPerRun(100, func() {
			f := renew(p)
			f.Then(fn)
			p.Resolve(1)
		}), "then, resolve")
		require.Zero(t, testing.AllocsPerRun(100, func() {
			f := renew(p)
			p.Resolve(1)
			f.Then(fn)
			l.turn(from)
		}), "resolve, then")
		require.Equal(t, 303, sum)

		require.Zero(t, testing.AllocsPerRun(100, func() {
			f := renew(p)
			if f.Ready() || p.Future() != f || !p.Pending() {
				panic("wrong answer")
			}
			p.Resolve(1)
			if v, err := f.Result(); v != 1 || err != nil {
				panic("wrong result")
			}
		}), "questions")

		s := NewStream[int](l, 0)
		s.OnDrain(func() {})
		l.scheduler.Start(t.Context(), func(ctx context.Context) error {
			for range s.All(ctx) {
				sum++
			}
			return nil
		}, nil)
		l.turn(from)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			s.Push(1)
			s.Push(2)
			l.turn(from)
		}), "stream")
		s.Close(nil)
		l.turn(from)
		require.Equal(t, 303+202, sum)
	})
}

package proactor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// Runtime is a set of loops with their tasks, connections and listeners. Its methods
// may be called from any goroutine.
type Runtime struct {
	options options
	loops   []*Loop
	backend BackendInfo
	next    atomic.Uint32 // the next loop for calls from other goroutines

	begun    atomic.Bool // Close has begun
	closed   chan struct{}
	closeErr error
	watch    *engine.Watchdog

	rebalancer *rebalancer // nil without WithRebalancing
	draining   atomic.Bool // Shutdown has begun
}

// New starts a runtime, by default with the best backend of the system and a loop
// for each processor. Its error says which backends were tried.
//
// On systems other than Linux the error is errors.ErrUnsupported.
func New(opts ...Option) (*Runtime, error) {
	o := defaultOptions()
	for _, set := range opts {
		if err := set(&o); err != nil {
			return nil, err
		}
	}
	if err := openPoller(); err != nil {
		return nil, fmt.Errorf("proactor: %w", explain(err))
	}
	candidates, err := chooseBackend(&o)
	if err != nil {
		return nil, explain(err)
	}
	for i, c := range candidates {
		if i > 0 {
			// A first ring may open and the others not: the rings of an ordinary user
			// count as locked memory (RLIMIT_MEMLOCK).
			c.info.Reason, c.refused = err.Error(), err
		}
		rt, failure := start(o, c)
		switch {
		case failure == nil:
			return rt, nil
		case c.refused != nil:
			err = fmt.Errorf("%w; %w", failure, c.refused)
		default:
			err = failure
		}
	}
	return nil, fmt.Errorf("proactor: %w", explain(err))
}

// start starts a runtime on one backend, or leaves nothing behind.
func start(o options, c candidate) (*Runtime, error) {
	rt := &Runtime{options: o, backend: c.info, closed: make(chan struct{})}
	for i := range o.loops {
		l := &Loop{rt: rt}
		config := o.engineConfig(i, c.open)
		config.Tracer = l.tracing()
		l.engine.Init((*host)(l), config)
		opened := make(chan error, 1)
		go l.engine.Run(opened)
		if err := <-opened; err != nil {
			rt.Close()
			return nil, fmt.Errorf("loop %d of %d on %v: %w", i+1, o.loops, c.info.Backend, err)
		}
		rt.loops = append(rt.loops, l)
	}
	if err := leavesRoom(); err != nil {
		rt.Close()
		return nil, fmt.Errorf("%v: %w", c.info.Backend, err)
	}
	if o.stallLimit > 0 {
		rt.watch = engine.StartWatchdog(rt.engines(), o.stallLimit)
	}
	if o.rebalancing != nil && o.loops > 1 {
		rt.rebalancer = startRebalancer(rt)
	}
	return rt, nil
}

// engineConfig is the configuration of the i-th loop's engine.
func (o *options) engineConfig(i int, backend func(loop int) (ring.Queue, error)) engine.Config {
	open := func() (ring.Queue, error) { return backend(i) }
	if own := open; o.hook != nil {
		open = func() (ring.Queue, error) { return o.hook(i, own) }
	}
	return engine.Config{Index: i, Loops: o.loops, Open: open, Budget: o.budget(), Pin: o.pin, BusyPoll: o.busyPoll, Logger: o.logger, TurnLatency: o.turnLatency}
}

func (rt *Runtime) engines() (list []*engine.Loop) {
	for _, l := range rt.loops {
		list = append(list, &l.engine)
	}
	return list
}

func (rt *Runtime) isClosing() bool {
	begun := rt.begun.Load()
	if begun {
		engine.Yield()
	}
	return begun
}

// Loops returns the runtime's loops.
func (rt *Runtime) Loops() []*Loop { return rt.loops }

// Backend returns the backend, and why it was chosen.
func (rt *Runtime) Backend() BackendInfo { return rt.backend }

// currentLoop is the loop the caller runs on, nil if on none.
func (rt *Runtime) currentLoop() *Loop {
	for _, l := range rt.loops {
		if l.engine.Inside() {
			return l
		}
	}
	return nil
}

// someLoop is the caller's loop, or the next in turn.
func (rt *Runtime) someLoop() *Loop {
	if l := rt.currentLoop(); l != nil {
		return l
	}
	return rt.loops[int(rt.next.Add(1))%len(rt.loops)]
}

// Go runs f as a task on one of the loops: the caller's own, if it is on one,
// else each in turn. The context of f is the task, so that Await with it gives way to the
// loop; it ends with ctx.
func (rt *Runtime) Go(ctx context.Context, f func(ctx context.Context) error) futures.Future[struct{}] {
	return rt.someLoop().Go(ctx, f)
}

// Go runs f as a task on this loop, see Runtime.Go.
func (l *Loop) Go(ctx context.Context, f func(ctx context.Context) error) futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := l.engine.Begin(func() {
		if l.stopping() {
			p.Fail(errShutdownDone)
			return
		}
		l.engine.Tasks().StartWatching(ctx, f, func(err error) { p.Settle(struct{}{}, err) })
	})
	if !ok {
		p.Fail(errShutdownDone)
	}
	return p.Future()
}

// Shutdown ends the runtime gracefully: listeners close; connections stop
// receiving, so that their handlers get io.EOF once they have read what the
// kernel had received; what is queued is sent. Connections of Dial and Unconnected
// go on receiving, since an io.EOF would make an incomplete response look complete: the
// program closes them. A Dial under way fails, and no other begins. When every connection
// has closed, or when ctx ends, the rest is ended as by Close: receives still under way
// fail with ErrClosed. The error is nil if everything ended by itself, else ctx's.
func (rt *Runtime) Shutdown(ctx context.Context) error {
	if rt.currentLoop() != nil {
		return ErrOnLoop
	}
	rt.draining.Store(true)
	empty := make(chan struct{}, len(rt.loops))
	for _, l := range rt.loops {
		if !l.engine.Do(func() { l.beginDrain(func() { empty <- struct{}{} }) }) {
			empty <- struct{}{}
		}
	}
	var cut error
	for range rt.loops {
		select {
		case <-empty:
		case <-ctx.Done():
			cut = ctx.Err()
		}
		if cut != nil {
			break
		}
	}
	return errors.Join(cut, rt.Close())
}

// Close ends the runtime: it cancels the contexts of all tasks, aborts every
// connection and closes every listener, and returns when nothing is in flight
// and every loop has ended. It waits for tasks that do not return. A second Close waits,
// too, and does nothing else.
func (rt *Runtime) Close() error {
	if rt.currentLoop() != nil {
		return ErrOnLoop
	}
	if rt.begun.CompareAndSwap(false, true) {
		rt.end()
	}
	<-rt.closed
	return rt.closeErr
}

// end ends the loops. It runs once. A second Close waits for a channel, not for a lock: in
// a bubble of testing/synctest the fake clock stands still while a goroutine waits for a
// lock.
func (rt *Runtime) end() {
	for _, l := range rt.loops {
		l.engine.Refuse()
	}
	for _, l := range rt.loops {
		l.engine.Do(func() { l.engine.Stop(ErrClosed) })
	}
	for _, l := range rt.loops {
		<-l.engine.Stopped()
		rt.closeErr = errors.Join(rt.closeErr, l.engine.Err())
	}
	rt.watch.Stop()
	rt.rebalancer.stop()
	close(rt.closed)
}

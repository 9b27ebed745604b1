package engine

import (
	"cmp"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/queuehook"
)

// open sets the loop up, on its own thread: the queue belongs to the thread
// that opened it.
func (l *Loop) open() (err error) {
	l.thread.Enter()
	l.noteThread()
	if l.config.Pin {
		if err := pinThread(l.config.Index); err != nil {
			return err
		}
	}
	queue, err := l.config.Open()
	if err != nil {
		return err
	}
	l.queue = l.traced(queue)
	l.fairness.open()
	if err = l.host.Opened(); err == nil {
		waker, _ := queue.(queuehook.Waker)
		err = l.wake.open(l, waker)
	}
	if err != nil {
		return errors.Join(err, l.queue.Close())
	}
	l.tasks = futures.NewScheduler(l)
	return nil
}

// Stop ends everything on the loop, which runs on until all of it has: every
// operation in flight is asked to end, and what begins later is refused by the
// host, who asks Stopping.
func (l *Loop) Stop(reason error) {
	if l.stopping {
		return
	}
	l.stopping = true
	l.Refuse()
	l.host.Stop(reason)
	l.tasks.CancelAll(reason)
	var enders []Ender
	l.slots.Each(func(_ uint64, op Operation) {
		if e, ok := op.(Ender); ok {
			enders = append(enders, e)
		}
	})
	for _, e := range enders {
		e.End(reason)
	}
	l.timers.drop(reason)
}

// Refuse makes Begin refuse. Any goroutine may call it.
func (l *Loop) Refuse() { l.refusing.Store(true) }

// Refusing says that Refuse was called. Any goroutine may call it.
func (l *Loop) Refusing() bool {
	refusing := l.refusing.Load()
	if refusing && !l.Inside() {
		Yield()
	}
	return refusing
}

// Yield is called for whoever is refused because a loop ends. Goroutines that go on
// calling would otherwise hold every processor, 10 ms each in turn, and the loop
// needs one again and again to end.
func Yield() { runtime.Gosched() }

// Begin is Perform for what begins something. It returns false from the moment
// when the loop is told to end: callers that go on calling would otherwise keep
// it busy. Any goroutine may call it.
func (l *Loop) Begin(fn func()) bool { return !l.Refusing() && l.Perform(fn) }

// Stopping says that the loop is to end, and nothing new may begin.
func (l *Loop) Stopping() bool { return l.stopping }

// Stopped is closed when the loop has ended. Any goroutine may call it.
func (l *Loop) Stopped() <-chan struct{} { return l.stopped }

// idle says that the loop was told to stop and nothing is open or in flight. The
// wake-up always is.
func (l *Loop) idle() bool {
	return l.stopping && l.host.Open() == 0 && l.tasks.Len() == 0 && l.slots.Len() <= l.wake.inFlight()
}

// close releases what the loop owns.
func (l *Loop) close() {
	l.tasks.Close()
	l.timers.forget()
	l.host.Closing()
	if err := l.queue.Close(); err != nil && l.failure.Load() == nil {
		l.note(err)
	}
	l.wake.close()
	l.kernel.Store(0)
	l.thread.Leave()
}

// refusePosts closes the inbox. What is in it still runs, to do its work or to
// learn that it came too late.
func (l *Loop) refusePosts() {
	for m := l.inbox.close(); m != nil; m = m.next {
		l.ready.Push(m.work)
	}
}

// A callback that panics loses what it belongs to and nothing else: the turn it
// was called in ends there, and the next one goes on with what was left.

// recovered is deferred by a turn.
func (l *Loop) recovered() {
	if value := recover(); value != nil {
		l.Panicked(value, debug.Stack())
		l.contain()
	}
}

// contain ends what the callback that did not return belongs to.
func (l *Loop) contain() {
	l.cut = true
	op := l.serving
	l.serving = nil
	if c, ok := op.(Container); ok {
		c.Contain()
	}
}

// Panicked implements what package futures calls when a callback of Then
// panics: it logs.
func (l *Loop) Panicked(value any, stack []byte) {
	log := l.graveLogger()
	attributes := []any{"loop", l.config.Index}
	if l.Inside() {
		attributes = append(attributes, l.host.Describe(l.serving)...)
	}
	log.Error("callback panicked", append(attributes, "panic", value, "stack", string(stack))...)
}

// graveLogger is the logger for what nobody may miss, whether the program gave one or not.
func (l *Loop) graveLogger() *slog.Logger { return cmp.Or(l.config.Logger, slog.Default()) }

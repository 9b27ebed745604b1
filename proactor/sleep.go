package proactor

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// Sleep resolves after d. On a loop, the timer is that loop's.
func (rt *Runtime) Sleep(d time.Duration) futures.Future[struct{}] {
	l := rt.someLoop()
	s := &sleeper{loop: l, promise: futures.NewPromise[struct{}]()}
	s.promise.SetCanceler(futures.CancelFunc(s.cancel))
	s.timer.Expired = func(err error) {
		l.engine.Later(func() { s.promise.Settle(struct{}{}, err) })
	}
	at := l.engine.After(d)
	if !l.engine.Begin(func() { s.add(at) }) {
		s.promise.Fail(s.loop.closedBy(ErrClosed))
	}
	return s.promise.Future()
}

type sleeper struct {
	loop    *Loop
	timer   engine.Timer
	promise *futures.Promise[struct{}]
}

func (s *sleeper) add(at time.Duration) {
	switch {
	case s.loop.stopping():
		s.promise.Fail(s.loop.closedBy(ErrClosed))
	case s.promise.Pending():
		s.loop.engine.SetTimer(&s.timer, at)
	}
}

func (s *sleeper) cancel() {
	s.loop.engine.Perform(func() { s.loop.engine.StopTimer(&s.timer) })
	s.promise.Fail(futures.ErrCanceled)
}

// Every delivers the time at intervals of d, until Stop or until the runtime ends. If the
// reader falls behind, ticks are dropped, as with time.Ticker.
func (rt *Runtime) Every(d time.Duration) *Ticker {
	if d <= 0 {
		panic("proactor: Every wants a positive interval, got " + d.String())
	}
	t := &Ticker{loop: rt.someLoop(), every: d, stream: futures.NewStream[time.Time](nil, 1)}
	t.next = t.loop.engine.After(d)
	t.timer.Expired = t.tick
	if !t.loop.engine.Begin(t.add) {
		t.stream.Close(t.loop.closedBy(ErrClosed))
	}
	return t
}

// Ticker delivers ticks, see Every. Any goroutine may use it.
type Ticker struct {
	stream  *futures.Stream[time.Time]
	loop    *Loop
	timer   engine.Timer
	every   time.Duration
	next    time.Duration
	stopped bool
}

// Next resolves with the time of the next tick. Its error is io.EOF after Stop, and
// ErrClosed when the runtime ends. Canceling it loses no tick.
func (t *Ticker) Next() futures.Future[time.Time] { return t.stream.Next() }

// All ranges over the ticks until Stop. The end of the runtime, or of ctx, is
// yielded once as an error. Leaving the range does not stop the ticker.
func (t *Ticker) All(ctx context.Context) iter.Seq2[time.Time, error] { return t.stream.All(ctx) }

// Stop ends the ticks. An unread tick can still be read, and io.EOF follows it.
func (t *Ticker) Stop() { t.Close(nil) }

// Close is Stop, but Next fails with err instead of io.EOF.
func (t *Ticker) Close(err error) {
	t.loop.engine.Perform(func() {
		t.stopped = true
		t.loop.engine.StopTimer(&t.timer)
	})
	t.stream.Close(err)
}

func (t *Ticker) add() {
	if t.loop.stopping() {
		t.stream.Close(t.loop.closedBy(ErrClosed))
		return
	}
	if !t.stopped {
		t.loop.engine.SetTimer(&t.timer, t.next)
	}
}

// tick arms the timer before it delivers: the callback of a reader may not return.
func (t *Ticker) tick(err error) {
	if err != nil {
		t.loop.engine.Later(func() { t.stream.Close(err) })
		return
	}
	// Missed ticks are skipped, and the next is at a multiple of the interval: in
	// constant time, however many were missed.
	if late := t.loop.engine.Now() - t.next; late >= 0 {
		t.next += late - late%t.every
		t.next += min(t.every, math.MaxInt64-t.next)
	}
	t.add()
	if t.stream.Len() == 0 {
		t.stream.Push(time.Now())
	}
}

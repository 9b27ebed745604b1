package proactor

import (
	"math"
	"time"

	"github.com/goproactor/goproactor/futures"
)

// Sleep resolves after d. On a loop, the timer is that loop's.
func (rt *Runtime) Sleep(d time.Duration) futures.Future[struct{}] {
	l := rt.someLoop()
	s := &sleeper{loop: l, promise: futures.NewPromise[struct{}]()}
	s.promise.SetCanceler(s)
	s.timer.expired = func(err error) {
		l.later(func() { s.promise.Settle(struct{}{}, err) })
	}
	at := l.after(d)
	if !l.perform(func() { s.add(at) }) {
		s.promise.Fail(ErrClosed)
	}
	return s.promise.Future()
}

type sleeper struct {
	loop    *Loop
	timer   timer
	promise *futures.Promise[struct{}]
}

func (s *sleeper) add(at time.Duration) {
	switch {
	case s.loop.stop:
		s.promise.Fail(ErrClosed)
	case s.promise.Pending():
		s.loop.timers.add(&s.timer, at)
	}
}

// Cancel implements futures.Canceler.
func (s *sleeper) Cancel() {
	s.loop.perform(func() { s.loop.timers.remove(&s.timer) })
	s.promise.Fail(futures.ErrCanceled)
}

// Every delivers the time each d, until the stream is closed or the runtime
// ends. A reader that falls behind misses ticks, as with time.Ticker.
func (rt *Runtime) Every(d time.Duration) *Ticker {
	if d <= 0 {
		panic("proactor: Every wants a positive interval, got " + d.String())
	}
	t := &Ticker{loop: rt.someLoop(), every: d, Stream: futures.NewStream[time.Time](nil, 1)}
	t.next = t.loop.after(d)
	t.timer.expired = t.tick
	if !t.loop.perform(func() { t.add() }) {
		t.Stream.Close(ErrClosed)
	}
	return t
}

// Ticker is a stream of moments.
type Ticker struct {
	*futures.Stream[time.Time]
	loop    *Loop
	timer   timer
	every   time.Duration
	next    time.Duration
	stopped bool
}

func (t *Ticker) add() {
	if t.loop.stop {
		t.Stream.Close(ErrClosed)
		return
	}
	if !t.stopped {
		t.loop.timers.add(&t.timer, t.next)
	}
}

func (t *Ticker) tick(err error) {
	if err != nil {
		t.Stream.Close(err)
		return
	}
	if t.Stream.Len() == 0 {
		t.Stream.Push(time.Now())
	}
	// Missed ticks are skipped, the rhythm is kept: however short the interval and
	// long the pause, in no time.
	if late := t.loop.now() - t.next; late >= 0 {
		t.next += late - late%t.every
		t.next += min(t.every, math.MaxInt64-t.next)
	}
	t.add()
}

// Stop ends the ticks and closes the stream.
func (t *Ticker) Stop() {
	t.loop.perform(func() {
		t.stopped = true
		t.loop.timers.remove(&t.timer)
	})
	t.Stream.Close(nil)
}

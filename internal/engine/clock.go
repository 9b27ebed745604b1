package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// Now is the time since the loop was made, on the monotonic clock. Any goroutine
// may call it.
func (l *Loop) Now() time.Duration { return time.Since(l.start) }

// TurnTime is when somebody first asked for it in this turn: a clock for those who ask
// at each completion, of which the turn may have thousands.
func (l *Loop) TurnTime() time.Duration {
	if l.turnTime == 0 {
		l.turnTime = l.Now()
	}
	return l.turnTime
}

// After is the moment d from now on the loop's clock; the far future is the last
// there is, and the past is now. Any goroutine may call it.
func (l *Loop) After(d time.Duration) time.Duration {
	now := l.Now()
	if d < 0 {
		return now
	}
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}

// SetTimer arms t for a moment on the loop's clock; if it is armed, it moves.
func (l *Loop) SetTimer(t *Timer, at time.Duration) { l.timers.add(t, at) }

// StopTimer disarms t; false if it was not armed.
func (l *Loop) StopTimer(t *Timer) bool { return l.timers.remove(t) }

// AfterFunc runs fn on the loop after d, unless stop is called first; stop
// reports whether it came in time. Any goroutine may call either.
func (l *Loop) AfterFunc(d time.Duration, fn func()) (stop func() bool) {
	var decided atomic.Bool
	t := &Timer{Expired: func(err error) {
		if err == nil && decided.CompareAndSwap(false, true) {
			fn()
		}
	}}
	at := l.After(d)
	l.Perform(func() { l.SetTimer(t, at) })
	return func() bool {
		if !decided.CompareAndSwap(false, true) {
			return false
		}
		l.Perform(func() { l.StopTimer(t) })
		return true
	}
}

// Until is the time until t expires, false if it is not armed.
func (l *Loop) Until(t *Timer) (time.Duration, bool) {
	return time.Duration(t.entry.At()) - l.Now(), t.Armed()
}

package engine

import "runtime"

// pollsPerLook is how often a polling loop looks for completions before it
// looks at the clock, which costs more.
const pollsPerLook = 16

// poll looks for something to do for as long as Config.BusyPoll, and reports
// whether there is. A timer that comes due ends it, and so does a queue that
// fails: enter meets that failure again.
func (l *Loop) poll() bool {
	begun := l.Now()
	l.turnEnds(begun)
	until := begun + l.config.BusyPoll
	if wait := l.timers.wait(l); wait >= 0 {
		until = min(until, begun+wait)
	}
	for {
		for range pollsPerLook {
			if l.queue.Enter(0) != nil {
				return true
			}
			if l.end = l.queue.Reap(l.reaped[:]); l.end > 0 {
				l.begin = 0
				return true
			}
			if l.inbox.filled() {
				return true
			}
		}
		switch now := l.Now(); {
		case now >= until:
			return false
		case now-l.fairness.yielded >= slice: // there may be other goroutines
			l.fairness.yielded = now
			runtime.Gosched()
		}
	}
}

package engine

import "time"

// Watchdog reports loops that do not turn: a handler that computes, sleeps or
// blocks on a channel or mutex holds up every connection of its loop. It looks at
// them from outside, so that a turn costs no clock.
type Watchdog struct {
	loops []*Loop
	limit time.Duration
	done  chan struct{}
	watch []watched
}

// watched is what was seen of a loop.
type watched struct {
	turn     uint64
	awake    bool      // it was, within that turn: a loop sleeps at a turn's beginning only
	since    time.Time // when that was seen first
	reported bool
}

// StartWatchdog watches loops, until Stop. A turn longer than limit is reported.
func StartWatchdog(loops []*Loop, limit time.Duration) *Watchdog {
	w := &Watchdog{loops, limit, make(chan struct{}), make([]watched, len(loops))}
	go w.run()
	return w
}

// Stop ends the watching. It may be called for a nil Watchdog.
func (w *Watchdog) Stop() {
	if w != nil {
		close(w.done)
	}
}

func (w *Watchdog) run() {
	tick := time.NewTicker(max(w.limit/2, 1))
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case now := <-tick.C:
			for i, l := range w.loops {
				w.look(l, &w.watch[i], now)
			}
		}
	}
}

// look compares a loop with what was seen of it before.
func (w *Watchdog) look(l *Loop, seen *watched, now time.Time) {
	turn, awake := l.turns.Load(), !l.inbox.sleeping.Load()
	if turn != seen.turn || !awake || !seen.awake {
		*seen = watched{turn: turn, awake: awake, since: now}
		return
	}
	held := now.Sub(seen.since)
	if held > time.Duration(l.longest.Load()) {
		l.longest.Store(int64(held))
	}
	if held >= w.limit && !seen.reported {
		seen.reported = w.report(l)
	}
}

package proactor

import (
	"bytes"
	"runtime"
	"time"
)

// watchdog reports loops that do not turn: a handler that computes, sleeps or
// blocks on a channel or mutex holds up every connection of its loop. It looks at
// them from outside, so that a turn costs no clock.
type watchdog struct {
	rt    *Runtime
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

func startWatchdog(rt *Runtime) *watchdog {
	if rt.options.stallLimit == 0 {
		return nil
	}
	w := &watchdog{rt, make(chan struct{}), make([]watched, len(rt.loops))}
	go w.run()
	return w
}

func (w *watchdog) stop() {
	if w != nil {
		close(w.done)
	}
}

func (w *watchdog) run() {
	tick := time.NewTicker(max(w.rt.options.stallLimit/2, 1))
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case now := <-tick.C:
			for i, l := range w.rt.loops {
				w.look(l, &w.watch[i], now)
			}
		}
	}
}

// look compares a loop with what was seen of it before.
func (w *watchdog) look(l *Loop, seen *watched, now time.Time) {
	turn, awake := l.turns.Load(), !l.inbox.sleeping.Load()
	if turn != seen.turn || !awake || !seen.awake {
		*seen = watched{turn: turn, awake: awake, since: now}
		return
	}
	held := now.Sub(seen.since)
	if held > time.Duration(l.longest.Load()) {
		l.longest.Store(int64(held))
	}
	if held >= w.rt.options.stallLimit && !seen.reported {
		seen.reported = true
		w.report(l)
	}
}

func (w *watchdog) report(l *Loop) {
	if w.rt.options.logger == nil {
		return
	}
	w.rt.options.logger.Warn("loop stalled: a handler or callback holds its thread; it should Await, or use futures.Blocking",
		"loop", l.index, "longer than", w.rt.options.stallLimit, "stack", string(lockedStacks()))
}

// lockedStacks returns the stacks of the goroutines that are locked to a
// thread and run a loop or a task: the one that holds a loop is among them.
// Parked tasks are not locked, and a loop that waits is inside enter.
func lockedStacks() []byte {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var held [][]byte
	for _, g := range bytes.Split(buf, []byte("\n\n")) {
		header, _, _ := bytes.Cut(g, []byte("\n"))
		if bytes.Contains(header, []byte("locked to thread")) &&
			!bytes.Contains(g, []byte("proactor.(*Loop).enter(")) {
			held = append(held, g)
		}
	}
	return bytes.Join(held, []byte("\n\n"))
}

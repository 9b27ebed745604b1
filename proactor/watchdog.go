package proactor

import (
	"bytes"
	"runtime"
	"time"
)

// watchdog reports loops that do not turn: a handler that computes, sleeps or
// blocks on a channel or mutex holds up every connection of its loop.
type watchdog struct {
	rt   *Runtime
	done chan struct{}
}

func startWatchdog(rt *Runtime) *watchdog {
	if rt.options.logger == nil || rt.options.stallLimit == 0 {
		return nil
	}
	w := &watchdog{rt, make(chan struct{})}
	go w.run()
	return w
}

func (w *watchdog) stop() {
	if w != nil {
		close(w.done)
	}
}

func (w *watchdog) run() {
	tick := time.NewTicker(w.rt.options.stallLimit)
	defer tick.Stop()
	seen := make([]uint64, len(w.rt.loops))
	reported := make([]bool, len(w.rt.loops))
	for {
		select {
		case <-w.done:
			return
		case <-tick.C:
		}
		for i, l := range w.rt.loops {
			turns := l.turns.Load()
			stalled := turns == seen[i] && turns > 0 && !l.inbox.sleeping.Load()
			if stalled && !reported[i] {
				w.report(l)
			}
			seen[i], reported[i] = turns, stalled
		}
	}
}

func (w *watchdog) report(l *Loop) {
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

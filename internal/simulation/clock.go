package simulation

import (
	"time"

	"github.com/goproactor/goproactor/internal/timerheap"
)

// event is something that happens at a time.
type event struct {
	entry timerheap.Entry[*event]
	at    time.Duration
	run   func()
}

// now is the time since the network began.
func (n *Network) now() time.Duration { return time.Since(n.begun) }

// at has run called at a time, or the next one at which nothing else happens. run is
// called with the lock held.
func (n *Network) at(at time.Duration, run func()) *event {
	at = max(at, n.now()+1)
	for n.taken[at] {
		at++
	}
	n.taken[at] = true
	e := &event{at: at, run: run}
	e.entry.Owner = e
	n.events.Add(&e.entry, int64(at))
	if n.events.First() == &e.entry {
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
	return e
}

func (n *Network) after(d time.Duration, run func()) *event { return n.at(n.now()+d, run) }

// stop has e not happen, if it has not yet.
func (n *Network) stop(e *event) {
	if e != nil && n.events.Remove(&e.entry) {
		delete(n.taken, e.at)
	}
}

// runEvents has events happen, until the last queue is closed. Without an event it waits
// without a timer, so that a bubble in which nothing can happen any more is found to be
// deadlocked.
func (n *Network) runEvents(changed, ended chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if wait, any := n.runNextEvent(); any {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-changed:
		case <-ended:
			return
		}
	}
}

// runNextEvent has the next event happen if it is due, and returns the time until the one
// after it, if there is any.
func (n *Network) runNextEvent() (wait time.Duration, any bool) {
	n.mu.Lock()
	if first := n.events.First(); first != nil && first.At() <= int64(n.now()) {
		e := first.Owner
		n.stop(e)
		e.run()
	}
	if first := n.events.First(); first != nil {
		wait, any = time.Duration(first.At())-n.now(), true
	}
	hooks, wake := n.hooks, n.wake
	n.hooks, n.wake = nil, nil
	n.mu.Unlock()
	for _, fn := range hooks {
		fn()
	}
	for _, q := range wake {
		q.interrupt()
	}
	return max(0, wait), any
}

package engine

import (
	"time"

	"github.com/goproactor/goproactor/internal/timerheap"
	"github.com/goproactor/goproactor/ring"
)

// Timer runs a function at a moment on a loop's clock. It may be embedded, and set
// again once it has expired or was stopped.
type Timer struct {
	Expired func(error) // runs on the loop: with nil in time, with the reason when the loop ends first
	entry   timerheap.Entry[*Timer]
}

// Armed says that t is to expire.
func (t *Timer) Armed() bool { return t.entry.Armed() }

// timers are those of a loop.
type timers struct{ heap timerheap.Heap[*Timer] }

// add arms t; if it is armed, it moves.
func (s *timers) add(t *Timer, at time.Duration) {
	t.entry.Owner = t
	s.heap.Add(&t.entry, int64(at))
}

// remove disarms t; false if it was not armed.
func (s *timers) remove(t *Timer) bool { return s.heap.Remove(&t.entry) }

// expire runs every timer whose time has come.
func (s *timers) expire(l *Loop) {
	if s.heap.Len() == 0 {
		return
	}
	now := int64(l.Now())
	for e := s.heap.First(); e != nil && e.At() <= now; e = s.heap.First() {
		s.heap.Remove(e)
		e.Owner.Expired(nil)
	}
}

// drop ends every timer: the loop ends first.
func (s *timers) drop(reason error) {
	for e := s.heap.First(); e != nil; e = s.heap.First() {
		s.heap.Remove(e)
		e.Owner.Expired(reason)
	}
}

// forget disarms every timer that was armed since drop: by what was ending.
func (s *timers) forget() {
	for e := s.heap.First(); e != nil; e = s.heap.First() {
		s.heap.Remove(e)
	}
}

// wait is the time until the next timer: zero if it is due, ring.Forever if
// there is none.
func (s *timers) wait(l *Loop) time.Duration {
	e := s.heap.First()
	if e == nil {
		return ring.Forever
	}
	return max(0, time.Duration(e.At())-l.Now())
}

package proactor

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Describe tells the state of every connection, for a failing test's message.
func (rt *Runtime) Describe() (s string) {
	for _, l := range rt.loops {
		done := make(chan struct{})
		l.Do(func() {
			for _, c := range l.conns {
				r, w := &c.recv, &c.send
				s += fmt.Sprintf("conn fd=%d state=%d others=%d recv{armed=%v pausing=%v starved=%v held=%v draining=%v handler=%v waiting=%d unread=%d err=%v} send{inFlight=%d reason=%v queue=%d pending=%d err=%v}\n",
					c.fd, c.state, c.others, r.armed, r.pausing, r.starved, r.in.isHeld, r.in.draining, r.in.handler != nil, r.in.line.Len(), r.in.unread.Len(), r.err,
					w.inFlight, w.ending().reason, w.queue.Len(), w.bytes(), w.err)
			}
			close(done)
		})
		<-done
	}
	return s
}

// Unread is how many Buffers c has received that no call has asked for.
func Unread(c *Conn) (n int) {
	done := make(chan struct{})
	c.loop.engine.Perform(func() { n = c.recv.in.unread.Len(); close(done) })
	<-done
	return n
}

// WithClosePatience sets how long Close of a listener waits for loops that callbacks hold up.
func WithClosePatience(d time.Duration) Option {
	return func(o *options) error { o.closePatience = d; return nil }
}

// WithStatsPatience sets how long Stats waits for loops that callbacks hold up.
func WithStatsPatience(d time.Duration) Option {
	return func(o *options) error { o.statsPatience = d; return nil }
}

// ErrShutdown is what operations of a runtime that has shut down fail with.
var ErrShutdown = errShutdownDone

// Draining says that a loop with connections is shutting down.
func (rt *Runtime) Draining() (is bool) {
	for _, l := range rt.loops {
		done := make(chan struct{})
		l.Do(func() { is = is || len(l.draining) > 0 && len(l.conns) > 0; close(done) })
		<-done
	}
	return is
}

// Drains says that a Shutdown waits for the loop.
func Drains(l *Loop) (is bool) {
	done := make(chan struct{})
	l.engine.Perform(func() { is = len(l.draining) > 0; close(done) })
	<-done
	return is
}

// Holds reports, to a caller on the loop, that it holds its processor while it
// waits.
func Holds(l *Loop) bool { return l.engine.KeepsProcessor() }

// Asleep reports that the loop waits for completions, or is about to.
func Asleep(l *Loop) bool { return l.engine.Asleep() }

// Unregister takes m out of the queue's table behind its back: what goes on
// naming it fails with EFAULT from then on.
func (m *AlignedMemory) Unregister() (err error) {
	done := make(chan struct{})
	m.loop.engine.Perform(func() { err = m.loop.engine.Queue().UpdateBuffer(m.place, nil); close(done) })
	<-done
	return err
}

// Noticed tells how many of n notices of each kind of scarcity, one after the other, the
// loop would log.
func Noticed(l *Loop, n int) (logged [scarcities]int) {
	done := make(chan struct{})
	l.engine.Perform(func() {
		defer close(done)
		for range n {
			for of := range scarcities {
				if l.notice(of) != nil {
					logged[of]++
				}
			}
		}
	})
	<-done
	return logged
}

// SlotsOfLoop is how many direct descriptors a loop has.
const SlotsOfLoop = slotsOfLoop

// HasSlots reports whether a loop has a table of direct descriptors.
func HasSlots(rt *Runtime) bool { return slotsMade(rt) > 0 }

// SlotsTaken is how many of the loops' direct descriptors are in use.
func SlotsTaken(rt *Runtime) int {
	return slotsMade(rt) - eachLoop(rt, func(l *Loop) int { return len(l.files.free) })
}

func slotsMade(rt *Runtime) int { return eachLoop(rt, func(l *Loop) int { return cap(l.files.free) }) }

func eachLoop(rt *Runtime, count func(l *Loop) int) (sum int) {
	for _, l := range rt.loops {
		done := make(chan struct{})
		l.engine.Perform(func() { sum += count(l); close(done) })
		<-done
	}
	return sum
}

// PassIdle has the connection's idle timeout see d more go by than has, and its timer
// expire.
func (c *Conn) PassIdle(d time.Duration) {
	done := make(chan struct{})
	c.loop.engine.Perform(func() {
		t := &c.limits.idle
		t.last -= d
		c.loop.engine.StopTimer(&t.timer)
		t.timer.Expired(nil)
		close(done)
	})
	<-done
}

// Hand stands for the measurement of rebalancing: a test says which loop is saturated.
type Hand struct {
	portion float64
	hot     atomic.Int32 // the loop, -1 for none
	looks   atomic.Int64
	demands []time.Duration // of the rebalancer's goroutine
}

// NewHand has no loop saturated. portion is how much of the difference between two loops is
// moved at once; with 1 a loop gives its only connection away.
func NewHand(portion float64) *Hand {
	h := &Hand{portion: portion}
	h.Heat(-1)
	return h
}

// Heat has the i-th loop be saturated from now on, -1 none.
func (h *Hand) Heat(i int) { h.hot.Store(int32(i)) }

// Looks is how often the loads were compared.
func (h *Hand) Looks() int64 { return h.looks.Load() }

// RebalanceBy has the loads be those of h.
func RebalanceBy(h *Hand) RebalancingOption {
	return func(r *rebalancing) error {
		r.portion = h.portion
		r.demand = func(l *Loop) time.Duration {
			i := l.index()
			if i == 0 {
				h.looks.Add(1)
			}
			if i >= len(h.demands) {
				h.demands = append(h.demands, 0)
			}
			if int32(i) == h.hot.Load() {
				h.demands[i] += time.Hour
			}
			return h.demands[i]
		}
		return nil
	}
}

// JudgeLoads is what rebalancing does with the loads of successive intervals: for each
// "", "observe FROM", or "give FROM TO".
func JudgeLoads(intervals [][]float64) (verdicts []string) {
	var b balance
	for _, loads := range intervals {
		switch v := b.judge(loads); v.action {
		case leaveAlone:
			verdicts = append(verdicts, "")
		case observe:
			verdicts = append(verdicts, fmt.Sprintf("observe %d", v.from))
		case giveAway:
			verdicts = append(verdicts, fmt.Sprintf("give %d %d", v.from, v.to))
		}
	}
	return verdicts
}

// LimitsOf are the time until the read deadline, and the queue limit. Only the loop may
// call it.
func LimitsOf(c *Conn) (deadline time.Duration, queue int) {
	return time.Until(c.limits.read.moment(c.loop)), c.limits.queue
}

// Posted is how many posts the loop has not taken yet.
func Posted(l *Loop) int { return l.engine.Posted() }

package engine

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// fairness is how a loop shares the processors of the Go runtime, GOMAXPROCS of
// them, with other goroutines.
//
// While a goroutine waits in a system call, the scheduler's monitor may take its
// processor away to give it to another. Where every processor has its loop, as by
// default, it does so after 20 µs whether another goroutine wants it or not, and
// both that and having it back wake a thread: twice the processor time of a
// request, for a connection that sends one at a time. A loop that turns often
// therefore holds its processor while it waits, as long as nobody else wants it,
// and asks often enough whether somebody does.
type fairness struct {
	yielded time.Duration // when the loop came back from the scheduler last
	turns   uint64        // of the loop, at that time
	looked  time.Duration // when it looked last whether another goroutine wants to run
	wanted  time.Duration // when one did last
	pause   time.Duration // between two looks
	hold    bool          // the queue holds the processor while it waits
	never   bool          // it must not, for this Go does not tell who wants one

	runnable [1]metrics.Sample
}

const (
	// slice is how long a loop runs before it goes through the Go scheduler.
	slice = 8 * time.Millisecond
	// busyTurns is how many turns in a slice make a loop hold its processor.
	busyTurns = 8
	// sharing is for how long a loop does not hold its processor after
	// another goroutine wanted it.
	sharing = 100 * time.Millisecond
	// lookEvery is the pause between two looks, for each processor: looking
	// takes the scheduler's lock and visits them all.
	lookEvery = 50 * time.Microsecond
)

func (s *fairness) open() {
	s.wanted = -sharing
	s.runnable[0].Name = "/sched/goroutines/runnable:goroutines"
	metrics.Read(s.runnable[:])
	s.never = s.runnable[0].Value.Kind() != metrics.KindUint64
}

// limit bounds a wait that holds the processor.
func (s *fairness) limit(wait time.Duration) time.Duration {
	if s.hold && (wait < 0 || wait > slice) {
		return slice
	}
	return wait
}

// contended looks whether another goroutine wants to run and has no processor.
func (s *fairness) contended(now time.Duration) bool {
	if !s.hold || now-s.looked < s.pause {
		return false
	}
	s.looked = now
	metrics.Read(s.runnable[:])
	return s.runnable[0].Value.Uint64() > 0
}

// yield goes through the Go scheduler once a slice, and when another goroutine
// waits for the processor that the loop holds, with nothing left to hand over.
//
// A goroutine that has not been scheduled for 10 ms is to be preempted, and one
// that waits in a system call then loses its processor each time that the
// scheduler's monitor looks. That was a quarter of the processor time of a server
// under load. A loop never ends and is never scheduled anew unless it asks for it.
func (l *Loop) yield() error {
	now, s := l.Now(), &l.fairness
	l.turnEnds(now)
	contended := s.contended(now)
	if !contended && now-s.yielded < slice {
		return nil
	}
	if contended {
		s.wanted = now
	}
	l.decideHold(now)
	err := l.queue.Enter(0)
	runtime.Gosched()
	// The slice begins now: another goroutine may have had the processor for 20 ms, and what
	// came meanwhile is to be served before the next one has its turn.
	s.yielded, s.turns = l.Now(), l.turns.Load()
	return err
}

// decideHold settles for the next slice whether the loop holds its processor
// while it waits: it turns often, nobody else has wanted to run for a while, and
// no processor is without a loop. With one of those the monitor leaves waits of
// less than 10 ms alone.
func (l *Loop) decideHold(now time.Duration) {
	s := &l.fairness
	hold := !s.never && now-s.wanted >= sharing && now-s.yielded < 2*slice && l.turns.Load()-s.turns >= busyTurns
	if hold {
		processors := runtime.GOMAXPROCS(0)
		hold = processors <= l.config.Loops
		s.pause = lookEvery * time.Duration(processors)
	}
	if hold != s.hold {
		s.hold = hold
		l.queue.Hold(hold)
	}
}

// KeepsProcessor reports that the loop keeps its processor while it waits.
func (l *Loop) KeepsProcessor() bool { return l.fairness.hold }

// Asleep reports that the loop waits for completions, or is about to. Any
// goroutine may call it.
func (l *Loop) Asleep() bool { return l.inbox.sleeping.Load() }

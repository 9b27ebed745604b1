package engine

import (
	"slices"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/ring"
)

// quiesce is what Quiesce needs while it runs.
type quiesce struct {
	canceling bool                         // cancel is being called
	posted    fifo.Queue[futures.Runnable] // by cancel
	targets   []uint64                     // of its cancels, that are still in flight
	aside     []ring.CQE                   // reaped meanwhile, to be delivered
}

// cancelAgain is how long Quiesce waits before it cancels once more: an earlier
// cancel may have missed, see cancellation.
const cancelAgain = time.Millisecond

// Quiesce implements futures.Quiescer. It runs cancel, which cancels operations,
// and returns when the kernel is done with their memory: their final completions
// are there. They, and what else ends meanwhile, are delivered afterwards. It is
// for a callback that must not return before, and holds up the loop for that time.
//
// The functions that cancel posts run too. What was ready before does not, and
// neither does a task that cancel makes ready.
func (l *Loop) Quiesce(cancel func()) {
	if !l.quiesce.canceling { // there may be some of a cancel that has panicked
		l.quiesce.targets = l.quiesce.targets[:0]
	}
	l.cancelNow(cancel)
	for again := l.Now() + cancelAgain; len(l.quiesce.targets) > 0; {
		if err := l.queue.Enter(max(0, again-l.Now())); err != nil {
			l.fail(err) // which has ended everything
		}
		l.setAside()
		if l.Now() < again {
			continue
		}
		again = l.Now() + cancelAgain
		for _, target := range l.quiesce.targets {
			sqe := l.Next()
			sqe.PrepCancel(target, 0)
			l.Submit(sqe, Ignore{})
		}
	}
}

// cancelNow calls cancel and runs what that posts. A callback of what cancel
// ends may call Quiesce again.
func (l *Loop) cancelNow(cancel func()) {
	q := &l.quiesce
	outer := q.canceling
	q.canceling = true
	defer func() {
		q.canceling = outer
		for q.posted.Len() > 0 { // only on the way out of a panic
			l.ready.Push(q.posted.Pop())
		}
	}()
	cancel()
	for q.posted.Len() > 0 {
		q.posted.Pop().Run()
	}
}

// keepForCancel takes what is posted while cancel runs, if it is a function: a
// task that is resumed runs in a turn of its own.
func (l *Loop) keepForCancel(r futures.Runnable) bool {
	if _, ok := r.(function); !ok {
		return false
	}
	l.quiesce.posted.Push(r)
	return true
}

// Quiescing reports whether the caller is in the function that Quiesce calls.
func (l *Loop) Quiescing() bool { return l.quiesce.canceling }

// AwaitEnd makes Quiesce wait for the final completion of target, unless that
// has been reaped. It does nothing outside of the function that Quiesce calls.
//
// An operation that uses memory or descriptors of the caller calls it when it is canceled,
// each time: an Await in a callback may be what cancels it, or may come later. One that
// uses none does not: a slow file server must not hold up the loop.
func (l *Loop) AwaitEnd(target uint64) {
	if !l.quiesce.canceling || slices.Contains(l.quiesce.targets, target) {
		return
	}
	_, live := l.slots.Get(target)
	reaped, aside := l.reaped[l.begin:l.end], l.quiesce.aside
	if live && !ends(reaped, target) && !ends(aside, target) {
		l.quiesce.targets = append(l.quiesce.targets, target)
		l.hasten(reaped)
		l.hasten(aside)
	}
}

// AwaitEndOf is AwaitEnd for everything that op has in flight.
func (l *Loop) AwaitEndOf(op Operation) {
	if !l.quiesce.canceling {
		return
	}
	l.slots.Each(func(userData uint64, other Operation) {
		if other == op {
			l.AwaitEnd(userData)
		}
	})
}

// hasten makes the targets end soon whose results are among some.
func (l *Loop) hasten(some []ring.CQE) {
	for _, c := range some {
		if c.Flags()&ring.CQEFMore == 0 || !slices.Contains(l.quiesce.targets, c.UserData()) {
			continue
		}
		op, _ := l.slots.Get(c.UserData())
		if op, ok := op.(Lingering); ok {
			op.Hasten(c.Result())
		}
	}
}

// ends says that the final completion of target is among some.
func ends(some []ring.CQE, target uint64) bool {
	return slices.ContainsFunc(some, func(c ring.CQE) bool {
		return c.UserData() == target && c.Flags()&ring.CQEFMore == 0
	})
}

// setAside reaps what is there without delivering it.
func (l *Loop) setAside() {
	q := &l.quiesce
	var some [32]ring.CQE
	for n := l.queue.Reap(some[:]); n > 0; n = l.queue.Reap(some[:]) {
		q.aside = append(q.aside, some[:n]...)
		q.targets = slices.DeleteFunc(q.targets, func(target uint64) bool { return ends(some[:n], target) })
		l.hasten(some[:n])
	}
}

// reap takes completions, those set aside first.
func (l *Loop) reap() {
	l.begin = 0
	if aside := l.quiesce.aside; len(aside) > 0 {
		l.end = copy(l.reaped[:], aside)
		l.quiesce.aside = append(aside[:0], aside[l.end:]...)
		return
	}
	l.end = l.queue.Reap(l.reaped[:])
}

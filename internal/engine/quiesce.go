package engine

import (
	"slices"
	"time"

	"github.com/goproactor/goproactor/ring"
)

// cancelAgain is how long Quiesce waits before it cancels once more what an
// earlier cancel did not find.
const cancelAgain = time.Millisecond

// Quiesce runs cancel, which cancels operations, and returns when the kernel is
// done with their memory: their final completions are there. They, and what else
// ends meanwhile, are delivered in the next turn. It is for a callback that must
// not return before, and holds up the loop for that time.
func (l *Loop) Quiesce(cancel func()) {
	l.quiescing = true
	cancel()
	l.quiescing = false
	for len(l.targets) > 0 {
		if err := l.queue.Enter(cancelAgain); err != nil {
			l.fail(err) // which has ended everything
		}
		if !l.setAside() {
			for _, target := range l.targets {
				sqe := l.Next()
				sqe.PrepCancel(target, 0)
				l.Submit(sqe, Ignore{})
			}
		}
	}
}

// setAside reaps what is there without delivering it, and reports whether there
// was any.
func (l *Loop) setAside() (any bool) {
	var some [32]ring.CQE
	for {
		n := l.queue.Reap(some[:])
		if n == 0 {
			return any
		}
		any = true
		l.aside = append(l.aside, some[:n]...)
		for i := range some[:n] {
			if c := &some[i]; c.Flags()&ring.CQEFMore == 0 {
				l.targets = slices.DeleteFunc(l.targets, func(target uint64) bool { return target == c.UserData() })
			}
		}
	}
}

// reap takes completions, those set aside first.
func (l *Loop) reap() {
	if l.begin = 0; len(l.aside) > 0 {
		l.end = copy(l.reaped[:], l.aside)
		l.aside = append(l.aside[:0], l.aside[l.end:]...)
		return
	}
	l.end = l.queue.Reap(l.reaped[:])
}

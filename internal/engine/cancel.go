package engine

import (
	"syscall"
	"time"
)

// Cancel asks for the operation with that user data to end. Its own final
// completion tells when it has. If it uses what the caller of the library has lent, see
// AwaitEnd.
func (l *Loop) Cancel(target uint64) {
	var c *cancellation
	if n := len(l.cancellations); n > 0 {
		c, l.cancellations = l.cancellations[n-1], l.cancellations[:n-1]
	} else {
		c = &cancellation{loop: l}
	}
	c.target, c.insists, c.pause = target, true, firstPause
	c.submit()
}

// Slot names an operation while it is in flight, in half the memory of its user data. Then
// it names another.
type Slot uint32

// SlotOf is the slot of the operation with that user data.
func SlotOf(userData uint64) Slot { return Slot(userData) }

// CancelSlot is Cancel of an operation whose final completion is still to come.
func (l *Loop) CancelSlot(s Slot) { l.Cancel(l.slots.data(uint32(s))) }

// CancelOnce is Cancel for what is found at once or cannot be canceled, such as
// a read that a device is at work on.
func (l *Loop) CancelOnce(target uint64) {
	c := &cancellation{loop: l, target: target}
	c.submit()
}

// cancellation is a cancel under way.
type cancellation struct {
	loop    *Loop
	target  uint64
	insists bool
	pause   time.Duration // until it is tried again, when a worker has its target
	again   Timer
}

// A cancel is tried again after firstPause, and then after twice as long each
// time.
const (
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

func (c *cancellation) submit() {
	sqe := c.loop.Next()
	sqe.PrepCancel(c.target, 0)
	c.loop.Submit(sqe, c)
}

// Complete implements Operation.
//
// Two kinds of target escape a cancel, which is then tried again. A multishot
// that has more to do than its turn allows waits for the next turn where no
// cancel finds it (ENOENT). And what a worker of the kernel begins may go to
// sleep just after it was told of the cancel (EALREADY): so does an entry that
// is linked behind one that a worker ended.
func (c *cancellation) Complete(result int32, _ uint32) {
	op, live := c.loop.slots.Get(c.target)
	switch errno := syscall.Errno(-result); {
	case !live || !c.insists:
	case errno == syscall.ENOENT && !isUnfound(op):
		c.submit()
		return
	case errno == syscall.EALREADY:
		c.again.Expired = func(error) { c.submit() }
		c.loop.SetTimer(&c.again, c.loop.After(c.pause))
		c.pause = min(2*c.pause, longestPause)
		return
	}
	c.loop.cancellations = append(c.loop.cancellations, c)
}

func isUnfound(op Operation) bool {
	u, ok := op.(Unfound)
	return ok && u.Unfound()
}

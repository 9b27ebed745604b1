package engine

import (
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
)

// inbox is how other goroutines reach a loop: a list that any of them pushes
// onto and the loop takes whole. A push wakes the loop only while it sleeps.
type inbox struct {
	head     atomic.Pointer[message]
	sleeping atomic.Bool
}

type message struct {
	work  futures.Runnable
	next  *message
	depth int // of the list from here on
}

// closedInbox in place of a list says that the loop takes no more.
var closedInbox = new(message)

// put adds r; ok is false when the inbox is closed. wake tells the caller to
// wake the loop.
func (b *inbox) put(r futures.Runnable) (wake, ok bool) {
	m := &message{work: r}
	for {
		head := b.head.Load()
		if head == closedInbox {
			return false, false
		}
		m.next, m.depth = head, 1
		if head != nil {
			m.depth += head.depth
		}
		if b.head.CompareAndSwap(head, m) {
			// Only one of the posters that find the loop asleep wakes it.
			return b.sleeping.Load() && b.sleeping.CompareAndSwap(true, false), true
		}
	}
}

// sleep announces that the loop is about to wait, and returns false if it must
// not because something came in.
func (b *inbox) sleep() bool {
	// An exchange costs what a store does, and is a barrier in any case: qemu (7.2) lets
	// an arm64 load pass the store before it.
	b.sleeping.Swap(true)
	if b.filled() {
		b.sleeping.Store(false)
		return false
	}
	return true
}

// depth is how many messages the loop has not taken.
func (b *inbox) depth() int {
	if head := b.head.Load(); head != nil {
		return head.depth
	}
	return 0
}

// filled says that something came in.
func (b *inbox) filled() bool {
	head := b.head.Load()
	return head != nil && head != closedInbox
}

// awake ends the announcement of sleep.
func (b *inbox) awake() {
	if b.sleeping.Load() {
		b.sleeping.Store(false)
	}
}

// take empties the inbox and returns its messages, first come first.
func (b *inbox) take() *message {
	if head := b.head.Load(); head == nil || head == closedInbox {
		return nil
	}
	return inOrder(b.head.Swap(nil))
}

// close takes what is there and refuses the rest.
func (b *inbox) close() *message {
	head := b.head.Swap(closedInbox)
	if head == closedInbox {
		return nil
	}
	return inOrder(head)
}

func inOrder(newest *message) (oldest *message) {
	for newest != nil {
		next := newest.next
		newest.next = oldest
		oldest, newest = newest, next
	}
	return oldest
}

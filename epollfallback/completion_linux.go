package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// completion is one posted and not yet reaped.
type completion struct {
	ring.CQE
	brought uint64 // descriptors to be closed if nobody takes it; see brings
}

// completionQueue is a ring that grows: the fallback never drops a completion.
type completionQueue struct {
	ring       []completion
	head, tail uint32
	origin     uint32 // what of head and tail stands for the first of ring
	nominal    uint32
}

// at is a place in the ring.
func (c *completionQueue) at(i uint32) *completion {
	return &c.ring[(i-c.origin)&uint32(len(c.ring)-1)]
}

func newCompletionQueue(nominal int) completionQueue {
	return completionQueue{ring: make([]completion, nominal), nominal: uint32(nominal)}
}

func (c *completionQueue) len() uint32 { return c.tail - c.head }

// push reports whether a kernel's queue would have had room.
func (c *completionQueue) push(userData uint64, result int32, flags uint32, brought uint64) (fits bool) {
	if c.len() == uint32(len(c.ring)) {
		c.grow()
	}
	e := c.at(c.tail)
	e.CQE, e.brought = ring.CQE(queueabi.NewCQE(userData, result, flags)), brought
	c.tail++
	return c.len() <= c.nominal
}

func (c *completionQueue) grow() {
	larger := make([]completion, 2*len(c.ring))
	for i := c.head; i != c.tail; i++ {
		larger[(i-c.origin)&uint32(len(larger)-1)] = *c.at(i)
	}
	c.ring = larger
}

// pop takes the first. A queue that runs empty begins at its ring's beginning again,
// which is in the cache, and the rest takes no memory.
func (c *completionQueue) pop() *completion {
	e := c.at(c.head)
	if c.head++; c.head == c.tail {
		c.origin = c.tail
	}
	return e
}

// amend adds flags to the completion posted last.
func (c *completionQueue) amend(flags uint32) {
	e := c.at(c.tail - 1)
	e.CQE = ring.CQE(queueabi.NewCQE(e.UserData(), e.Result(), e.Flags()|flags))
}

// post posts one completion of op.
func (q *Queue) post(op *operation, result int32, flags uint32) {
	brought := uint64(broughtNothing)
	if result >= 0 {
		brought = op.brings()
	}
	if !q.cq.push(op.userData, result, flags, brought) {
		q.stats.Overflows++
	}
	if flags&ring.CQEFMore != 0 {
		// The kernel brings its completion queue up to date before it posts
		// one of a multishot, which is when timeouts that count see them.
		q.counted.committed = q.cq.tail
	}
}

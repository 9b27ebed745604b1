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
	nominal    uint32
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
	e := &c.ring[c.tail&uint32(len(c.ring)-1)]
	e.CQE, e.brought = ring.CQE(queueabi.NewCQE(userData, result, flags)), brought
	c.tail++
	return c.len() <= c.nominal
}

func (c *completionQueue) grow() {
	larger := make([]completion, 2*len(c.ring))
	for i := c.head; i != c.tail; i++ {
		larger[i&uint32(len(larger)-1)] = c.ring[i&uint32(len(c.ring)-1)]
	}
	c.ring = larger
}

func (c *completionQueue) pop() *completion {
	e := &c.ring[c.head&uint32(len(c.ring)-1)]
	c.head++
	return e
}

// amend adds flags to the completion posted last.
func (c *completionQueue) amend(flags uint32) {
	e := &c.ring[(c.tail-1)&uint32(len(c.ring)-1)]
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

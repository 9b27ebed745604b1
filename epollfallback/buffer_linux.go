package epollfallback

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// group is a buffer group: the shared ring and the head, which is ours.
type group struct {
	ring *queueabi.BufferRing
	head uint16
}

// RegisterBufferRing implements ring.Queue.
func (q *Queue) RegisterBufferRing(number uint16, r *ring.BufferRing) error {
	switch {
	case q.closed:
		return errClosed
	case r == nil || r.Cap() == 0:
		return fmt.Errorf("register buffer group: no ring, make one with NewBufferRing: %w", unix.EINVAL)
	}
	for int(number) >= len(q.groups) {
		q.groups = append(q.groups, nil)
	}
	if q.groups[number] != nil {
		return fmt.Errorf("register buffer group %d: %w", number, unix.EEXIST)
	}
	q.groups[number] = &group{ring: (*queueabi.BufferRing)(r)}
	return nil
}

// UnregisterBufferRing implements ring.Queue.
func (q *Queue) UnregisterBufferRing(number uint16) error {
	if q.closed {
		return errClosed
	}
	if q.group(number) == nil {
		return fmt.Errorf("unregister buffer group %d: %w", number, unix.ENOENT)
	}
	q.groups[number] = nil
	return nil
}

func (q *Queue) group(number uint16) *group {
	if int(number) < len(q.groups) {
		return q.groups[number]
	}
	return nil
}

// choose looks at the buffer that op would receive into, and takes nothing:
// only bytes received do.
func (q *Queue) choose(op *operation) (addr uint64, n uint32, ok bool) {
	g := q.group(op.group)
	if g == nil || g.ring.Available(g.head) == 0 {
		return 0, 0, false
	}
	addr, n, op.buffer = g.ring.At(g.head)
	if op.len != 0 && op.len < n {
		n = op.len
	}
	return addr, n, true
}

// commit takes the buffer that choose saw, or n bytes of it if the group is
// consumed piece by piece, and returns the flags that say so.
func (q *Queue) commit(op *operation, n uint32) (flags uint32) {
	q.bytesIn += uint64(n)
	flags = ring.CQEFBuffer | uint32(op.buffer)<<16
	g := q.group(op.group)
	if g == nil || op.holding {
		return flags
	}
	if g.ring.Incremental && g.ring.Consume(g.head, n) > 0 {
		return flags | ring.CQEFBufMore
	}
	g.head++
	return flags
}

// reserve takes the chosen buffer for op, which has part of what it wants and
// waits for the rest. Of a group that is consumed piece by piece it takes all
// that is left of the buffer: what comes later must find its place. (The
// kernel, up to 6.18 at least, lets the next receive have that place too.)
func (q *Queue) reserve(op *operation) {
	if op.holding {
		return
	}
	op.holding = true
	if g := q.group(op.group); g != nil {
		g.head++
	}
}

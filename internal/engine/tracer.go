package engine

import (
	"runtime/debug"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// Tracer is told of each entry that a loop submits and of each of its completions, on
// the loop. slot is the same for both; it serves the next operation when the last
// completion, without ring.CQEFMore, was told.
type Tracer interface {
	Submitted(slot uint32, op Operation, kind ring.Op)
	Completed(slot uint32, op Operation, result int32, flags uint32)
}

// tracedQueue is a loop's queue when there is a tracer. Without one the queue itself is
// in its place, so that the path of an operation does not even ask.
//
// An entry is told of when the next one is begun, or before it is submitted: by then it
// is filled. A completion is told of when it is reaped: its operation is still there.
type tracedQueue struct {
	ring.Queue
	loop   *Loop
	tracer Tracer
	entry  *ring.SQE // that Next gave, and that was not told of
}

// traced is the queue, or what stands for it where a tracer is told.
func (l *Loop) traced(q ring.Queue) ring.Queue {
	if l.config.Tracer == nil {
		return q
	}
	return &tracedQueue{Queue: q, loop: l, tracer: l.config.Tracer}
}

// Next implements ring.Queue.
func (q *tracedQueue) Next() *ring.SQE {
	q.tell()
	q.entry = q.Queue.Next()
	return q.entry
}

// Reserve implements ring.Queue.
func (q *tracedQueue) Reserve(n int) error {
	q.tell()
	return q.Queue.Reserve(n)
}

// Enter implements ring.Queue.
func (q *tracedQueue) Enter(wait time.Duration) error {
	q.tell()
	return q.Queue.Enter(wait)
}

// Reap implements ring.Queue.
func (q *tracedQueue) Reap(dst []ring.CQE) int {
	n := q.Queue.Reap(dst)
	for i := range dst[:n] {
		c := &dst[i]
		if op, ok := q.loop.slots.Get(c.UserData()); ok {
			q.completed(c, op)
		}
	}
	return n
}

func (q *tracedQueue) completed(c *ring.CQE, op Operation) {
	defer q.contain()
	q.tracer.Completed(uint32(c.UserData()), op, c.Result(), c.Flags())
}

// tell tells of the entry that is filled by now.
func (q *tracedQueue) tell() {
	if q.entry == nil {
		return
	}
	e := (*queueabi.SQE)(q.entry).Entry()
	q.entry = nil
	if op, ok := q.loop.slots.Get(e.UserData); ok {
		defer q.contain()
		q.tracer.Submitted(uint32(e.UserData), op, ring.Op(e.Opcode))
	}
}

// contain is deferred: a tracer that panics must not cost the loop an entry or a
// completion.
func (q *tracedQueue) contain() {
	if value := recover(); value != nil {
		q.loop.Panicked(value, debug.Stack())
	}
}

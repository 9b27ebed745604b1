package engine

import "github.com/goproactor/goproactor/ring"

// Operation is what a slot stands for: something submitted whose completions
// are still to come. A pointer to it in the slot table keeps the memory that
// the kernel may touch reachable.
type Operation interface {
	// Complete takes one completion. When flags lack ring.CQEFMore it is the
	// last, and the slot is free already: Complete may submit again.
	Complete(result int32, flags uint32)
}

// Ender is an Operation that has to know why its loop ends it. The others are
// ended by what they belong to.
type Ender interface {
	// End asks the operation to end for that reason. Its final completion
	// tells when it has.
	End(reason error)
}

// Container is an Operation whose completion runs a program's callback.
type Container interface {
	// Contain ends what the callback belongs to. The callback has panicked, or
	// called runtime.Goexit.
	Contain()
}

// Unfound is an Operation that a cancel may fail to find although its last
// completion is still to come.
type Unfound interface{ Unfound() bool }

// Lingering is an Operation whose last completion may come long after its result: when a
// peer lets it.
type Lingering interface {
	// Hasten makes the last completion come soon. Quiesce waits for it, and has the
	// result, which is delivered later.
	Hasten(result int32)
}

// Ignore is an Operation whose result nobody needs.
type Ignore struct{}

// Complete implements Operation.
func (Ignore) Complete(int32, uint32) {}

// Next returns a free entry of the queue, to be filled and then submitted.
func (l *Loop) Next() *ring.SQE { return l.queue.Next() }

// Reserve makes room for n entries that are linked, see ring.Queue.
func (l *Loop) Reserve(n int) error { return l.queue.Reserve(n) }

// Queue is the queue, for what is registered with it.
func (l *Loop) Queue() ring.Queue { return l.queue }

// Submit assigns a slot to op and its user data to the entry, which leaves with
// the next turn.
func (l *Loop) Submit(sqe *ring.SQE, op Operation) (userData uint64) {
	userData = l.slots.Put(op)
	sqe.SetUserData(userData)
	return userData
}

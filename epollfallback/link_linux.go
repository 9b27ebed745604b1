package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// chain is what is being assembled from linked entries during a submission.
type chain struct{ head, last *operation }

// validFlags is what an entry's flags may be. SQEAsync is without effect.
const validFlags = ring.SQEFixedFile | ring.SQEDrain | ring.SQELink | ring.SQEHardLink | ring.SQEAsync | ring.SQEBufferSelect

// take makes an operation of an entry, and starts it or hangs it on a chain.
func (q *Queue) take(f *queueabi.Entry) {
	op := q.newOperation(f)
	if errno := q.prepare(op, f); errno != 0 {
		op.endError(errno)
		op.state = ending
		// A chain with a bad entry fails whole, before anything of it starts.
		if head := q.chain.head; head != nil && head.state != ending {
			head.endError(unix.ECANCELED)
			head.state = ending
		}
	}
	if q.chain.head == nil {
		if op.linked() {
			q.chain.head, q.chain.last = op, op
			return
		}
		q.launch(op)
		return
	}
	q.keep(op)
	q.extraOf(q.chain.last).link = op
	q.chain.last = op
	if !op.linked() {
		q.chain.end(q)
	}
}

// end launches the chain, if there is one. The end of a submission ends it
// even if its last entry asks for another.
func (c *chain) end(q *Queue) {
	head := c.head
	if head == nil {
		return
	}
	*c = chain{}
	q.launch(head)
}

// prepare checks an entry as the kernel does when it takes it.
func (q *Queue) prepare(op *operation, f *queueabi.Entry) unix.Errno {
	e := &q.emulations[op.opcode]
	switch {
	case e.prepare == nil, f.Flags&^validFlags != 0:
		return unix.EINVAL
	case f.Flags&ring.SQEBufferSelect != 0 && !e.buffers:
		return unix.EOPNOTSUPP
	}
	q.noteDrain(op)
	if f.Ioprio != 0 && !e.ioprio || f.Personality != 0 {
		return unix.EINVAL
	}
	return e.prepare(q, op, f)
}

// launch starts a single operation or the head of a chain.
func (q *Queue) launch(op *operation) {
	switch {
	case op.state == ending:
		// The chain is broken from the start, hard links too.
		op.sqeFlags &^= ring.SQEHardLink
		q.finish(op)
	case q.draining:
		q.hold(op)
	default:
		q.issue(op)
	}
}

// proceed goes on with the chain after op has ended.
func (q *Queue) proceed(op *operation) {
	x := op.extra
	next := x.link
	if t := x.limit; t != nil {
		q.disarm(t)
	} else if next != nil && next.opcode == ring.OpLinkTimeout && next.state != ending {
		// It ended before its limit started to run.
		t, next = next, next.link()
		t.unlink()
		q.follow(t, unix.ECANCELED)
	}
	x.link, x.limit = nil, nil
	switch {
	case next == nil:
	case op.failed && !op.hard():
		q.breakChain(next)
	default:
		q.successors.push(next)
		q.toStart++
	}
}

// breakChain ends what is left of a chain, each with its own error if it had
// one when it was submitted.
func (q *Queue) breakChain(op *operation) {
	for op != nil {
		next := op.link()
		op.unlink()
		if op.state == ending {
			q.successors.push(op)
		} else {
			q.follow(op, unix.ECANCELED)
		}
		op = next
	}
}

// follow ends an operation when those that follow in chains have their turn.
func (q *Queue) follow(op *operation, errno unix.Errno) {
	op.endError(errno)
	op.state = ending
	q.successors.push(op)
}

// endLater ends an operation that waits for nothing any more, after what is
// being done now.
func (q *Queue) endLater(op *operation, errno unix.Errno) {
	op.endError(errno)
	op.state = ending
	q.work.push(op)
}

// runWork starts and ends what was put off until now. What that sets off is for
// the next generation.
func (q *Queue) runWork() {
	last := q.work.last()
	for op := q.work.pop(); op != nil; op = q.work.pop() {
		isLast := op == last
		if op.state == ending {
			q.finish(op)
		} else {
			q.issue(op)
		}
		if isLast {
			return
		}
	}
}

// noteDrain notes that op waits for everything before it. In the middle of a
// chain, all of the chain waits, and so does what comes after it.
func (q *Queue) noteDrain(op *operation) {
	if op.sqeFlags&ring.SQEDrain != 0 {
		q.draining, q.extraOf(op).drain = true, true
		if q.chain.head != nil {
			q.extraOf(q.chain.head).drain = true
			q.drainNext = true
		}
	}
	if q.drainNext && q.chain.head == nil {
		q.draining, q.drainNext, q.extraOf(op).drain = true, false, true
	}
}

// hold puts a chain behind a drain.
func (q *Queue) hold(op *operation) {
	for o := op; o != nil; o = o.link() {
		q.keep(o)
		q.heldBack++
	}
	q.deferred.push(op)
	q.release()
	if !op.drains() && q.deferred.empty() {
		q.draining = false
	}
}

// release starts what a drain held back, if what it waits for has ended.
func (q *Queue) release() {
	drain, released := false, false
	for op := q.deferred.head; op != nil; op = q.deferred.head {
		drain = drain || op.drains()
		if (drain || !released) && q.live != q.heldBack {
			return
		}
		q.deferred.remove(op)
		for o := op; o != nil; o = o.link() {
			q.heldBack--
		}
		q.work.push(op)
		released = true
	}
}

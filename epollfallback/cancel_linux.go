package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

func (q *Queue) prepareCancel(op *operation, f *queueabi.Entry) unix.Errno {
	const valid = ring.CancelAll | ring.CancelFD | ring.CancelAny | ring.CancelSlot | cancelUserData | cancelOp
	switch {
	case f.Off != 0 || f.SpliceFD != 0,
		f.OpFlags&^valid != 0,
		f.OpFlags&ring.CancelAny != 0 && f.OpFlags&(ring.CancelFD|cancelOp) != 0:
		return unix.EINVAL
	}
	return 0
}

// cancel ends what matches: one operation, answering 0 or ENOENT, or all,
// answering how many. They end after the cancel itself, with ECANCELED.
func (q *Queue) cancel(op *operation) outcome {
	w := wanted{flags: op.opFlags, userData: op.addr, opcode: ring.Op(op.len)}
	if op.opFlags&ring.CancelFD != 0 {
		if op.opFlags&ring.CancelSlot != 0 {
			op.sqeFlags |= ring.SQEFixedFile
		}
		if errno := q.resolve(op); errno != 0 {
			return op.endError(errno)
		}
		if w.d = q.lookup(op.fd); w.d != nil && !q.confirm(w.d) {
			w.d = nil
		}
		if w.d == nil && isNoFile(op.fd) {
			return op.endError(unix.EBADF)
		}
	}
	n := q.cancelMatching(&w)
	switch {
	case w.all():
		return op.end(int32(n))
	case n == 0:
		return op.endError(unix.ENOENT)
	case w.running:
		return op.endError(unix.EALREADY)
	}
	return op.end(0)
}

// wanted is what a cancel looks for.
type wanted struct {
	flags    uint32
	userData uint64
	opcode   ring.Op
	d        *descriptor
	running  bool // found one that is past canceling
}

// count notes what came of canceling one that matches. A splice is with a
// worker of the kernel's, which ends it and does not count it.
func (w *wanted) count(op *operation, canceled bool) int {
	w.running = w.running || !canceled || op.splices()
	if w.all() && op.splices() {
		return 0
	}
	return 1
}

func (w *wanted) all() bool { return w.flags&(ring.CancelAll|ring.CancelAny) != 0 }

func (w *wanted) byUserData() bool {
	return w.flags&cancelUserData != 0 || w.flags&(ring.CancelFD|cancelOp|ring.CancelAny) == 0
}

func (w *wanted) matches(op *operation) bool {
	switch {
	case op.opcode == ring.OpLinkTimeout: // ended by its target only
		return false
	case w.flags&ring.CancelAny != 0:
		return true
	case w.flags&ring.CancelFD != 0 && (w.d == nil || op.subject() != w.d),
		w.flags&cancelOp != 0 && op.opcode != w.opcode,
		w.byUserData() && op.userData != w.userData:
		return false
	}
	return true
}

// subject is the descriptor that a cancel names op by: of a splice the
// destination, wherever it waits.
func (op *operation) subject() *descriptor {
	if op.splices() && op.extra.ends.at[spliceDestination].d != nil {
		return op.extra.ends.at[spliceDestination].d
	}
	return op.d
}

func waitsForFile(op *operation) bool { return op.subject() != nil }

// cancelMatching cancels and counts. What waits for a file is found before
// timeouts are.
func (q *Queue) cancelMatching(w *wanted) (n int) {
	if w.byUserData() && !w.all() {
		op := q.registry.find(w.userData, func(op *operation) bool { return waitsForFile(op) && w.matches(op) })
		if op == nil {
			op = q.registry.findOldest(w.userData, w.matches)
		}
		if op == nil {
			return 0
		}
		return w.count(op, q.cancelOne(op))
	}
	buckets := q.registry.buckets
	if w.byUserData() {
		buckets = []*operation{*q.registry.bucket(w.userData)}
	}
	for _, files := range [2]bool{true, false} {
		for _, op := range buckets {
			for op != nil {
				next := op.hashNext
				if waitsForFile(op) == files && w.matches(op) {
					n += w.count(op, q.cancelOne(op))
					if !w.all() {
						return n
					}
				}
				op = next
			}
		}
	}
	return n
}

// cancelOne ends one operation in flight. What it has transferred already is
// its result; a transfer of nothing ends with ECANCELED. What a worker performs
// is past canceling: then it returns false.
func (q *Queue) cancelOne(op *operation) bool {
	switch {
	case op.canceled:
		return true
	case op.state == pooled && !q.workers.withdraw(op):
		if op.opcode == ring.OpOpenat && q.workers.abandon(op) {
			// The kernel's ring ends such a wait with a signal, after the cancel.
			op.canceled = true
			q.registry.remove(op)
			q.endLater(op, unix.ECANCELED)
			return false
		}
		op.canceled = op.splices() // it is not to wait when it comes back
		return false
	}
	op.canceled = true
	q.stopTimer(op)
	if op.list != nil {
		op.list.remove(op)
	}
	if op.state == timing {
		q.registry.remove(op) // a second cancel does not find it
	}
	q.endLater(op, unix.ECANCELED)
	if op.done > 0 && op.opcode != ring.OpConnect {
		op.result = int32(op.done)
	}
	if op.holding {
		op.flags = q.commit(op, op.done)
	}
	return true
}

// cancelEverything is the queue's end: all that is in flight ends, whatever it
// waits for.
func (q *Queue) cancelEverything() {
	for before := q.live + 1; q.live > 0 && q.live < before; {
		before = q.live
		q.stopResuming()
		q.cancelMatching(&wanted{flags: ring.CancelAny})
		for op := q.deferred.pop(); op != nil; op = q.deferred.pop() {
			for o := op; o != nil; o = o.link() {
				q.heldBack--
			}
			op.sqeFlags &^= ring.SQEHardLink
			q.endLater(op, unix.ECANCELED)
		}
		q.advance()
	}
	q.stopResuming()
	q.closeNumbers()
}

// stopResuming parks what was to go on, for a cancel to find.
func (q *Queue) stopResuming() {
	for d := q.resumable.pop(); d != nil; d = q.resumable.pop() {
		d.again = 0
		for way := range d.queues {
			if op := d.queues[way].head; op != nil {
				q.findable(op)
			}
		}
		q.leave(d)
	}
}

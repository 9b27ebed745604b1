package simulation

import (
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// operation is a submission entry in flight. What an entry only describes was copied.
type operation struct {
	queue    *Queue
	kind     ring.Op
	flags    uint8
	entry    queueabi.Entry
	userData uint64

	socket    *socket
	multishot bool
	memory    *memory // to receive into, or to send
	header    *ring.Msghdr
	message   ring.Msghdr // header, as it was at submission
	name      []byte      // of a message's destination, or to connect to
	duration  time.Duration

	moved   int            // bytes so far
	order   *time.Duration // when the completion came that its own must not overtake
	started bool
	done    bool // its final completion was posted
	next    *operation
	limit   *operation // the link timeout for it
	timer   *event
}

// operation makes one from an entry.
func (q *Queue) operation(f *queueabi.Entry) *operation {
	op := &operation{queue: q, kind: ring.Op(f.Opcode), flags: f.Flags, entry: *f, userData: f.UserData}
	for _, other := range q.live {
		if other.userData == f.UserData && other.kind != ring.OpAsyncCancel && op.kind != ring.OpAsyncCancel {
			q.net.violated("%v has the user data of %v, which is in flight", op.kind, other.kind)
		}
	}
	switch op.kind {
	case ring.OpRecv, ring.OpRecvmsg:
		op.multishot = f.Ioprio&ring.RecvMultishot != 0
	case ring.OpAccept:
		op.multishot = f.Ioprio&ring.AcceptMultishot != 0
	case ring.OpPollAdd:
		op.multishot = f.Len&ring.PollMultishot != 0
	case ring.OpReadMultishot:
		op.multishot = true
	}
	op.copy()
	q.live = append(q.live, op)
	q.inFlight++
	q.stats.Submitted++
	return op
}

func (q *Queue) forget(op *operation) {
	for i, other := range q.live {
		if other == op {
			q.live = append(q.live[:i], q.live[i+1:]...)
			return
		}
	}
}

// start performs op, as far as it can be now.
func (q *Queue) start(op *operation) {
	op.started = true
	if t := op.next; t != nil && t.kind == ring.OpLinkTimeout {
		op.limit, op.next = t, t.next
		t.next, t.started = nil, true
		t.timer = q.net.after(t.duration, func() {
			op.limit = nil
			q.post(t, -int32(syscall.ETIME), 0)
			q.cancelOne(op)
		})
	}
	if errno := q.begin(op); errno != 0 {
		op.fail(errno)
	}
}

// begin parks op where it belongs, or ends it. An errno ends it, too.
func (q *Queue) begin(op *operation) syscall.Errno {
	switch op.kind {
	case ring.OpNop:
		op.finish(0)
		return 0
	case ring.OpTimeout:
		op.timer = q.net.after(op.duration, func() { op.fail(syscall.ETIME) })
		return 0
	case ring.OpTimeoutRemove:
		return q.removeTimeout(op)
	case ring.OpAsyncCancel:
		return q.cancel(op)
	case ring.OpClose:
		return q.close(op)
	case ring.OpUringCmd:
		op.finish(socketOption(&op.entry))
		return 0
	case ring.OpRead:
		if isEvent(int(op.entry.FD)) {
			q.wakeups = append(q.wakeups, op)
			return 0
		}
	}
	if op.flags&(ring.SQEFixedFile|ring.SQEDrain) != 0 {
		return q.refuse(op)
	}
	s, errno := q.socketOf(int(op.entry.FD))
	if errno == syscall.ENOTSOCK || errno == syscall.EOPNOTSUPP || op.entry.FD < 0 {
		return q.refuse(op)
	}
	if errno != 0 {
		return errno
	}
	op.socket = s
	return s.perform(op)
}

// perform performs an operation on a socket.
func (s *socket) perform(op *operation) syscall.Errno {
	switch op.kind {
	case ring.OpAccept:
		return s.accept(op)
	case ring.OpConnect:
		return s.connect(op)
	case ring.OpRead, ring.OpRecv, ring.OpRecvmsg:
		return s.receive(op)
	case ring.OpWrite, ring.OpSend, ring.OpSendmsg, ring.OpSendZC:
		return s.send(op)
	case ring.OpShutdown:
		return s.shutdown(op)
	case ring.OpPollAdd:
		return s.poll(op)
	}
	return op.queue.refuse(op)
}

// refuse notes an operation that is not simulated.
func (q *Queue) refuse(op *operation) syscall.Errno {
	q.net.unsupported[op.kind]++
	return syscall.EOPNOTSUPP
}

func (op *operation) fail(errno syscall.Errno) { op.finish(-int32(errno)) }

// finish posts the final completion of op, and goes on with what is linked behind it.
func (op *operation) finish(result int32) { op.finishWith(result, 0) }

func (op *operation) finishWith(result int32, flags uint32) {
	q := op.queue
	if op.memory != nil {
		op.memory.giveBack(q.net, op)
	}
	q.net.stop(op.timer)
	if op.kind == ring.OpSendZC { // the result first, the memory later
		q.post(op, result, ring.CQEFMore)
		result, flags = 0, ring.CQEFNotif
	}
	q.post(op, result, flags)
	if t := op.limit; t != nil {
		op.limit = nil
		t.fail(syscall.ECANCELED)
	}
	next := op.next
	op.next = nil
	if next == nil {
		return
	}
	if op.flags&ring.SQEHardLink != 0 || !op.breaksLink(result) {
		q.start(next)
		return
	}
	next.fail(syscall.ECANCELED)
}

// breaksLink reports whether that result ends the chain.
func (op *operation) breaksLink(result int32) bool {
	short := false
	switch op.kind {
	case ring.OpRead, ring.OpWrite:
		short = int(result) < int(op.entry.Len)
	case ring.OpRecv, ring.OpSend:
		short = op.entry.OpFlags&ring.MsgWaitAll != 0 && int(result) < int(op.entry.Len)
	}
	return op.kind.BreaksLink() && (result < 0 || short)
}

// isWakeup reports whether op is the read by which a loop is woken.
func (op *operation) isWakeup() bool {
	for _, w := range op.queue.wakeups {
		if w == op {
			return true
		}
	}
	return false
}

// readWakeups completes reads of eventfds that can be read. They are seen at once, and are
// in no trace: whether a loop has to be woken depends on the Go scheduler.
func (q *Queue) readWakeups() {
	for i := 0; i < len(q.wakeups); i++ {
		op := q.wakeups[i]
		if op.done || !readEvent(int(op.entry.FD), op.memory.bytes) {
			continue
		}
		q.wakeups = append(q.wakeups[:i], q.wakeups[i+1:]...)
		i--
		op.done = true
		q.forget(op)
		q.ready = append(q.ready, completion{op: op, result: int32(len(op.memory.bytes))})
	}
}

func (q *Queue) removeTimeout(op *operation) syscall.Errno {
	for _, other := range q.live {
		if other.kind == ring.OpTimeout && other.userData == op.entry.Addr {
			other.fail(syscall.ECANCELED)
			op.finish(0)
			return 0
		}
	}
	return syscall.ENOENT
}

package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// operation is one entry from submission to its final completion. Addresses
// in it are integers: the memory belongs to whoever submitted the entry.
type operation struct {
	next, prev *operation // neighbours in list
	list       *opList    // the list it is in, nil if in none

	hashNext, hashPrev *operation  // neighbors in the registry
	d                  *descriptor // that it is parked on, or works on

	extra *extra // nil in most

	userData uint64
	addr     uint64 // of a multishot poll yet to report: what held when it was armed
	off      uint64 // of a multishot poll: what its last completion said
	len      uint32
	done     uint32 // bytes transferred by earlier attempts
	opFlags  uint32
	flags    uint32 // of the final completion
	result   int32
	fd       int32
	slot     uint32 // where its file is to go, + 1
	ioprio   uint16
	group    uint16
	buffer   uint16
	opcode   ring.Op
	sqeFlags uint8
	state    opState
	queue    direction

	failed      bool // breaks its chain
	registered  bool // findable by a cancel
	canceled    bool
	waited      bool // has been parked
	started     bool // of a connect: it is in progress
	holding     bool // owns provided buffer number buffer
	kept        bool // keep has run
	withWorkers bool // counts in its descriptor's jobs
	notifies    bool // a notification follows the result
	resolved    bool // fd is the number of its file
}

// extra is what few operations have. It is kept apart because an idle connection keeps
// an operation.
type extra struct {
	link   *operation // what follows in its chain
	limit  *operation // the link timeout that is running against it
	target *operation // of a running link timeout: what it limits

	message *message // header, vector and address, once copied
	timer   timer    // of what waits for a moment
	ends    ends     // of a splice
	drain   bool     // waits for everything before it

	spare *extra // next in the pool
}

// extraOf is the extra of op, which gets one if it has none.
func (q *Queue) extraOf(op *operation) *extra {
	if op.extra == nil {
		if op.extra = q.free.extras; op.extra == nil {
			op.extra = new(extra)
		}
		q.free.extras = op.extra.spare
		*op.extra = extra{}
	}
	return op.extra
}

func (q *Queue) recycleExtra(op *operation) {
	op.extra.spare = q.free.extras
	q.free.extras, op.extra = op.extra, nil
}

// unlink takes off op what follows it.
func (op *operation) unlink() {
	if op.extra != nil {
		op.extra.link = nil
	}
}

// link is what follows op in its chain.
func (op *operation) link() *operation {
	if op.extra == nil {
		return nil
	}
	return op.extra.link
}

// message is the copy of what the entry of op only described, once there is one.
func (op *operation) message() *message {
	if op.extra == nil {
		return nil
	}
	return op.extra.message
}

// drains reports whether op waits for everything before it.
func (op *operation) drains() bool { return op.extra != nil && op.extra.drain }

// opState is what an operation is doing.
type opState uint8

const (
	starting opState = iota // not performed yet
	parked                  // waits in a queue of its descriptor
	queued                  // waits for room in the pool of workers
	pooled                  // is with the workers
	timing                  // waits in the heap of timers
	ending                  // result is set, the completion is to be posted
)

// outcome is what came of performing an operation.
type outcome uint8

const (
	finished outcome = iota // result and flags are set
	blocked                 // would block: wait for an edge
	yielded                 // could go on, but others want their turn
	held                    // waits for something other than an edge
	moved                   // has left the queue it was parked in, and may have ended
)

// direction names the queue of a descriptor that an operation waits in.
type direction uint8

const (
	reading direction = iota
	writing
	neither
)

// end sets what the final completion says. A negative result breaks a chain.
func (op *operation) end(result int32) outcome {
	op.result, op.failed = result, result < 0
	return finished
}

func (op *operation) endError(errno unix.Errno) outcome { return op.end(-int32(errno)) }

// hard reports whether its chain goes on after a failure.
func (op *operation) hard() bool { return op.sqeFlags&ring.SQEHardLink != 0 }

func (op *operation) linked() bool { return op.sqeFlags&(ring.SQELink|ring.SQEHardLink) != 0 }

// newOperation takes one from the pool and fills it from its entry.
func (q *Queue) newOperation(f *queueabi.Entry) *operation {
	op := q.free.operations
	if op == nil {
		op = q.slabs.operations.New(slabLength)
	} else {
		q.free.operations = op.next
	}
	*op = operation{
		userData: f.UserData, addr: f.Addr, off: f.Off, len: f.Len, opFlags: f.OpFlags,
		fd: f.FD, ioprio: f.Ioprio, group: f.BufGroup, opcode: ring.Op(f.Opcode), sqeFlags: f.Flags,
		queue: q.emulations[f.Opcode].queue,
	}
	q.live++
	return op
}

func (q *Queue) recycle(op *operation) {
	if op.extra != nil {
		q.recycleExtra(op)
	}
	op.next = q.free.operations
	q.free.operations = op
	q.live--
}

// issue starts an operation. It is tried at once if nothing submitted before
// it waits for the same side of its descriptor; else it would overtake.
func (q *Queue) issue(op *operation) {
	e := &q.emulations[op.opcode]
	if e.file {
		if errno := q.resolve(op); errno != 0 {
			op.endError(errno)
			q.finish(op)
			return
		}
	}
	if e.fixed {
		if errno := q.findBuffer(op); errno != 0 {
			op.endError(errno)
			q.finish(op)
			return
		}
	}
	if op.queue != neither && q.mustQueue(op) {
		q.settle(op, op.wouldBlock())
		return
	}
	q.settle(op, e.perform(q, op))
}

// mustQueue reports whether others wait before op.
func (q *Queue) mustQueue(op *operation) bool {
	d := q.lookup(op.fd)
	if d == nil || d.queues[op.queue].empty() || op.overtakes() || !q.confirm(d) {
		return false
	}
	if !op.dontWait() {
		return true
	}
	q.run(d, op.queue) // its turn comes now or never
	// A message may go to another than the one that has no room for those before it.
	return !d.queues[op.queue].empty() && (op.opcode != ring.OpSendmsg || q.kindAt(op.fd) != datagrams)
}

// overtakes reports whether op is about something else than what waits on its side of
// the descriptor: a connect, whose answer is whether there is a connection, and a receive
// from the queue of errors or of urgent data.
func (op *operation) overtakes() bool {
	switch op.opcode {
	case ring.OpConnect:
		return true
	case ring.OpRecv, ring.OpRecvmsg:
		return op.opFlags&(unix.MSG_ERRQUEUE|unix.MSG_OOB) != 0
	}
	return false
}

// dontWait reports whether EAGAIN is an answer, not a reason to wait.
func (op *operation) dontWait() bool {
	switch op.opcode {
	case ring.OpRecv, ring.OpSend, ring.OpSendZC, ring.OpRecvmsg, ring.OpSendmsg:
		return op.opFlags&ring.MsgDontWait != 0
	case ring.OpAccept:
		return op.ioprio&acceptDontWait != 0
	case ring.OpRead, ring.OpWrite, ring.OpReadFixed, ring.OpWriteFixed, ring.OpReadv, ring.OpWritev, ring.OpReadMultishot:
		return op.opFlags&rwfNoWait != 0
	}
	return false
}

// wouldBlock is what EAGAIN means to op.
func (op *operation) wouldBlock() outcome {
	switch {
	case !op.dontWait():
		return blocked
	case op.done > 0:
		op.end(int32(op.done))
		op.failed = true
		return finished
	}
	return op.endError(unix.EAGAIN)
}

// settle does what the outcome of the first attempt asks for.
func (q *Queue) settle(op *operation, o outcome) {
	switch o {
	case finished:
		q.finish(op)
		return
	case blocked:
		if !q.park(op) {
			return
		}
	case yielded:
		if !q.park(op) {
			return
		}
		// As in the kernel, it is under way: a cancel does not find it.
		q.registry.remove(op)
		q.resumeLater(op.d, op.queue)
	}
	q.limit(op)
}

// keep copies what the entry of op only describes.
func (q *Queue) keep(op *operation) {
	if !op.kept {
		op.kept = true
		if keep := q.emulations[op.opcode].keep; keep != nil {
			keep(q, op)
		}
	}
}

// finish posts the final completion and ends the operation.
func (q *Queue) finish(op *operation) {
	if op.notifies {
		q.postNotified(op)
	} else {
		q.post(op, op.result, op.flags)
	}
	if op.registered {
		q.registry.remove(op)
	}
	if op.list != nil {
		op.list.remove(op)
	}
	if op.d != nil {
		if op.withWorkers {
			q.endJob(op.d)
		}
		q.leave(op.d)
	}
	if op.extra != nil {
		q.finishExtra(op)
	}
	q.recycle(op)
}

// finishExtra is the part of finish for what few operations have.
func (q *Queue) finishExtra(op *operation) {
	x := op.extra
	q.stopTimer(op)
	q.unpin(&x.ends)
	if x.message != nil {
		q.recycleMessage(x.message)
	}
	if x.limit != nil || x.link != nil {
		q.proceed(op)
	}
}

// opList is a list of operations, linked through them. The first one's prev is the last:
// many descriptors are kept, and most of their lists are empty.
type opList struct{ head *operation }

func (l *opList) empty() bool { return l.head == nil }

// last is the last operation, nil if there is none.
func (l *opList) last() *operation {
	if l.head == nil {
		return nil
	}
	return l.head.prev
}

// ahead is the operation in front of op, nil if op is the first.
func (l *opList) ahead(op *operation) *operation {
	if op == l.head {
		return nil
	}
	return op.prev
}

func (l *opList) push(op *operation) { l.insert(op, nil) }

// insert puts op in front of before, last if that is nil.
func (l *opList) insert(op, before *operation) {
	op.list, op.prev, op.next = l, op, before
	if head := l.head; head != nil {
		behind := head // whose prev becomes op
		if before != nil {
			behind = before
		}
		op.prev, behind.prev = behind.prev, op
	}
	if before == l.head {
		l.head = op
	} else {
		op.prev.next = op
	}
}

func (l *opList) remove(op *operation) {
	if op == l.head {
		l.head = op.next
	} else {
		op.prev.next = op.next
	}
	if op.next != nil {
		op.next.prev = op.prev
	} else if l.head != nil {
		l.head.prev = op.prev
	}
	op.list, op.prev, op.next = nil, nil, nil
}

func (l *opList) len() (n int) {
	for op := l.head; op != nil; op = op.next {
		n++
	}
	return n
}

// append moves all of other to the end of l.
func (l *opList) append(other *opList) {
	for op := other.pop(); op != nil; op = other.pop() {
		l.push(op)
	}
}

func (l *opList) pop() *operation {
	op := l.head
	if op != nil {
		l.remove(op)
	}
	return op
}

func (q *Queue) prepareNop(op *operation, f *queueabi.Entry) unix.Errno {
	if f.OpFlags&^nopInjectResult != 0 {
		return unix.EINVAL
	}
	return 0
}

func (q *Queue) nop(op *operation) outcome {
	if op.opFlags&nopInjectResult != 0 {
		return op.end(int32(op.len))
	}
	return op.end(0)
}

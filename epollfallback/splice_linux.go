package epollfallback

import (
	"syscall"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// A splice or tee has two descriptors, and may wait for either: for something to
// read from its source, or for room in its destination. It is parked on the one
// that keeps it waiting, and moves to the other when that one does. While it is
// in flight both are pinned: neither number is closed before it has ended, so
// that the one it is not parked on still stands for its file when its turn comes.
//
// What goes to or comes from a file is left to the workers, who do not wait for
// the pipe at its other end: they come back with EAGAIN, and it is parked.

// splicedEnd is the source or the destination of a splice.
type splicedEnd struct {
	d    *descriptor // once it is pinned
	kind endKind
}

// ends are what a splice has besides an operation.
type ends struct {
	at     [2]splicedEnd
	source int32 // the descriptor that bytes come from
	seen   bool
}

// endKind is what waiting for one end takes.
type endKind uint8

const (
	unseenEnd endKind = iota
	pipeEnd           // SPLICE_F_NONBLOCK tells it not to wait
	otherEnd          // O_NONBLOCK does: sockets, terminals
	plainEnd          // nothing does: files
)

const (
	spliceSource, spliceDestination = 0, 1

	spliceFlags = ring.SpliceMove | ring.SpliceNonblock | ring.SpliceMore | unix.SPLICE_F_GIFT | ring.SpliceFromSlot

	// spliceAttempts is how often one is tried at once when neither end says
	// that it is to blame.
	spliceAttempts = 4
)

func (op *operation) splices() bool { return op.opcode == ring.OpSplice || op.opcode == ring.OpTee }

// number is that of one end.
func (op *operation) number(end int) int32 {
	if end == spliceSource {
		return op.extra.ends.source
	}
	return op.fd
}

// waitsOn is the number that op is parked on.
func (op *operation) waitsOn() int32 {
	if op.splices() && op.queue == reading {
		return op.extra.ends.source
	}
	return op.fd
}

func (q *Queue) prepareSplice(op *operation, f *queueabi.Entry) unix.Errno {
	q.extraOf(op).ends.source = f.SpliceFD
	return invalidIf(f.OpFlags&^spliceFlags != 0)
}

func (q *Queue) prepareTee(op *operation, f *queueabi.Entry) unix.Errno {
	q.extraOf(op).ends.source = f.SpliceFD
	return invalidIf(f.OpFlags&^spliceFlags != 0 || f.Addr != 0 || f.Off != 0)
}

// splice tries a splice or tee.
func (q *Queue) splice(op *operation) outcome {
	if ends := &op.extra.ends; !ends.seen {
		ends.seen = true
		if errno := q.lookAtEnds(op); errno != 0 {
			return op.endError(errno)
		}
		if op.len == 0 {
			return op.end(0)
		}
		if q.queuesUp(op) {
			if op.opFlags&ring.SpliceNonblock != 0 {
				return op.endError(unix.EAGAIN)
			}
			return blocked
		}
	}
	if op.isAnyEnd(plainEnd) {
		return q.giveSpliceToWorkers(op)
	}
	if op.isLost() {
		return blocked
	}
	for range spliceAttempts {
		n, errno := q.spliceNow(op)
		switch {
		case errno == unix.EAGAIN:
			if o := q.spliceWaits(op); o != yielded {
				return o
			}
		case errno == 0 && n > 0 && uint32(n) < op.len && op.extra.ends.at[spliceDestination].kind == otherEnd:
			// To a socket the kernel's ring goes on until the pipe is empty.
			op.len -= uint32(n)
			op.done += uint32(n)
		default:
			op.endSplice(n, errno)
			return finished
		}
	}
	return yielded
}

// endSplice ends it with what the last attempt said. Bytes that went before an
// error are what counts, and fewer than asked for break a chain.
func (op *operation) endSplice(n int, errno unix.Errno) {
	switch {
	case errno != 0 && op.done == 0:
		op.endError(errno)
		return
	case errno != 0:
		n = 0
	}
	op.end(int32(op.done) + int32(n))
	op.failed = uint32(n) != op.len
}

// lookAtEnds finds out what both ends are.
func (q *Queue) lookAtEnds(op *operation) unix.Errno {
	ends := &op.extra.ends
	switch {
	case op.opFlags&ring.SpliceFromSlot != 0:
		ends.source = q.files.at(ends.source) // none there is no descriptor, either
		op.opFlags &^= ring.SpliceFromSlot
	case q.isPrivate(ends.source):
		return unix.EBADF
	}
	for end := range ends.at {
		_, errno := without(unix.Fstat(int(op.number(end)), &q.scratch.stat))
		if errno != 0 {
			return errno
		}
		switch q.scratch.stat.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
			ends.at[end].kind = plainEnd
		case unix.S_IFIFO:
			ends.at[end].kind = pipeEnd
		default:
			ends.at[end].kind = otherEnd
		}
	}
	return 0
}

func (op *operation) isAnyEnd(kind endKind) bool {
	return op.extra.ends.at[spliceSource].kind == kind || op.extra.ends.at[spliceDestination].kind == kind
}

// isLost reports whether the program closed a number behind our back.
func (op *operation) isLost() bool {
	for _, e := range op.extra.ends.at {
		if e.d != nil && e.d.fd < 0 {
			return true
		}
	}
	return false
}

// queuesUp reports whether others wait before op at one of its ends, and for
// which.
func (q *Queue) queuesUp(op *operation) bool {
	for _, way := range [2]direction{reading, writing} {
		op.queue = way
		d := q.lookup(op.waitsOn())
		if d == nil || d.queues[way].empty() || !q.confirm(d) {
			continue
		}
		if op.opFlags&ring.SpliceNonblock != 0 { // its turn comes now or never
			q.run(d, way)
		}
		if !d.queues[way].empty() {
			return true
		}
	}
	return false
}

// spliceNow is a call that does not wait. Other than a pipe, a socket goes by its
// O_NONBLOCK, which it has for the time of the call.
func (q *Queue) spliceNow(op *operation) (n int, errno unix.Errno) {
	var blocking [2]bool
	for end := range op.extra.ends.at {
		if op.extra.ends.at[end].kind == otherEnd {
			was, errno := q.setNonblock(op.number(end), true)
			if errno != 0 {
				return 0, errno
			}
			blocking[end] = !was
		}
	}
	call, a := op.spliceCall()
	n, errno = q.raw(call, a[0], a[1], a[2], a[3], a[4], a[5])
	for end, was := range blocking {
		if was {
			q.setNonblock(op.number(end), false)
		}
	}
	return n, errno
}

// spliceCall is the system call. The kernel updates the offsets, which are the
// operation's.
func (op *operation) spliceCall() (call uintptr, arguments [6]uintptr) {
	flags := uintptr(op.opFlags | ring.SpliceNonblock)
	if op.opcode == ring.OpTee {
		return unix.SYS_TEE, [6]uintptr{uintptr(op.extra.ends.source), uintptr(op.fd), uintptr(op.len), flags}
	}
	return unix.SYS_SPLICE, [6]uintptr{uintptr(op.extra.ends.source), offsetAt(&op.addr), uintptr(op.fd), offsetAt(&op.off), uintptr(op.len), flags}
}

// offsetAt is the address of an offset, none if it is the cursor.
func offsetAt(offset *uint64) uintptr {
	if *offset == ^uint64(0) {
		return 0
	}
	return addressOf(offset)
}

// spliceWaits is called after EAGAIN, and finds the end that is to be waited
// for. If neither is, it yields.
func (q *Queue) spliceWaits(op *operation) outcome {
	way, waits := reading, [2]uint32{unix.POLLIN, unix.POLLOUT}
	for ; way <= writing; way++ {
		level, errno := q.pollNow(op.number(int(way)), waits[way])
		if errno != 0 {
			return op.endError(errno)
		}
		if level == 0 {
			break
		}
	}
	switch {
	case way == neither:
		return yielded
	case way == reading && op.done > 0, op.opFlags&ring.SpliceNonblock != 0 && !q.waitsAnyway(op, way):
		op.endSplice(0, unix.EAGAIN)
		return finished
	case op.d == nil:
		op.queue = way
		return blocked
	case op.queue == way:
		return blocked
	}
	q.unpark(op)
	op.queue = way
	q.park(op)
	return moved
}

// waitsAnyway reports whether the end of op that is not ready waits whatever
// SPLICE_F_NONBLOCK says, as in the kernel a socket does that is blocking, but
// for a Unix socket that is read.
func (q *Queue) waitsAnyway(op *operation, way direction) bool {
	if op.extra.ends.at[way].kind != otherEnd {
		return false
	}
	fd := op.number(int(way))
	flags, errno := q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0, 0, 0, 0)
	return errno == 0 && flags&unix.O_NONBLOCK == 0 && (way == writing || q.askKind(fd) != unixStream)
}

// pin keeps the numbers of both ends open. Doing so twice is harmless.
func (q *Queue) pin(op *operation) {
	for end := range op.extra.ends.at {
		e := &op.extra.ends.at[end]
		if e.d != nil {
			continue
		}
		number := op.number(end)
		if d := q.lookup(number); d != nil && d.users == 0 && d.events != 0 {
			q.confirm(d) // it may be that of an earlier file, and must not turn out so while in use
		}
		if e.d = q.lookup(number); e.d == nil {
			e.d = q.adopt(number)
		}
		e.d.users++
		e.d.pins++
	}
}

// unpin is the opposite.
func (q *Queue) unpin(ends *ends) {
	for _, e := range ends.at {
		if e.d != nil {
			e.d.pins--
			q.closeIfIdle(e.d)
			q.leave(e.d)
		}
	}
}

// giveSpliceToWorkers leaves it to the workers.
func (q *Queue) giveSpliceToWorkers(op *operation) outcome {
	if op.d != nil {
		q.unpark(op)
	}
	q.pin(op)
	return q.giveToWorkers(op)
}

// blockSplice performs it on a worker's goroutine: it waits for a file, and for
// nothing else.
func (op *operation) blockSplice(*workspace) (int, unix.Errno) {
	call, a := op.spliceCall()
	n, _, errno := syscall.Syscall6(call, a[0], a[1], a[2], a[3], a[4], a[5])
	return int(n), errno
}

// resumeSplice goes on with what a worker could not end because of the pipe. It
// returns false if that was the end.
func (q *Queue) resumeSplice(op *operation) bool {
	if !op.splices() || op.result != -int32(unix.EAGAIN) {
		return false
	}
	if op.canceled {
		op.endError(unix.ECANCELED)
		return false
	}
	q.registry.remove(op)
	op.failed = false
	o := q.spliceWaits(op)
	if o == yielded {
		o = q.giveToWorkers(op) // the pipe is ready again: another try
	}
	if o == finished {
		return false
	}
	q.settle(op, o)
	return true
}

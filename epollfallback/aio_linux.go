package epollfallback

import "golang.org/x/sys/unix"

// aioContext is a context of the kernel's older asynchronous I/O, io_submit(2). That
// does one thing without blocking: it moves bytes between memory and a device, past the
// page cache, for files opened with O_DIRECT. It does so for as many at once as the device
// takes, and without a thread for each.
//
// Completions are signaled through the eventfd that workers use. What the context does
// not take, or could not do without waiting (RWF_NOWAIT, Linux 4.13), goes to the workers.
type aioContext struct {
	context  uintptr
	refused  bool         // the process gets no context
	backlog  opList       // not submitted yet, in the order of submission
	with     []*operation // of those submitted, by what data says; nil where free
	free     []uint32     // indices into with
	requests []aioRequest
	pointers []uintptr // to requests
	events   []aioEvent
}

// aioDepth is how many transfers a context has under way at most. The system has
// 65,536 for all (/proc/sys/fs/aio-max-nr).
const aioDepth = 256

// aioRequest is struct iocb of the kernel.
type aioRequest struct {
	data    uint64
	flags   uint64 // aio_rw_flags in the upper half
	command uint16
	_       int16 // aio_reqprio
	fd      int32
	addr    uint64
	len     uint64 // bytes, or pieces of a vector
	off     uint64
	_       uint64
	notify  uint32
	eventFD int32
}

// aioEvent is struct io_event of the kernel.
type aioEvent struct {
	data   uint64
	_      uint64 // the address of the request
	result int64
	_      int64
}

// What a request asks for, from linux/aio_abi.h.
const (
	aioRead        = 0 // IOCB_CMD_PREAD
	aioWrite       = 1 // IOCB_CMD_PWRITE
	aioReadVector  = 7 // IOCB_CMD_PREADV
	aioWriteVector = 8 // IOCB_CMD_PWRITEV
	aioNotify      = 1 // IOCB_FLAG_RESFD
)

func (a *aioContext) inFlight() int { return len(a.with) - len(a.free) }

// goAround leaves a transfer past the page cache to the kernel, or else to the workers.
func (q *Queue) goAround(op *operation) outcome {
	if errno := q.takeBuffer(op); errno != 0 {
		return op.endError(errno)
	}
	if int64(op.off) < 0 || op.wants() == 0 || !q.openAIO() {
		return q.giveToWorkers(op)
	}
	if errno := q.keepNumber(op); errno != 0 {
		return op.endError(errno)
	}
	q.keep(op)
	q.findable(op)
	q.aio.backlog.push(op)
	op.state = queued
	return held
}

// openAIO makes the context before the first transfer.
func (q *Queue) openAIO() bool {
	a := &q.aio
	if a.context != 0 || a.refused {
		return !a.refused
	}
	if _, errno := q.raw(unix.SYS_IO_SETUP, aioDepth, addressOf(&a.context), 0, 0, 0, 0); errno != 0 {
		a.refused = true
		return false
	}
	a.with = make([]*operation, aioDepth)
	a.requests, a.pointers = make([]aioRequest, aioDepth), make([]uintptr, aioDepth)
	a.events = make([]aioEvent, aioDepth/4)
	for i := range a.requests {
		a.pointers[i] = addressOf(&a.requests[i])
		a.free = append(a.free, uint32(i))
	}
	return true
}

// submitAIO submits the backlog together, as far as there is room.
func (q *Queue) submitAIO() {
	a := &q.aio
	n := 0
	for ; len(a.free) > n && !a.backlog.empty(); n++ {
		op := a.backlog.pop()
		op.state = pooled
		slot := a.free[len(a.free)-1-n]
		a.with[slot] = op
		a.requests[n].fill(op, slot, q.workers.wakeup)
	}
	a.free = a.free[:len(a.free)-n]
	for first := 0; first < n; {
		taken, errno := q.raw(unix.SYS_IO_SUBMIT, a.context, uintptr(n-first), addressOf(&a.pointers[first]), 0, 0, 0)
		if errno != 0 { // of the first one, by which none was submitted
			q.giveToWorkers(a.take(uint32(a.requests[first].data)))
			taken = 1
		}
		first += taken
	}
}

// fill makes a request of op.
func (r *aioRequest) fill(op *operation, slot uint32, wakeup int32) {
	*r = aioRequest{
		data: uint64(slot), flags: rwfNoWait << 32, command: aioRead, fd: op.fd,
		addr: op.addr, len: uint64(op.len), off: op.off, notify: aioNotify, eventFD: wakeup,
	}
	if op.writes() {
		r.command = aioWrite
	}
	if op.vectored() {
		pieces := op.pieces()
		r.command += aioReadVector - aioRead
		r.addr, r.len = uint64(addressOf(&pieces[0])), uint64(len(pieces))
	}
}

// take returns the operation of a request that is over.
func (a *aioContext) take(slot uint32) *operation {
	op := a.with[slot]
	a.with[slot] = nil
	a.free = append(a.free, slot)
	return op
}

// harvestAIO ends what the kernel has done. With wait it waits until that is
// something.
func (q *Queue) harvestAIO(wait bool) {
	a := &q.aio
	for a.inFlight() > 0 {
		call, least := q.raw, uintptr(0)
		if wait {
			call, least, wait = q.blocking, 1, false
		}
		room := len(a.events)
		n, errno := call(unix.SYS_IO_GETEVENTS, a.context, least, uintptr(room), addressOf(&a.events[0]), 0, 0)
		if errno != 0 {
			n = 0 // interrupted
		}
		for _, e := range a.events[:n] {
			q.endAIO(a.take(uint32(e.data)), e.result)
		}
		if n < room {
			return
		}
	}
}

// endAIO ends a transfer. What would have waited, or stopped on the way, goes to a
// worker.
func (q *Queue) endAIO(op *operation, result int64) {
	short := result >= 0 && uint64(result) < op.wants() && (result > 0 || q.falseEnds)
	switch errno := unix.Errno(-result); {
	case short:
		vector := iovec{uintptr(op.addr), uintptr(op.len)}
		q.pass(op, &vector, int(result))
		q.giveToWorkers(op)
		return
	case result < 0 && (errno == unix.EAGAIN || errno == unix.EINTR || errno == unix.EOPNOTSUPP):
		q.giveToWorkers(op)
		return
	case result < 0:
		op.conclude(0, errno)
	default:
		op.conclude(int(result), 0)
	}
	q.endHanded(op)
}

// closeAIO ends the context, of which nothing is under way.
func (q *Queue) closeAIO() {
	if q.aio.context != 0 {
		q.raw(unix.SYS_IO_DESTROY, q.aio.context, 0, 0, 0, 0, 0)
		q.aio.context = 0
	}
}

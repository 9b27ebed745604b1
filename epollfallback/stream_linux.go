package epollfallback

import (
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

const recvFlags = ring.RecvSendPollFirst | ring.RecvMultishot

func (q *Queue) prepareRecv(op *operation, f *ring.Fields) unix.Errno {
	if f.SpliceFD != 0 || f.Off != 0 || f.Ioprio&^recvFlags != 0 {
		return unix.EINVAL
	}
	if f.Ioprio&ring.RecvMultishot != 0 &&
		(f.Flags&ring.SQEBufferSelect == 0 || f.OpFlags&ring.MsgWaitAll != 0 || f.Len != 0) {
		return unix.EINVAL
	}
	return 0
}

func (q *Queue) prepareSend(op *operation, f *ring.Fields) unix.Errno {
	if f.Ioprio&^ring.RecvSendPollFirst != 0 || f.Off != 0 {
		return unix.EINVAL
	}
	return 0
}

// dontWait reports whether EAGAIN is an answer, not a reason to wait.
func (op *operation) dontWait() bool { return op.opFlags&ring.MsgDontWait != 0 }

func (op *operation) waitAll() bool { return op.opFlags&ring.MsgWaitAll != 0 }

func (op *operation) provided() bool { return op.sqeFlags&ring.SQEBufferSelect != 0 }

// pollsFirst reports whether op wants to be parked before it is tried.
func (op *operation) pollsFirst() bool {
	switch op.opcode {
	case ring.OpRecv, ring.OpSend, ring.OpRecvmsg, ring.OpSendmsg:
		return !op.waited && op.ioprio&ring.RecvSendPollFirst != 0
	case ring.OpAccept:
		return !op.waited && op.ioprio&acceptPollFirst != 0
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

func (q *Queue) recv(op *operation) outcome {
	if op.pollsFirst() {
		return op.wouldBlock()
	}
	if op.ioprio&ring.RecvMultishot != 0 {
		return q.recvMultishot(op)
	}
	if op.provided() && !op.holding {
		return q.recvProvided(op)
	}
	for {
		n, errno := q.recvfrom(op.fd, op.addr, op.len, op.opFlags)
		if errno == unix.EAGAIN {
			return op.wouldBlock()
		}
		if errno == 0 && n > 0 && uint32(n) < op.len && op.waitAll() && q.isStream(op) {
			op.transferred(uint32(n))
			continue
		}
		return q.endTransfer(op, n, errno)
	}
}

// recvProvided receives once into a buffer of a group. Without one it does not
// wait for data: the answer is ENOBUFS.
func (q *Queue) recvProvided(op *operation) outcome {
	addr, room, ok := q.choose(op)
	if !ok {
		return q.noBuffers(op)
	}
	n, errno := q.recvfrom(op.fd, addr, room, op.opFlags)
	switch {
	case errno == unix.EAGAIN:
		return op.wouldBlock()
	case errno != 0:
		return op.endError(errno)
	case n > 0 && uint32(n) < room && op.waitAll() && q.isStream(op):
		op.addr, op.len = addr, room
		q.reserve(op)
		op.transferred(uint32(n))
		return q.recv(op)
	case n > 0:
		op.flags = q.commit(op, uint32(n))
	}
	op.end(int32(n))
	op.failed = op.waitAll() && uint32(n) < room
	return finished
}

// noBuffers ends a receive for which no buffer is left.
func (q *Queue) noBuffers(op *operation) outcome {
	if !op.waited {
		// What is wrong with the descriptor comes before what is wrong with
		// the group.
		if _, errno := q.getsockopt(op.fd, unix.SO_TYPE); errno != 0 {
			return op.endError(errno)
		}
	}
	return op.endError(unix.ENOBUFS)
}

// recvMultishot receives until nothing is left, the buffers are gone, the
// stream is over, or others want their turn.
func (q *Queue) recvMultishot(op *operation) outcome {
	for posted := 0; posted < multishotBudget; posted++ {
		addr, room, ok := q.choose(op)
		if !ok {
			return q.noBuffers(op)
		}
		n, errno := q.recvfrom(op.fd, addr, room, op.opFlags)
		switch {
		case errno == unix.EAGAIN:
			return op.wouldBlock()
		case errno != 0:
			return op.endError(errno)
		case n == 0:
			return op.end(0)
		case posted > 0:
			// What this one found was there when the one before was posted.
			q.cq.amend(ring.CQEFSockNonEmpty)
		}
		q.post(op, int32(n), ring.CQEFMore|q.commit(op, uint32(n)))
		if uint32(n) < room && q.drained(op) {
			return blocked
		}
	}
	return yielded
}

// drained reports whether a receive that came back short has emptied the
// socket, so that the next byte is a new edge. That saves a receive that only
// says EAGAIN for every message.
//
// It holds for TCP only: elsewhere a receive may stop for other reasons, such
// as the end of a datagram or descriptors passed along. And not once a hang-up
// was reported: its edge is spent, and what comes after the data is the end of
// the stream, of which nobody will tell again. Urgent data stops a receive too.
func (q *Queue) drained(op *operation) bool {
	d := op.d
	return d != nil && !d.signalled && op.opFlags&^ring.MsgNoSignal == 0 && q.kindOf(d) == tcp
}

// isStream reports whether a transfer cut short goes on.
func (q *Queue) isStream(op *operation) bool {
	kind, errno := q.getsockopt(op.fd, unix.SO_TYPE)
	return errno == 0 && (kind == unix.SOCK_STREAM || kind == unix.SOCK_SEQPACKET)
}

// transferred moves op past n bytes.
func (op *operation) transferred(n uint32) {
	op.addr += uint64(n)
	op.len -= n
	op.done += n
}

// endTransfer ends a receive or send with what the last attempt said. Bytes
// that came before an error are what counts.
func (q *Queue) endTransfer(op *operation, n int, errno unix.Errno) outcome {
	if errno != 0 {
		if op.done == 0 {
			return op.endError(errno)
		}
		n = 0
	}
	short := errno != 0 || op.waitAll() && uint32(n) < op.len
	op.end(int32(op.done) + int32(n))
	op.failed = short
	if op.holding && op.result > 0 {
		op.flags = q.commit(op, uint32(op.result))
	}
	return finished
}

func (q *Queue) send(op *operation) outcome {
	if op.pollsFirst() {
		return op.wouldBlock()
	}
	for {
		n, errno := q.sendto(op.fd, op.addr, op.len, op.opFlags)
		if errno == unix.EAGAIN {
			return op.wouldBlock()
		}
		if errno == 0 && n > 0 && uint32(n) < op.len && op.waitAll() && q.isStream(op) {
			op.transferred(uint32(n))
			continue
		}
		return q.endTransfer(op, n, errno)
	}
}

func (q *Queue) prepareShutdown(op *operation, f *ring.Fields) unix.Errno {
	if f.Off != 0 || f.Addr != 0 || f.OpFlags != 0 || f.BufGroup != 0 || f.SpliceFD != 0 {
		return unix.EINVAL
	}
	return 0
}

func (q *Queue) shutdown(op *operation) outcome {
	_, errno := q.raw(unix.SYS_SHUTDOWN, uintptr(op.fd), uintptr(op.len), 0, 0, 0, 0)
	return op.endError(errno)
}

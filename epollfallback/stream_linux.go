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
		(f.Flags&ring.SQEBufferSelect == 0 || f.OpFlags&ring.MsgWaitAll != 0) {
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
	}
	op.flags = q.moreToRead(op, uint32(n), room)
	if n > 0 {
		op.flags |= q.commit(op, uint32(n))
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
		n, left, errno := q.recvAndLook(op, addr, room)
		switch {
		case errno == unix.EAGAIN:
			return op.wouldBlock()
		case errno != 0:
			return op.endError(errno)
		case n == 0:
			if op.flags = q.moreToRead(op, 0, room); posted > 0 {
				q.cq.amend(op.flags)
			}
			return op.end(0)
		}
		flags := ring.CQEFMore | q.commit(op, n)
		if left == some {
			flags |= ring.CQEFSockNonEmpty
		}
		q.post(op, int32(n), flags)
		if left == nothing && q.signalled(op.fd) == 0 {
			return blocked
		}
	}
	return yielded
}

// backlog is what is known of a socket after a receive or accept.
type backlog uint8

const (
	anything backlog = iota
	nothing
	some
)

// recvAndLook receives once and tells whether that has emptied the socket, so
// that the next byte is a new edge. That saves a receive that only says EAGAIN
// for every message.
//
// A receive that came back short says so itself, with two exceptions. The edge
// of a FIN that was there already is spent, and nobody would tell of it again:
// so it takes a registration, and one for which no hang-up, error or urgent
// data was reported. And on a Unix socket a receive stops where descriptors or
// credentials were passed along, which only recvmsg(2) tells, by MSG_CTRUNC.
func (q *Queue) recvAndLook(op *operation, addr uint64, room uint32) (n uint32, left backlog, errno unix.Errno) {
	d := op.d
	if d == nil || d.signalled != 0 || op.opFlags&^ring.MsgNoSignal != 0 {
		got, errno := q.recvfrom(op.fd, addr, room, op.opFlags)
		if errno != 0 || got == 0 {
			return 0, anything, errno
		}
		return uint32(got), q.unread(op, uint32(got), room), 0
	}
	var got int
	whole := true
	switch q.kindAt(op.fd) {
	case unixStream:
		got, whole, errno = q.recvWhole(op.fd, addr, room, op.opFlags)
	case tcp:
		got, errno = q.recvfrom(op.fd, addr, room, op.opFlags)
	default:
		got, errno = q.recvfrom(op.fd, addr, room, op.opFlags)
		whole = false
	}
	switch {
	case errno != 0 || got == 0:
		return 0, anything, errno
	case whole && uint32(got) < room:
		return uint32(got), nothing, 0
	}
	return uint32(got), q.unread(op, uint32(got), room), 0
}

// recvWhole is recvfrom that also tells whether nothing but bytes was received.
func (q *Queue) recvWhole(fd int32, addr uint64, n, flags uint32) (got int, whole bool, errno unix.Errno) {
	q.scratch.vector = iovec{uintptr(addr), uintptr(n)}
	q.scratch.header = msghdr{iov: addressOf(&q.scratch.vector), iovlen: 1}
	got, errno = q.raw(unix.SYS_RECVMSG, uintptr(fd), addressOf(&q.scratch.header), uintptr(flags|unix.MSG_DONTWAIT), 0, 0, 0)
	return got, q.scratch.header.flags&unix.MSG_CTRUNC == 0, errno
}

// unread asks whether something is left after a receive of n bytes into room
// for so many. The kernel's ring knows it of TCP and Unix streams.
func (q *Queue) unread(op *operation, n, room uint32) backlog {
	switch kind := q.kindAt(op.fd); {
	case kind == other, op.opFlags&^(ring.MsgNoSignal|ring.MsgDontWait|ring.MsgWaitAll|ring.MsgPeek) != 0:
		return anything
	case op.opFlags&ring.MsgPeek != 0:
		return some // what it saw
	case kind == tcp && n < room:
		return anything // empty, but for the end of the stream
	}
	q.scratch.value = 0
	if _, errno := q.raw(unix.SYS_IOCTL, uintptr(op.fd), unix.TIOCINQ, addressOf(&q.scratch.value), 0, 0, 0); errno != 0 {
		return anything
	}
	if q.scratch.value > 0 {
		return some
	}
	return nothing
}

// signalled is what epoll reported of hang-ups and the like.
func (q *Queue) signalled(fd int32) uint32 {
	if d := q.lookup(fd); d != nil {
		return d.signalled
	}
	return 0
}

// moreToRead is the flag that says that a receive left something. The end of a
// TCP stream counts, as in the kernel, if it is known to be there: to ask after
// every short receive would cost more than the flag is worth.
func (q *Queue) moreToRead(op *operation, n, room uint32) uint32 {
	var left bool
	switch {
	case n == 0:
		protocol, errno := q.getsockopt(op.fd, unix.SO_PROTOCOL)
		left = room > 0 && errno == 0 && protocol == unix.IPPROTO_TCP
	case n == room || op.opFlags&ring.MsgPeek != 0:
		left = q.unread(op, n, room) == some
	default:
		left = q.signalled(op.fd)&unix.EPOLLRDHUP != 0 && q.kindAt(op.fd) == tcp
	}
	if left {
		return ring.CQEFSockNonEmpty
	}
	return 0
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
	if errno == 0 && op.opcode == ring.OpRecv {
		op.flags = q.moreToRead(op, uint32(n), op.len)
	}
	op.end(int32(op.done) + int32(n))
	op.failed = short
	if op.holding && op.result > 0 {
		op.flags |= q.commit(op, uint32(op.result))
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
	op.endError(errno)
	// As in the kernel, what the socket refuses does not break a chain.
	op.failed = errno == unix.EBADF || errno == unix.ENOTSOCK
	return finished
}

package epollfallback

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

const recvFlags = ring.RecvSendPollFirst | ring.RecvMultishot

func (q *Queue) prepareRecv(op *operation, f *queueabi.Entry) unix.Errno {
	if f.SpliceFD != 0 || f.Off != 0 || f.Ioprio&^recvFlags != 0 {
		return unix.EINVAL
	}
	if f.Ioprio&ring.RecvMultishot != 0 &&
		(f.Flags&ring.SQEBufferSelect == 0 || f.OpFlags&ring.MsgWaitAll != 0) {
		return unix.EINVAL
	}
	op.limitLength()
	return 0
}

func (q *Queue) prepareSend(op *operation, f *queueabi.Entry) unix.Errno {
	if f.Ioprio&^ring.RecvSendPollFirst != 0 || f.Off != 0 {
		return unix.EINVAL
	}
	op.limitLength()
	return 0
}

func (op *operation) waitAll() bool { return op.opFlags&ring.MsgWaitAll != 0 }

func (op *operation) provided() bool { return op.sqeFlags&ring.SQEBufferSelect != 0 }

// pollsFirst reports whether op wants to be parked before it is tried.
func (op *operation) pollsFirst() bool {
	switch op.opcode {
	case ring.OpRecv, ring.OpSend, ring.OpSendZC, ring.OpRecvmsg, ring.OpSendmsg, ring.OpRecvZC:
		return !op.waited && op.ioprio&ring.RecvSendPollFirst != 0
	case ring.OpAccept:
		return !op.waited && op.ioprio&acceptPollFirst != 0
	}
	return false
}

func (q *Queue) recv(op *operation) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
	}
	if op.multishot() {
		return q.recvMultishot(op)
	}
	addr, room := op.addr, op.len
	chosen := op.provided() && !op.holding
	if chosen {
		// Without a buffer it does not wait for data: the answer is ENOBUFS.
		var ok bool
		if addr, room, ok = q.choose(op); !ok {
			return q.noBuffers(op)
		}
	}
	n, cut, errno := q.recvOnce(op, addr, room)
	switch {
	case errno == unix.EAGAIN && q.isOver(op):
		// A datagram socket shut down for reading: the kernel's ring lets a
		// worker wait, who learns that there is nothing to wait for.
		n, errno = q.blocking(unix.SYS_RECVFROM, uintptr(op.fd), uintptr(addr), uintptr(room), uintptr(op.opFlags), 0, 0)
		if errno == 0 && chosen {
			q.reserve(op)
		}
	case errno == unix.EAGAIN:
		return op.wouldBlock()
	}
	if errno == 0 && n > 0 && uint32(n) < room && op.waitAll() && q.isStream(op) {
		if chosen {
			q.reserve(op)
			op.addr, op.len = addr, room
		}
		op.transferred(uint32(n))
		switch {
		case op.waited:
			return q.recv(op)
		case q.isQuiet(op.fd):
			return op.wouldBlock()
		}
		return yielded // others in the same submission come first
	}
	if errno == 0 {
		op.flags = q.moreToRead(op, uint32(n), room)
	}
	q.endTransfer(op, n, room, errno)
	if op.result > 0 && op.provided() || op.holding {
		op.flags |= q.commit(op, uint32(op.result))
	}
	op.failed = op.failed || cut
	return finished
}

// pollFirst parks an operation that has asked for it untried, if its descriptor
// is one to wait for.
func (q *Queue) pollFirst(op *operation) outcome {
	_, errno := q.getsockopt(op.fd, unix.SO_TYPE)
	if errno == unix.EBADF || errno == unix.ENOTSOCK && op.opcode != ring.OpRecv {
		return op.endError(errno)
	}
	return op.wouldBlock()
}

// recvOnce receives once. In a chain, a receive that asks for all breaks it
// when the datagram was cut, and only recvmsg(2) tells.
func (q *Queue) recvOnce(op *operation, addr uint64, room uint32) (n int, cut bool, errno unix.Errno) {
	if !op.waitAll() || !op.linked() {
		n, errno = q.recvfrom(op.fd, addr, room, op.opFlags)
		return n, false, errno
	}
	n, errno = q.recvVector(op.fd, addr, room, op.opFlags)
	return n, q.scratch.header.flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0, errno
}

// isOver reports whether a receive that found nothing waits in vain, because
// its socket was shut down and says so to those who wait only.
func (q *Queue) isOver(op *operation) bool {
	if op.d == nil || op.d.signalled&unix.EPOLLRDHUP == 0 || op.dontWait() || q.kindAt(op.fd) < other {
		return false
	}
	events, errno := q.pollNow(op.fd, unix.POLLRDHUP)
	return errno == 0 && events&unix.POLLRDHUP != 0
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
			if posted > 0 && q.kindAt(op.fd) < other && q.isQuiet(op.fd) {
				return op.wouldBlock() // nothing to receive into, and nothing to receive
			}
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
		switch {
		case left == nothing && (op.dontWait() || q.signalled(op.fd) == 0):
			return op.wouldBlock()
		case left != some && n < room && !op.waited && !op.dontWait():
			if o := q.pauseAtEnd(op); o != finished {
				return o
			}
		}
	}
	if op.dontWait() && !op.waited {
		return op.endError(unix.EAGAIN)
	}
	return yielded
}

// pauseAtEnd decides how a multishot goes on that has not waited yet and got all
// there was. As in the kernel's ring a hang-up or an error is found by waiting for
// it: others in the same submission come first. Of the end of a TCP stream the
// receive itself tells. The answer is finished if it is to go on at once.
func (q *Queue) pauseAtEnd(op *operation) outcome {
	kind := q.kindAt(op.fd)
	if kind >= other {
		return finished
	}
	events, errno := q.pollNow(op.fd, unix.POLLIN|unix.POLLPRI|unix.POLLRDHUP)
	switch {
	case errno == 0 && events == 0:
		return blocked
	case kind == tcp && events&unix.POLLERR == 0:
		return finished
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
		got, errno = q.recvVector(op.fd, addr, room, op.opFlags)
		whole = q.scratch.header.flags&unix.MSG_CTRUNC == 0
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

// recvVector is recvfrom by way of recvmsg(2), whose flags are in the scratch
// header afterwards.
func (q *Queue) recvVector(fd int32, addr uint64, n, flags uint32) (int, unix.Errno) {
	q.scratch.vector = iovec{uintptr(addr), uintptr(n)}
	q.scratch.header = msghdr{iov: addressOf(&q.scratch.vector), iovlen: 1}
	return q.raw(unix.SYS_RECVMSG, uintptr(fd), addressOf(&q.scratch.header), uintptr(flags|unix.MSG_DONTWAIT), 0, 0, 0)
}

// unread asks whether something is left after a receive of n bytes into room
// for so many. The kernel's ring knows it of TCP and Unix streams.
func (q *Queue) unread(op *operation, n, room uint32) backlog {
	switch kind := q.kindAt(op.fd); {
	case kind >= other, op.opFlags&^(ring.MsgNoSignal|ring.MsgDontWait|ring.MsgWaitAll|ring.MsgPeek) != 0:
		return anything
	case op.opFlags&ring.MsgPeek != 0 && n > 0:
		return some // what it saw
	case kind == tcp && n < room:
		return anything // empty, but for the end of the stream
	}
	return q.waiting(op.fd)
}

// waiting looks at what a TCP or Unix stream has to receive, its end included
// if that is TCP.
func (q *Queue) waiting(fd int32) backlog {
	if q.kindAt(fd) == tcp {
		return q.waitingTCP(fd)
	}
	q.scratch.value = 0
	_, errno := q.raw(unix.SYS_IOCTL, uintptr(fd), unix.TIOCINQ, addressOf(&q.scratch.value), 0, 0, 0)
	switch {
	case errno != 0:
		return anything
	case q.scratch.value > 0:
		return some
	}
	return nothing
}

// zeroCopy is the first part of struct tcp_zerocopy_receive.
type zeroCopy struct {
	_    uint64 // address
	_    uint32 // length
	hint uint32
}

// waitingTCP asks for zero-copy of nothing: the answer tells what is there to
// copy, which ioctl(2) does too, and a FIN behind the last byte, which no other
// call tells (EIO; Linux 4.18). If fd is no TCP socket it knows nothing.
func (q *Queue) waitingTCP(fd int32) backlog {
	const zeroCopyReceive = 35 // TCP_ZEROCOPY_RECEIVE
	q.scratch.zeroCopy = zeroCopy{}
	q.scratch.size = int32(unsafe.Sizeof(q.scratch.zeroCopy))
	_, errno := q.raw(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, zeroCopyReceive,
		addressOf(&q.scratch.zeroCopy), addressOf(&q.scratch.size), 0)
	switch errno {
	case 0:
		if q.scratch.zeroCopy.hint == 0 {
			return nothing
		}
		return some
	case unix.EIO, unix.EINVAL: // the end; more than a page to map, to nowhere
		return some
	}
	return anything
}

// isQuiet reports whether nothing at all would wake a receiver.
func (q *Queue) isQuiet(fd int32) bool {
	events, errno := q.pollNow(fd, unix.POLLIN|unix.POLLPRI|unix.POLLRDHUP)
	return errno == 0 && events == 0
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
	left := nothing
	switch {
	case n == room || n > 0 && op.opFlags&ring.MsgPeek != 0:
		left = q.unread(op, n, room)
	case n == 0 || q.signalled(op.fd)&unix.EPOLLRDHUP != 0:
		left = q.waitingTCP(op.fd)
	}
	if left == some {
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

// endTransfer ends a receive or send with what the last attempt, at len bytes,
// said. Bytes that came before an error are what counts.
func (q *Queue) endTransfer(op *operation, n int, len uint32, errno unix.Errno) outcome {
	if errno != 0 {
		if op.done == 0 {
			return op.endError(errno)
		}
		n = 0
	}
	op.end(int32(op.done) + int32(n))
	op.failed = errno != 0 || op.waitAll() && uint32(n) < len
	return finished
}

func (q *Queue) send(op *operation) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
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
		return q.endTransfer(op, n, op.len, errno)
	}
}

func (q *Queue) prepareShutdown(op *operation, f *queueabi.Entry) unix.Errno {
	if f.Off != 0 || f.Addr != 0 || f.OpFlags != 0 || f.BufGroup != 0 || f.SpliceFD != 0 {
		return unix.EINVAL
	}
	return 0
}

// shutdown comes after everything else that was submitted, but what follows it
// in its chain.
func (q *Queue) shutdown(op *operation) outcome {
	q.late.push(op)
	return held
}

func (q *Queue) shutdownNow(op *operation) {
	_, errno := q.raw(unix.SYS_SHUTDOWN, uintptr(op.fd), uintptr(op.len), 0, 0, 0, 0)
	op.endError(errno)
	// As in the kernel, what the socket refuses does not break a chain.
	op.failed = errno == unix.EBADF || errno == unix.ENOTSOCK
	if d := q.lookup(op.fd); d != nil && errno == 0 {
		d.users++ // it stays while who waits for it is woken
		q.wakeWriter(d)
		q.wakeReader(d)
		q.leave(d)
	}
	q.finish(op)
}

// wakeWriter has who waits to write on d look again after a shutdown: of a Unix
// socket that is full epoll has nothing to report then. Who waits to read goes by
// what epoll reports: reading ahead of that, it would take from under a poll what
// that is to see.
func (q *Queue) wakeWriter(d *descriptor) {
	if op := d.queues[writing].head; op != nil && !op.multishot() {
		q.resumeLater(d, writing)
	}
}

// wakeReader has who waits to read on d be tried again after a shutdown that leaves
// nothing to read. In the kernel that wakes whoever waits: a receive finds that no
// buffer is left, or that its socket is none to receive from.
func (q *Queue) wakeReader(d *descriptor) {
	if op := d.queues[reading].head; op != nil && !op.multishot() && q.isQuiet(d.fd) {
		q.run(d, reading) // now: later there may be something that a poll is to see first
	}
}

func (op *operation) multishot() bool {
	switch op.opcode {
	case ring.OpRecv, ring.OpRecvmsg:
		return op.ioprio&ring.RecvMultishot != 0
	case ring.OpAccept:
		return op.ioprio&ring.AcceptMultishot != 0
	case ring.OpReadMultishot, ring.OpRecvZC:
		return true
	}
	return false
}

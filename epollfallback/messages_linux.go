package epollfallback

import (
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// layout is where a multishot receive of messages puts what in a buffer: a
// ring.RecvmsgOut, the sender's address, control messages, the message.
type layout struct {
	name, control uint32 // room for each
}

func (l layout) head() uint32 { return ring.SizeofRecvmsgOut + l.name + l.control }

func (op *operation) layout() layout {
	if m := op.message; m != nil {
		return layout{m.namelen, uint32(m.control)}
	}
	h := (*msghdr)(pointer(op.addr))
	return layout{h.namelen, uint32(h.controllen)}
}

// recvMessages receives messages until nothing is left, the buffers are gone,
// one is empty, or others want their turn.
func (q *Queue) recvMessages(op *operation) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
	}
	at := op.layout()
	for posted := 0; posted < multishotBudget; posted++ {
		addr, room, ok := q.choose(op)
		if !ok {
			return q.noBuffers(op)
		}
		if room < at.head() {
			return q.badRoom(op)
		}
		n, errno := q.recvMessage(op, at, addr, room)
		switch {
		case errno == unix.EAGAIN:
			return op.wouldBlock()
		case errno != 0:
			return op.endError(errno)
		}
		used := at.head() + min(n, room-at.head())
		flags := q.moreToRead(op, n, room-at.head()) | q.commit(op, used)
		if n == 0 { // nothing, or the end: the kernel's ring does not tell them apart
			op.flags = flags
			return op.end(int32(used))
		}
		q.post(op, int32(used), flags|ring.CQEFMore)
	}
	if op.dontWait() && !op.waited {
		return op.endError(unix.EAGAIN)
	}
	return yielded
}

// badRoom ends a receive whose buffers have no room for what comes before the
// message. What is wrong with the descriptor comes first.
func (q *Queue) badRoom(op *operation) outcome {
	if !op.waited {
		if _, errno := q.getsockopt(op.fd, unix.SO_TYPE); errno != 0 {
			return op.endError(errno)
		}
	}
	return op.endError(unix.EFAULT)
}

// recvMessage receives one message into a buffer, and writes what begins it.
func (q *Queue) recvMessage(op *operation, at layout, addr uint64, room uint32) (n uint32, errno unix.Errno) {
	q.scratch.vector = iovec{uintptr(addr) + uintptr(at.head()), uintptr(room - at.head())}
	h := &q.scratch.header
	*h = msghdr{iov: addressOf(&q.scratch.vector), iovlen: 1}
	if at.name > 0 {
		h.name, h.namelen = uintptr(addr)+ring.SizeofRecvmsgOut, at.name
	}
	if at.control > 0 {
		h.control, h.controllen = uintptr(addr)+ring.SizeofRecvmsgOut+uintptr(at.name), uintptr(at.control)
	}
	got, errno := q.raw(unix.SYS_RECVMSG, uintptr(op.fd), addressOf(h), uintptr(op.opFlags|unix.MSG_DONTWAIT), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	out := (*ring.RecvmsgOut)(pointer(addr))
	*out = ring.RecvmsgOut{Namelen: h.namelen, Controllen: uint32(h.controllen), Payloadlen: uint32(got), Flags: uint32(h.flags)}
	return uint32(got), 0
}

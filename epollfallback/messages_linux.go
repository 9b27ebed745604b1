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
	if m := op.message(); m != nil {
		return layout{m.namelen, uint32(m.control)}
	}
	h := (*msghdr)(pointer(op.addr))
	return layout{h.namelen, uint32(h.controllen)}
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header msghdr
	length uint32
}

// messageBatch is memory for receiving several messages in one call.
type messageBatch struct {
	headers [maxMessageBatch]mmsghdr
	vectors [maxMessageBatch]iovec
}

// The first call asks for two messages: one of them tells whether that was the
// last. If it was not, more of them come.
const (
	firstMessageBatch = 2
	maxMessageBatch   = 16
)

// recvMessages receives messages until nothing is left, the buffers are gone,
// one is empty, or others want their turn.
func (q *Queue) recvMessages(op *operation) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
	}
	at := op.layout()
	batch := firstMessageBatch
	// Only of a registered descriptor is it known what it is. One that has
	// reported an end or an error is better asked for one message at a time: the
	// end comes again and again, and an error in the midst of a batch is put
	// back without a new edge.
	whole := op.d != nil && op.d.signalled == 0 && q.kindAt(op.fd) == datagrams && !q.noBatch
	for posted := 0; posted < multishotBudget; batch = maxMessageBatch {
		if !whole {
			batch = 1
		}
		_, room, ok := q.choose(op)
		if !ok {
			return q.noBuffers(op)
		}
		if room < at.head() {
			return q.badRoom(op)
		}
		asked := q.layOut(op, at, min(batch, multishotBudget-posted))
		n, errno := q.recvBatch(op, asked)
		switch {
		case errno == unix.EAGAIN:
			return op.wouldBlock()
		case errno != 0:
			return op.endError(errno)
		}
		for i := range n {
			if last := i == n-1; !q.received(op, at, i, last) {
				return finished
			}
			posted++
		}
		if whole && n < asked && !q.noBatch {
			return op.wouldBlock() // that was the last
		}
	}
	if op.dontWait() && !op.waited {
		return op.endError(unix.EAGAIN)
	}
	return yielded
}

// layOut makes the headers for up to n messages, a buffer each, as many as there
// are buffers with room.
func (q *Queue) layOut(op *operation, at layout, n int) int {
	g := q.group(op.group)
	n = min(n, g.ring.Available(g.head))
	if g.ring.Incremental {
		n = 1 // the place of the second depends on the length of the first
	}
	b := &q.scratch.batch
	for i := range n {
		addr, room, _ := g.ring.At(g.head + uint16(i))
		if op.len != 0 && op.len < room {
			room = op.len
		}
		if room < at.head() {
			return i
		}
		b.vectors[i] = iovec{uintptr(addr) + uintptr(at.head()), uintptr(room - at.head())}
		h := &b.headers[i].header
		*h = msghdr{iov: addressOf(&b.vectors[i]), iovlen: 1}
		if at.name > 0 {
			h.name, h.namelen = uintptr(addr)+ring.SizeofRecvmsgOut, at.name
		}
		if at.control > 0 {
			h.control, h.controllen = uintptr(addr)+ring.SizeofRecvmsgOut+uintptr(at.name), uintptr(at.control)
		}
	}
	return n
}

// recvBatch receives into what layOut has laid out.
func (q *Queue) recvBatch(op *operation, n int) (int, unix.Errno) {
	b, flags := &q.scratch.batch, uintptr(op.opFlags|unix.MSG_DONTWAIT)
	if n > 1 {
		return q.raw(unix.SYS_RECVMMSG, uintptr(op.fd), addressOf(&b.headers[0]), uintptr(n), flags, 0, 0)
	}
	got, errno := q.raw(unix.SYS_RECVMSG, uintptr(op.fd), addressOf(&b.headers[0].header), flags, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	b.headers[0].length = uint32(got)
	return 1, 0
}

// received posts the i-th message of a batch, and returns false if op has ended
// with it. An empty message, or the end of a stream, ends it if it is the last of
// its batch; the kernel's ring, which does not receive several, ends there
// always.
func (q *Queue) received(op *operation, at layout, i int, last bool) bool {
	b := &q.scratch.batch
	addr, room, _ := q.choose(op)
	h, n := &b.headers[i].header, b.headers[i].length
	out := (*ring.RecvmsgOut)(pointer(addr))
	*out = ring.RecvmsgOut{Namelen: h.namelen, Controllen: uint32(h.controllen), Payloadlen: n, Flags: uint32(h.flags)}
	used := at.head() + min(n, room-at.head())
	flags := q.moreToRead(op, n, room-at.head()) | q.commit(op, used)
	if n == 0 && last {
		op.flags = flags
		op.end(int32(used))
		return false
	}
	q.post(op, int32(used), flags|ring.CQEFMore)
	return true
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

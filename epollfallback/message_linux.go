package epollfallback

import (
	"math"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// maxVector is UIO_MAXIOV, the longest vector the kernel takes.
const maxVector = 1024

// message is the copy of what an entry describes elsewhere: header and vector
// of a message, an address, or paths. Most operations end inside Enter and never
// need it.
type message struct {
	header  msghdr
	vector  []iovec
	paths   []byte
	name    [unix.SizeofSockaddrAny + 16]byte // struct sockaddr_storage
	namelen uint32
	control uintptr
	rest    int // vector[rest:] is still to be transferred
	next    *message
}

func (q *Queue) newMessage() *message {
	m := q.free.messages
	if m == nil {
		return new(message)
	}
	q.free.messages = m.next
	*m = message{vector: m.vector[:0], paths: m.paths[:0]}
	return m
}

func (q *Queue) recycleMessage(m *message) {
	m.next = q.free.messages
	q.free.messages = m
}

// keepAddress copies the address a connect points to.
func (q *Queue) keepAddress(op *operation) {
	m := q.newMessage()
	copy(m.name[:], unsafe.Slice((*byte)(pointer(op.addr)), op.off))
	q.extraOf(op).message = m
}

// keepMessage copies header, vector and, of a send, the address.
func (q *Queue) keepMessage(op *operation) {
	m := q.newMessage()
	m.header = *(*msghdr)(pointer(op.addr))
	m.namelen, m.control = m.header.namelen, m.header.controllen
	if n := min(m.header.iovlen, maxVector); n > 0 {
		m.vector = limited(append(m.vector[:0], unsafe.Slice((*iovec)(pointer(uint64(m.header.iov))), n)...))
		m.header.iov = addressOf(&m.vector[0])
	}
	if op.opcode == ring.OpSendmsg && m.header.name != 0 && int32(m.header.namelen) > 0 {
		n := min(int(m.header.namelen), len(m.name))
		copy(m.name[:], unsafe.Slice((*byte)(pointer(uint64(m.header.name))), n))
		m.header.name, m.header.namelen = addressOf(&m.name[0]), uint32(n)
		m.namelen = uint32(n)
	}
	q.extraOf(op).message = m
}

func (q *Queue) prepareSendmsg(op *operation, f *queueabi.Entry) unix.Errno {
	if f.Off != 0 || f.SpliceFD != 0 || f.Ioprio&^ring.RecvSendPollFirst != 0 {
		return unix.EINVAL
	}
	return checkMessage(f.Addr)
}

func (q *Queue) prepareRecvmsg(op *operation, f *queueabi.Entry) unix.Errno {
	multishot, provided := f.Ioprio&ring.RecvMultishot != 0, f.Flags&ring.SQEBufferSelect != 0
	switch {
	case f.Off != 0 || f.SpliceFD != 0 || f.Ioprio&^recvFlags != 0,
		multishot && (!provided || f.OpFlags&ring.MsgWaitAll != 0):
		return unix.EINVAL
	case provided && !multishot:
		return unix.EOPNOTSUPP // a single message into a provided buffer: the contract has no such entry
	}
	errno := checkMessage(f.Addr)
	if multishot && errno == 0 {
		errno = prepareMessages(op, (*msghdr)(pointer(f.Addr)))
	}
	return errno
}

// prepareMessages takes from the header what a multishot uses of it.
func prepareMessages(op *operation, h *msghdr) unix.Errno {
	op.len = 0
	switch {
	case h.iovlen > 1:
		return unix.EINVAL
	case h.iovlen == 1:
		op.len = uint32((*iovec)(pointer(uint64(h.iov))).len)
	}
	if uint64(h.namelen)+uint64(h.controllen) > math.MaxInt32-ring.SizeofRecvmsgOut {
		return unix.EOVERFLOW
	}
	return 0
}

// checkMessage refuses what the kernel refuses when it copies the header.
func checkMessage(addr uint64) unix.Errno {
	if addr == 0 {
		return unix.EFAULT
	}
	h := (*msghdr)(pointer(addr))
	switch {
	case int32(h.namelen) < 0:
		return unix.EINVAL
	case h.iovlen > maxVector:
		return unix.EMSGSIZE
	case h.iovlen > 0 && h.iov == 0:
		return unix.EFAULT
	}
	return 0
}

// header is where the kernel finds the header: in the caller's memory on the
// first attempt, in the copy later. What the kernel changed in it is reset.
func (op *operation) header() uintptr {
	m := op.message()
	if m == nil {
		return uintptr(op.addr)
	}
	m.header.namelen, m.header.controllen = m.namelen, m.control
	if m.rest < len(m.vector) {
		m.header.iov, m.header.iovlen = addressOf(&m.vector[m.rest]), uintptr(len(m.vector)-m.rest)
	} else {
		m.header.iovlen = 0
	}
	return addressOf(&m.header)
}

// wanted is how many bytes the rest of the message has.
func (op *operation) remaining() (n uint64) {
	vector := unsafe.Slice((*iovec)(nil), 0)
	if m := op.message(); m != nil {
		vector = m.vector[m.rest:]
	} else if h := (*msghdr)(pointer(op.addr)); h.iovlen > 0 {
		vector = unsafe.Slice((*iovec)(pointer(uint64(h.iov))), h.iovlen)
	}
	for _, v := range vector {
		n += uint64(v.len)
	}
	return min(n, maxTransfer)
}

// advance moves a kept message past n bytes.
func (m *message) advance(n int) {
	left := uintptr(n)
	for m.rest < len(m.vector) && left >= m.vector[m.rest].len {
		left -= m.vector[m.rest].len
		m.rest++
	}
	if left > 0 {
		m.vector[m.rest].base += left
		m.vector[m.rest].len -= left
	}
}

func (q *Queue) sendmsg(op *operation) outcome {
	return q.transferMessage(op, unix.SYS_SENDMSG, op.opFlags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func (q *Queue) recvmsg(op *operation) outcome {
	if op.multishot() {
		return q.recvMessages(op)
	}
	return q.transferMessage(op, unix.SYS_RECVMSG, op.opFlags|unix.MSG_DONTWAIT)
}

func (q *Queue) transferMessage(op *operation, call uintptr, flags uint32) outcome {
	if op.pollsFirst() {
		return q.pollFirst(op)
	}
	for {
		n, errno := q.raw(call, uintptr(op.fd), op.header(), uintptr(flags), 0, 0, 0)
		if errno == unix.EAGAIN && op.opcode == ring.OpRecvmsg && q.isOver(op) {
			n, errno = q.blocking(call, uintptr(op.fd), op.header(), uintptr(op.opFlags), 0, 0, 0)
		}
		if errno == unix.EAGAIN {
			return op.wouldBlock()
		}
		room := op.remaining()
		if errno == 0 && op.opcode == ring.OpRecvmsg {
			op.returnHeader()
			op.flags = q.moreToRead(op, uint32(n), uint32(room))
		}
		short := errno == 0 && op.waitAll() && uint64(n) < room
		if short && n > 0 && !op.receivesControl() && q.isStream(op) {
			q.keep(op)
			m := op.message()
			m.advance(n)
			m.control = 0 // sent with the first part
			op.done += uint32(n)
			continue
		}
		if errno != 0 && op.done == 0 {
			return op.endError(errno)
		}
		op.end(int32(op.done) + int32(max(n, 0)))
		op.failed = short || errno != 0 || op.waitAll() && op.wasCut()
		return finished
	}
}

// receivesControl reports whether op receives ancillary data: then it is not
// put together from parts.
func (op *operation) receivesControl() bool {
	if op.opcode != ring.OpRecvmsg {
		return false
	}
	if m := op.message(); m != nil {
		return m.control != 0
	}
	return (*msghdr)(pointer(op.addr)).control != 0
}

// wasCut reports whether a received message did not fit.
func (op *operation) wasCut() bool {
	return op.opcode == ring.OpRecvmsg && (*msghdr)(pointer(op.addr)).flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0
}

// returnHeader writes what the kernel reports of a received message into the
// header it was asked with.
func (op *operation) returnHeader() {
	m := op.message()
	if m == nil {
		return // the kernel wrote there itself
	}
	user, h := (*msghdr)(pointer(op.addr)), &m.header
	user.namelen, user.controllen, user.flags = h.namelen, h.controllen, h.flags
}

package faultqueue

import (
	"math"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

const (
	// unknownSize is taken for the size of a buffer of a group.
	unknownSize = 4 << 10
	// pipeBuf is up to how many bytes a write to a pipe is not cut (PIPE_BUF, pipe(7)).
	pipeBuf = 4 << 10
	// sector is what transfers with O_DIRECT are made of at most.
	sector = 4 << 10
)

// shorten makes an entry move at most limit bytes, where the kernel might move as few.
func (q *Queue) shorten(f *queueabi.Entry, o Operation, limit int) {
	if o.Target == Direct {
		limit -= limit % sector
	}
	if limit < 1 || o.Linked || o.Multishot || !divisible(f, o) || o.Bytes > 0 && limit >= o.Bytes {
		return
	}
	switch o.Kind {
	case ring.OpReadv, ring.OpWritev:
		vector := cut(vectorOf(f), limit)
		f.Len = uint32(len(vector))
		set(&f.Addr, unsafe.Pointer(&vector[0]))
		q.undo = append(q.undo, func() { clear(vector) }) // it is reachable until then
	case ring.OpSendmsg, ring.OpRecvmsg:
		h := header(f)
		iov, n := h.Iov, h.Iovlen
		vector := cut(messageVector(h), limit)
		h.Iov, h.Iovlen = &vector[0], uintptr(len(vector))
		q.undo = append(q.undo, func() { h.Iov, h.Iovlen = iov, n })
	default:
		f.Len = uint32(limit)
	}
}

// divisible reports whether an operation of several parts does what one does.
func divisible(f *queueabi.Entry, o Operation) bool {
	const urgent = 1 // MSG_OOB
	if offset := int64(f.Off); o.Target != Stream && offset != ring.AtCursor && offset > math.MaxInt64-int64(o.Bytes) {
		return false // it is refused because of its length
	}
	switch o.Kind {
	case ring.OpRecv, ring.OpRecvmsg, ring.OpSend, ring.OpSendmsg, ring.OpSendZC:
		return o.Target == Stream && f.OpFlags&(urgent|ring.MsgPeek) == 0 && (o.Bytes > 0 || o.Group)
	case ring.OpRead, ring.OpReadv, ring.OpReadFixed, ring.OpSplice, ring.OpTee:
		return o.Target != Other && o.Target != Packets && (o.Bytes > 0 || o.Group)
	case ring.OpWrite, ring.OpWritev, ring.OpWriteFixed:
		return o.Bytes > 0 && (o.Target == Stream || o.Target == File || o.Target == Direct || o.Target == Pipe && o.Bytes > pipeBuf)
	}
	return false
}

// cut is a vector of the first n bytes of another.
func cut(vector []ring.Iovec, n int) (short []ring.Iovec) {
	for _, v := range vector {
		if v.Len = min(v.Len, uintptr(n)); n > 0 {
			short = append(short, v)
		}
		n -= int(v.Len)
	}
	return short
}

// set puts an address into a field of an entry.
func set(field *uint64, p unsafe.Pointer) { *field = uint64(uintptr(p)) }

package faultqueue

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// describe is what a Plan sees of an entry, but for its number.
func describe(f *queueabi.Entry) Operation {
	o := Operation{Kind: ring.Op(f.Opcode), Linked: f.Flags&(ring.SQELink|ring.SQEHardLink) != 0, HardLinked: f.Flags&ring.SQEHardLink != 0, Group: f.Flags&ring.SQEBufferSelect != 0}
	switch o.Kind {
	case ring.OpRecv, ring.OpRecvmsg:
		o.Multishot = f.Ioprio&ring.RecvMultishot != 0
	case ring.OpAccept:
		o.Multishot = f.Ioprio&ring.AcceptMultishot != 0
	case ring.OpPollAdd:
		o.Multishot = f.Len&ring.PollMultishot != 0
	case ring.OpReadMultishot, ring.OpRecvZC:
		o.Multishot = true
	}
	switch o.Kind {
	case ring.OpRecv, ring.OpRecvmsg, ring.OpSend, ring.OpSendmsg, ring.OpSendZC:
		o.DontWait = f.OpFlags&ring.MsgDontWait != 0
	}
	o.Bytes = bytesOf(f, o.Kind)
	if f.Flags&ring.SQEFixedFile == 0 && hasDescriptor(o.Kind) {
		o.Target = kindOf(int(f.FD), writes(o.Kind))
	}
	return o
}

// hasDescriptor reports whether the descriptor of an entry of that kind is one.
func hasDescriptor(kind ring.Op) bool {
	switch kind {
	case ring.OpReadv, ring.OpWritev, ring.OpReadFixed, ring.OpWriteFixed, ring.OpRead, ring.OpWrite, ring.OpReadMultishot,
		ring.OpSend, ring.OpSendZC, ring.OpSendmsg, ring.OpRecv, ring.OpRecvmsg, ring.OpSplice, ring.OpTee,
		ring.OpAccept, ring.OpPollAdd, ring.OpConnect, ring.OpFsync:
		return true
	}
	return false
}

// writes reports whether operations of that kind write to their descriptor.
func writes(kind ring.Op) bool {
	switch kind {
	case ring.OpWrite, ring.OpWritev, ring.OpWriteFixed, ring.OpSend, ring.OpSendZC, ring.OpSendmsg, ring.OpSplice, ring.OpTee:
		return true
	}
	return false
}

// bytesOf is how many bytes an entry is to move at most.
func bytesOf(f *queueabi.Entry, kind ring.Op) (n int) {
	switch kind {
	case ring.OpRead, ring.OpWrite, ring.OpReadFixed, ring.OpWriteFixed, ring.OpSend, ring.OpSendZC, ring.OpRecv, ring.OpSplice, ring.OpTee:
		return int(f.Len)
	case ring.OpReadv, ring.OpWritev:
		return sum(vectorOf(f))
	case ring.OpSendmsg, ring.OpRecvmsg:
		if f.Flags&ring.SQEBufferSelect != 0 {
			return 0 // the vector is not used, and may not be there
		}
		return sum(messageVector(header(f)))
	}
	return 0
}

func sum(vector []ring.Iovec) (n int) {
	for _, v := range vector {
		n += int(v.Len)
	}
	return n
}

func header(f *queueabi.Entry) *ring.Msghdr { return (*ring.Msghdr)(pointer(&f.Addr)) }

func messageVector(h *ring.Msghdr) []ring.Iovec {
	if h == nil || h.Iov == nil {
		return nil
	}
	return unsafe.Slice(h.Iov, h.Iovlen)
}

func vectorOf(f *queueabi.Entry) []ring.Iovec {
	return unsafe.Slice((*ring.Iovec)(pointer(&f.Addr)), f.Len)
}

// pointer is the address in a field of an entry, of memory that the caller keeps in its
// place.
func pointer(field *uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(field)) }

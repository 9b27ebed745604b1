package ring

import (
	"math"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// Submission entry flags (io_uring_enter(2), IOSQE_*).
const (
	SQEFixedFile    uint8 = 1 << 0 // FD is an index into the registered files
	SQEDrain        uint8 = 1 << 1 // start after everything before it has completed
	SQELink         uint8 = 1 << 2 // the next entry starts when this one succeeds, see BreaksLink
	SQEHardLink     uint8 = 1 << 3 // the next entry starts when this one ends, however
	SQEAsync        uint8 = 1 << 4 // go to a worker at once
	SQEBufferSelect uint8 = 1 << 5 // take the memory from a buffer group
)

// Flags in Ioprio of receives and sends, and of accept.
const (
	RecvSendPollFirst uint16 = 1 << 0 // expect to wait: arm the poll before trying
	RecvMultishot     uint16 = 1 << 1 // keep receiving until it ends without CQEFMore (Linux 6.0)
	SendZCReportUsage uint16 = 1 << 3 // the notification says whether the bytes were copied after all (Linux 6.2, later releases of 6.1)
	RecvSendBundle    uint16 = 1 << 4 // fill or send several provided buffers (Linux 6.10)

	AcceptMultishot uint16 = 1 << 0 // keep accepting (Linux 5.19)
)

// Flags in OpFlags of a timeout.
const (
	TimeoutAbs          uint32 = 1 << 0 // the time is absolute on CLOCK_MONOTONIC
	TimeoutETimeSuccess uint32 = 1 << 5 // ETIME does not break a link
	TimeoutMultishot    uint32 = 1 << 6 // fire again and again (Linux 6.4)
)

// Flags in OpFlags of an asynchronous cancel (Linux 5.19).
const (
	CancelAll uint32 = 1 << 0 // every match, not the first
	CancelFD  uint32 = 1 << 1 // match by descriptor
	CancelAny uint32 = 1 << 2 // match every entry
)

// PollMultishot in Len of a poll keeps it armed (Linux 5.13).
const PollMultishot uint32 = 1 << 0

// Poll masks, those of poll(2).
const (
	PollIn    uint32 = 0x0001
	PollPri   uint32 = 0x0002
	PollOut   uint32 = 0x0004
	PollErr   uint32 = 0x0008
	PollHup   uint32 = 0x0010
	PollRDHup uint32 = 0x2000
)

// Message flags, those of recv(2) and send(2) on Linux.
const (
	MsgPeek        uint32 = 0x2
	MsgCTrunc      uint32 = 0x8  // reported: control messages did not fit
	MsgTrunc       uint32 = 0x20 // reported: the message did not fit; asked for: tell its whole length
	MsgDontWait    uint32 = 0x40
	MsgWaitAll     uint32 = 0x100
	MsgNoSignal    uint32 = 0x4000
	MsgMore        uint32 = 0x8000 // more follows: no packet for this alone
	MsgCMsgCloexec uint32 = 0x40000000
)

// SQE is a submission entry: 64 bytes that lie in the mapping shared with the
// kernel, or in the fallback's own queue. The Prep methods fill a zeroed one.
// One moves less than 2 GiB, however long its memory or vector is, and breaks no link if it
// has moved as much as it can.
// SetUserData and SetFlags, which adds to the flags, complete it; SetIoprio,
// SetOpFlags, SetBufGroup and SetBufIndex set fields that Prep methods leave open.
type SQE queueabi.SQE

// entry is the fields of e.
func (e *SQE) entry() *queueabi.Entry { return (*queueabi.SQE)(e).Entry() }

// Timespec is struct __kernel_timespec.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// NewTimespec converts a duration.
func NewTimespec(d time.Duration) Timespec {
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// Duration converts back.
func (t Timespec) Duration() time.Duration {
	return time.Duration(t.Sec)*time.Second + time.Duration(t.Nsec)
}

// Iovec is struct iovec on a 64-bit kernel interface.
type Iovec struct {
	Base *byte
	Len  uintptr
}

// Msghdr is struct msghdr.
type Msghdr struct {
	Name       *byte
	Namelen    uint32
	Iov        *Iovec
	Iovlen     uintptr
	Control    *byte
	Controllen uintptr
	Flags      int32
}

// RecvmsgOut begins what a multishot receive of messages puts into a buffer
// (struct io_uring_recvmsg_out). Behind it come the sender's address and the
// control messages, each in as much room as the entry's header had for it, and
// the message itself.
type RecvmsgOut struct {
	Namelen    uint32 // of the sender's address, before it was cut to its room
	Controllen uint32 // of the control messages
	Payloadlen uint32 // of the message; with MsgTrunc asked for, before it was cut
	Flags      uint32 // MsgTrunc, MsgCTrunc
}

// SizeofRecvmsgOut is the size of RecvmsgOut.
const SizeofRecvmsgOut = 16

// length is how many bytes of p an entry is to move: its field has 32 bits, and the kernel
// moves less than 2 GiB at once (read(2)).
func length(p []byte) uint32 { return uint32(min(len(p), math.MaxInt32)) }

func address(p []byte) uint64 { return pinned(uintptr(unsafe.Pointer(unsafe.SliceData(p)))) }

// pinned moves what its argument points to off the stack of every caller: a
// stack may move while the kernel holds an address into it, the heap does not.
//
//go:uintptrescapes
//go:noinline
func pinned(p uintptr) uint64 { return uint64(p) }

// PrepNop does nothing and completes with 0.
func (e *SQE) PrepNop() { e.PrepOperation(uint8(OpNop), -1, 0, 0, 0) }

// PrepAccept accepts one connection; the result is its descriptor
// (accept4(2), flags such as SOCK_CLOEXEC). Linux 5.5.
func (e *SQE) PrepAccept(fd int, flags uint32) {
	e.PrepOperation(uint8(OpAccept), int32(fd), 0, 0, 0)
	e.SetOpFlags(flags)
}

// PrepMultishotAccept accepts connection after connection. Linux 5.19.
func (e *SQE) PrepMultishotAccept(fd int, flags uint32) {
	e.PrepAccept(fd, flags)
	e.SetIoprio(AcceptMultishot)
}

// PrepConnect connects to a raw socket address (connect(2)). Linux 5.5.
func (e *SQE) PrepConnect(fd int, addr []byte) {
	e.PrepOperation(uint8(OpConnect), int32(fd), address(addr), 0, uint64(len(addr)))
}

// PrepRecv receives into p (recv(2), flags MSG_*). The result 0 is the end of a
// stream; from a socket that keeps messages apart it may as well be an empty
// message, and nothing in the completion tells which. Linux 5.6.
func (e *SQE) PrepRecv(fd int, p []byte, flags uint32) {
	e.PrepOperation(uint8(OpRecv), int32(fd), address(p), length(p), 0)
	e.SetOpFlags(flags)
}

// PrepRecvProvided receives once into a buffer of a group. Linux 5.19.
func (e *SQE) PrepRecvProvided(fd int, group uint16, flags uint32) {
	e.PrepOperation(uint8(OpRecv), int32(fd), 0, 0, 0)
	e.SetOpFlags(flags)
	e.SetFlags(SQEBufferSelect)
	e.SetBufGroup(group)
}

// PrepMultishotRecv receives again and again, each time into a buffer of a
// group. Linux 6.0.
func (e *SQE) PrepMultishotRecv(fd int, group uint16, flags uint32) {
	e.PrepRecvProvided(fd, group, flags)
	e.SetIoprio(RecvMultishot)
}

// PrepSend sends p (send(2)). With MsgWaitAll it completes short only when
// an error cut it. Linux 5.6.
func (e *SQE) PrepSend(fd int, p []byte, flags uint32) {
	e.PrepOperation(uint8(OpSend), int32(fd), address(p), length(p), 0)
	e.SetOpFlags(flags)
}

// PrepSendZC sends p without copying it, where socket and device can do so. The
// first completion has the result, as of PrepSend, and CQEFMore; the last one
// has CQEFNotif, and only then is p free. One that fails has both, too. A socket
// that is neither TCP nor UDP answers EOPNOTSUPP. It may begin a chain, but not
// be linked behind another entry: the queue then refuses it with EINVAL, in one
// completion, and nothing of the chain starts. (The kernel would take it, and when
// the entry before it fails, post its ECANCELED without CQEFMore and a notification
// behind that: seen on 6.18.) Linux 6.0.
func (e *SQE) PrepSendZC(fd int, p []byte, flags uint32) {
	e.PrepOperation(uint8(OpSendZC), int32(fd), address(p), length(p), 0)
	e.SetOpFlags(flags)
}

// ZeroCopyCopied is the result of a notification with SendZCReportUsage when the
// bytes were copied; it is 0 when they were not.
const ZeroCopyCopied int32 = -1 << 31

// PrepSendmsg sends a message (sendmsg(2)). Header, address and vector are
// copied at submission, the bytes and control messages are not. Linux 5.3.
//
// To a Unix datagram socket send with MsgDontWait, and again on EAGAIN: an
// entry that waits for the receiver's queue has lost its bytes when the kernel
// tries it again, and sends an empty message (up to 6.18 at least).
func (e *SQE) PrepSendmsg(fd int, m *Msghdr, flags uint32) {
	e.PrepOperation(uint8(OpSendmsg), int32(fd), pinned(uintptr(unsafe.Pointer(m))), 1, 0)
	e.SetOpFlags(flags)
}

// PrepRecvmsg receives a message (recvmsg(2)). The vector is copied at
// submission; header, name and control belong to the queue until the
// completion, for the kernel writes into them. Linux 5.3.
func (e *SQE) PrepRecvmsg(fd int, m *Msghdr, flags uint32) {
	e.PrepOperation(uint8(OpRecvmsg), int32(fd), pinned(uintptr(unsafe.Pointer(m))), 1, 0)
	e.SetOpFlags(flags)
}

// PrepMultishotRecvmsg receives message after message, each into a buffer of a
// group that begins with a RecvmsgOut. Of m only Namelen and Controllen count,
// which are copied at submission. The result is the number of bytes of the
// buffer that are used. An empty message may be the last, as the completion then
// says: arm it again. Linux 6.0.
func (e *SQE) PrepMultishotRecvmsg(fd int, m *Msghdr, group uint16, flags uint32) {
	e.PrepRecvmsg(fd, m, flags)
	e.SetFlags(SQEBufferSelect)
	e.SetBufGroup(group)
	e.SetIoprio(RecvMultishot)
}

// PrepRead reads from a descriptor that has no position, such as a socket, a
// pipe or an eventfd, or at the cursor of a file (read(2)). With a terminal it ends
// with EINTR if a signal comes to the thread, as the Go runtime sends many: then it is to
// be submitted again, as is a write. Linux 5.6.
func (e *SQE) PrepRead(fd int, p []byte) {
	e.PrepOperation(uint8(OpRead), int32(fd), address(p), length(p), ^uint64(0))
}

// PrepReadProvided reads, as PrepRead does, into a buffer of a group. Unlike a
// receive, a read that finds the end takes a buffer; and one that waits takes no
// more than was free in the buffer that it saw first. Linux 5.7.
func (e *SQE) PrepReadProvided(fd int, group uint16) {
	e.PrepOperation(uint8(OpRead), int32(fd), 0, 0, ^uint64(0))
	e.SetFlags(SQEBufferSelect)
	e.SetBufGroup(group)
}

// PrepMultishotRead reads again and again, each time into a buffer of a group, from
// what can be waited for and has no position: a pipe, a terminal, a socket. EBADFD for
// anything else. Like a receive it takes no buffer at the end, which completes it
// with 0. Linux 6.7: an older kernel answers EINVAL.
func (e *SQE) PrepMultishotRead(fd int, group uint16) {
	e.PrepOperation(uint8(OpReadMultishot), int32(fd), 0, 0, 0)
	e.SetFlags(SQEBufferSelect)
	e.SetBufGroup(group)
}

// PrepWrite writes to a descriptor that has no position, or at the cursor of a
// file. Linux 5.6.
func (e *SQE) PrepWrite(fd int, p []byte) {
	e.PrepOperation(uint8(OpWrite), int32(fd), address(p), length(p), ^uint64(0))
}

// PrepShutdown shuts down part of a connection (shutdown(2)). Linux 5.11.
func (e *SQE) PrepShutdown(fd, how int) {
	e.PrepOperation(uint8(OpShutdown), int32(fd), 0, uint32(how), 0)
}

// PrepClose closes a descriptor (close(2)). What is in flight on it goes on.
// Linux 5.6.
func (e *SQE) PrepClose(fd int) { e.PrepOperation(uint8(OpClose), int32(fd), 0, 0, 0) }

// PrepPoll waits until one of the events in mask holds; the result is the
// events that do. Linux 5.1.
func (e *SQE) PrepPoll(fd int, mask uint32) {
	e.PrepOperation(uint8(OpPollAdd), int32(fd), 0, 0, 0)
	e.SetOpFlags(mask)
}

// PrepMultishotPoll posts a completion each time the descriptor signals one
// of the events. Linux 5.13.
func (e *SQE) PrepMultishotPoll(fd int, mask uint32) {
	e.PrepOperation(uint8(OpPollAdd), int32(fd), 0, PollMultishot, 0)
	e.SetOpFlags(mask)
}

// PrepTimeout completes with -ETIME after t, or with 0 once count other
// entries have completed if count is not zero. t is copied at submission.
// Linux 5.4.
func (e *SQE) PrepTimeout(t *Timespec, count uint32, flags uint32) {
	e.PrepOperation(uint8(OpTimeout), -1, pinned(uintptr(unsafe.Pointer(t))), 1, uint64(count))
	e.SetOpFlags(flags)
}

// PrepTimeoutRemove ends the timeout with that user data: 0, or -ENOENT, or
// -EBUSY while it is firing; the timeout completes with -ECANCELED.
// Linux 5.5.
func (e *SQE) PrepTimeoutRemove(userData uint64) {
	e.PrepOperation(uint8(OpTimeoutRemove), -1, userData, 0, 0)
}

// PrepLinkTimeout limits the entry before it, which must carry SQELink: that
// one ends with -ECANCELED when t passes first, and this one with -ETIME;
// else this one ends with -ECANCELED. t is copied at submission. Linux 5.5.
func (e *SQE) PrepLinkTimeout(t *Timespec, flags uint32) {
	e.PrepOperation(uint8(OpLinkTimeout), -1, pinned(uintptr(unsafe.Pointer(t))), 1, 0)
	e.SetOpFlags(flags)
}

// PrepCancel cancels the entry with that user data, or with CancelAll every
// such entry. The result is 0, or with CancelAll how many; -ENOENT when there
// is none, or none any more: the kernel may look for the answer when what it
// ended is gone. -EALREADY: a worker performs it, and the cancel ends its wait
// if it waits. Only the completion of the entry tells whether it was canceled.
// Linux 5.5.
func (e *SQE) PrepCancel(userData uint64, flags uint32) {
	e.PrepOperation(uint8(OpAsyncCancel), -1, userData, 0, 0)
	e.SetOpFlags(flags)
}

// PrepCancelFD cancels what is in flight on a descriptor: one entry, or all
// of them with CancelAll. It is the number that the entries have: the kernel finds those
// that have a duplicate's (dup(2)), too, the fallback does not. Linux 5.19.
func (e *SQE) PrepCancelFD(fd int, flags uint32) {
	e.PrepOperation(uint8(OpAsyncCancel), int32(fd), 0, 0, 0)
	e.SetOpFlags(flags | CancelFD)
}

// PrepCancelAny cancels everything in flight. Linux 5.19.
func (e *SQE) PrepCancelAny() {
	e.PrepOperation(uint8(OpAsyncCancel), -1, 0, 0, 0)
	e.SetOpFlags(CancelAny | CancelAll)
}

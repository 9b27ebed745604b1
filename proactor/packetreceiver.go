package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// Receiving pauses when this many messages, or bytes, are unread. Later ones wait in the
// socket's buffer, and the kernel drops them when that is full.
const (
	unreadMessages     = 256
	unreadMessageBytes = 1 << 20
)

// messageSize is the size of the receive buffers for messages: the largest UDP message,
// its sender and control messages.
const messageSize = 64<<10 + 1<<10

// packetClients is the number of connections that a PacketConn counts for in the shares
// of buffers.
const packetClients = 64

// messageBuffers opens the pool for messages with the first PacketConn.
func (l *Loop) messageBuffers() error {
	if l.messages.Opened() {
		return nil
	}
	return l.messages.Open(&l.engine, messageGroup, messageSize, l.rt.options.bufferCount)
}

// packetReceiver is the receiving side of a PacketConn: a multishot that stays
// armed while messages are wanted.
type packetReceiver struct {
	conn     *PacketConn
	shape    ring.Msghdr // room for sender and control messages
	userData uint64
	armed    bool
	pausing  bool // a cancel for it is on its way
	starved  bool // waits for buffers
	control  bool // ReadMsgUnix was called: the next receive has room for control messages

	in   incoming[Message]
	note error // a failure that is not reported yet
}

func (r *packetReceiver) on() *Loop                    { return r.conn.loop }
func (r *packetReceiver) lenders() *lenders[Message]   { return &r.conn.loop.packets }
func (r *packetReceiver) incoming() *incoming[Message] { return &r.in }
func (r *packetReceiver) open() bool                   { return r.conn.state == connOpen }
func (r *packetReceiver) hand(m Message)               { r.in.handler(m, nil) }
func (r *packetReceiver) closedError(op string) error  { return r.conn.closedError(op) }

// cut implements receiving. A message that does not fit is truncated, see
// Message.Truncated.
func (r *packetReceiver) cut() error { return nil }

func (r *packetReceiver) untaken() *requestList[Message] { return &r.in.results }

// withdraw implements requestOwner.
func (r *packetReceiver) withdraw(q *request[Message]) {
	withdraw(r, (*recvDemand[Message])(q), futures.ErrCanceled)
}

// refuses implements receiving.
func (r *packetReceiver) refuses() error {
	switch c := r.conn; {
	case c.isDetaching():
		return c.opError("read", ErrDetached)
	case c.state != connOpen:
		return c.closedError("read")
	case r.in.handler != nil:
		return c.opError("read", errHandlerReceives)
	case c.reading.passed:
		return c.timedOut("read")
	}
	note := r.note
	r.note = nil
	return note
}

func (r *packetReceiver) head() int {
	return ring.SizeofRecvmsgOut + int(r.shape.Namelen) + int(r.shape.Controllen)
}

// controlRoom is the room in bytes for control messages of options that were set through
// SyscallConn.
const controlRoom = 128

// roomForControl makes room for control messages that no PacketOption asked for, unless a
// receive is under way. In such room the kernel puts descriptors that come through a Unix
// socket, whoever sends them: there it is made for ReadMsgUnix only.
func (r *packetReceiver) roomForControl() {
	if !r.armed && r.conn.family != syscall.AF_UNIX {
		r.shape.Controllen = max(r.shape.Controllen, controlRoom)
	}
}

// roomForRights makes room for control messages, and keeps the descriptors in them with
// their message from now on.
func (r *packetReceiver) roomForRights() {
	if r.control {
		return
	}
	r.control = true
	r.pause() // a receive under way has no room
}

// pause ends the receive under way. Another is armed if one is wanted.
func (r *packetReceiver) pause() {
	if r.armed && !r.pausing {
		r.pausing = true
		r.conn.loop.engine.Cancel(r.userData)
	}
}

func (r *packetReceiver) wanted() bool {
	return r.open() && r.in.wanted()
}

func (r *packetReceiver) arm() {
	if r.armed || r.starved || !r.wanted() {
		return
	}
	if r.control {
		r.shape.Controllen = max(r.shape.Controllen, controlRoom)
	}
	flags := ring.MsgTrunc
	if r.conn.family == syscall.AF_UNIX {
		flags |= ring.MsgCMsgCloexec
	}
	l := r.conn.loop
	sqe := l.engine.Next()
	sqe.PrepMultishotRecvmsg(r.conn.fd, &r.shape, messageGroup, flags)
	r.userData = l.engine.Submit(sqe, r)
	r.armed = true
}

// BuffersBack implements engine.BufferWaiter.
func (r *packetReceiver) BuffersBack() {
	r.starved = false
	r.arm()
}

// Complete implements engine.Operation.
func (r *packetReceiver) Complete(result int32, flags uint32) {
	if flags&ring.CQEFMore == 0 {
		r.armed, r.pausing = false, false
	}
	pool := &r.conn.loop.messages
	switch {
	case flags&ring.CQEFBuffer == 0:
		r.failed(syscall.Errno(-result))
	case int(result) < r.head():
		pool.Unused(flags)
	default:
		r.deliver(r.message(bufferOf(pool.Received(int(result), flags, &r.conn.account))))
	}
	if !r.armed {
		r.arm()
		r.conn.settled()
	}
}

// message makes a Message from a buffer. A raw IPv4 socket delivers the IP header,
// too, which is not part of the Message.
func (r *packetReceiver) message(b Buffer) Message {
	all, head := b.lease.Data(), r.head()
	skip := head
	if r.conn.headers && len(all) > head {
		skip = min(head+int(all[head]&0xf)*4, len(all))
		out := Message{Buffer: b, head: all}.out()
		out.Payloadlen -= min(out.Payloadlen, uint32(skip-head))
	}
	b.lease.SetData(all[skip:])
	m := Message{Buffer: b, head: all[:head], name: uint16(r.shape.Namelen), network: &r.conn.network}
	if r.conn.family == syscall.AF_UNIX && r.shape.Controllen > 0 {
		m.holdRights(r.control)
	}
	return m
}

// failed handles a completion without a message.
func (r *packetReceiver) failed(e syscall.Errno) {
	l := r.conn.loop
	switch e {
	case syscall.ECANCELED, syscall.EAGAIN, syscall.EINTR:
		// Paused or closing, or a spurious wake-up: armed again if wanted.
	case syscall.ENOBUFS:
		l.noteNoBuffer(&l.messages, r.conn)
		r.starved = true
		l.messages.Wait(r)
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EFAULT, syscall.EINVAL, syscall.EOPNOTSUPP:
		end(r, r.conn.failed("read", e)) // it will not go away
		r.conn.abort(r.conn.closedError("write"))
	default:
		// The error of a message sent earlier, such as a refusal. Receiving can go
		// on.
		r.tellOne(r.conn.failed("read", e))
	}
}

// tellOne gives the error to the handler, or to one Recv.
func (r *packetReceiver) tellOne(err error) {
	switch {
	case r.in.handler != nil && !r.in.isHeld:
		notify(r, err)
	case r.in.line.Len() > 0:
		r.in.line.Pop(&r.lenders().demands).fail(err)
	default:
		r.note = err
	}
}

// deliver delivers a message, and pauses the receive when too much is unread.
func (r *packetReceiver) deliver(m Message) {
	if !r.open() {
		m.lease.End() // closing: nobody can receive it any more
		return
	}
	if !r.in.wanted() {
		m = r.settled(m)
	}
	if !deliver(r, m) {
		return
	}
	full := r.in.unread.Len() >= unreadMessages || r.in.bytes >= unreadMessageBytes
	// Descriptors are scarcer than memory: a message that has some is the last.
	if (full || m.lease.HasAttachment()) && r.armed && !r.pausing {
		r.conn.loop.counts.paused++
		r.pause()
	}
}

// settled is a message that stays unread. Where buffers are scarce, a small one is moved
// to memory of its own.
func (r *packetReceiver) settled(m Message) Message {
	head, payload := len(m.head), m.lease.Data()
	if !m.lease.Lent() || !r.conn.loop.messages.Unwanted(head+len(payload)) {
		return m
	}
	own := r.conn.loop.messages.OwnMemory(head+len(payload), &r.conn.account)
	all := own.Data()
	copy(all, m.head)
	copy(all[head:], payload)
	own.Attach(m.lease.Attached())
	m.lease.End()
	own.SetData(all[head:])
	m.Buffer, m.head = bufferOf(own), all[:head:head]
	return m
}

// expire fails all receives that wait. More may follow.
func (r *packetReceiver) expire(err error) { expire(r, err) }

// handle makes fn the handler of all messages from now on.
func (r *packetReceiver) handle(fn func(Message, error)) {
	switch {
	case r.conn.isDetaching():
		tell(r, fn, r.conn.opError("read", ErrDetached))
		return
	case !r.open():
		tell(r, fn, r.conn.closedError("read"))
		return
	}
	r.in.handler = fn
	if r.conn.reading.passed {
		notify(r, r.conn.timedOut("read"))
	}
	if r.note != nil {
		notify(r, r.note)
		r.note = nil
	}
	r.resume()
}

// resume calls the handler with what is unread, and arms the receive again.
func (r *packetReceiver) resume() {
	if resume(r) {
		r.arm()
	}
}

// drop releases everything unread; the connection is closing.
func (r *packetReceiver) drop() {
	drop(r)
	end(r, r.conn.closedError("read"))
	r.pause()
}

// Contain implements engine.Container.
func (r *packetReceiver) Contain() { r.conn.abort(r.conn.closedError("write")) }

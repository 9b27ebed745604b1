package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/ring"
)

// Receiving pauses when this many messages, or bytes, have come in that nobody
// read. What comes then waits in the socket, or is dropped there.
const (
	unreadMessages     = 256
	unreadMessageBytes = 1 << 20
)

// messageSize is how large the receive buffers for messages are: the largest
// of UDP and what comes before it.
const messageSize = 64<<10 + 1<<10

// messageBuffers opens the pool for messages with the first PacketConn.
func (l *Loop) messageBuffers() error {
	if l.messages.Opened() {
		return nil
	}
	return l.messages.Open(&l.engine, messageGroup, messageSize, l.rt.options.bufferCount)
}

// packetReceiver is the receiving side of a PacketConn: a multishot that stays
// armed while messages are wanted. They go to the handler if there is one, else
// to the Recv that waits longest, else they stay unread.
type packetReceiver struct {
	conn     *PacketConn
	shape    ring.Msghdr // room for sender and control messages
	userData uint64
	armed    bool
	pausing  bool // a cancel for it is on its way
	starved  bool
	held     bool // the handler is not to be called now
	draining bool // resume is running

	handler func(Message, error)
	line    fifo.Queue[*futures.Promise[Message]]
	own     *futures.Promise[Message] // serves one Recv after another

	unread      fifo.Queue[Message]
	unreadBytes int
	note        error // a failure that nobody was told of
}

func (r *packetReceiver) head() int {
	return ring.SizeofRecvmsgOut + int(r.shape.Namelen) + int(r.shape.Controllen)
}

func (r *packetReceiver) wanted() bool {
	return r.conn.state == connOpen && (r.line.Len() > 0 || r.handler != nil && !r.held)
}

func (r *packetReceiver) arm() {
	if r.armed || r.starved || !r.wanted() {
		return
	}
	l := r.conn.loop
	sqe := l.engine.Next()
	sqe.PrepMultishotRecvmsg(r.conn.fd, &r.shape, messageGroup, ring.MsgTrunc)
	r.userData = l.engine.Submit(sqe, r)
	r.armed = true
}

// BuffersBack implements engine.BufferWaiter.
func (r *packetReceiver) BuffersBack() {
	r.starved = false
	r.arm()
}

// complete implements engine.Operation.
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
		r.deliver(r.message(bufferOf(pool.Received(int(result), flags))))
	}
	if !r.armed {
		r.arm()
		r.conn.settled()
	}
}

// message makes a message of a buffer. A raw IPv4 socket delivers the IP header
// too, which is none of the message.
func (r *packetReceiver) message(b Buffer) Message {
	all, head := b.lease.Data(), r.head()
	skip := head
	if r.conn.headers && len(all) > head {
		skip = min(head+int(all[head]&0xf)*4, len(all))
		out := Message{Buffer: b, head: all}.out()
		out.Payloadlen -= min(out.Payloadlen, uint32(skip-head))
	}
	b.lease.SetData(all[skip:])
	return Message{Buffer: b, head: all[:head], name: uint16(r.shape.Namelen), network: &r.conn.network}
}

// failed handles the completion that brought no message.
func (r *packetReceiver) failed(e syscall.Errno) {
	l := r.conn.loop
	switch e {
	case syscall.ECANCELED, syscall.EAGAIN, syscall.EINTR:
		// Paused or closing, or a spurious wake-up: armed again if wanted.
	case syscall.ENOBUFS:
		l.counts.noBuffers++
		r.starved = true
		l.messages.Wait(r)
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EFAULT, syscall.EINVAL, syscall.EOPNOTSUPP:
		r.expire(r.conn.failed("read", e)) // it will not get better
		r.handler = nil
		r.conn.abort(r.conn.closedError("write"))
	default:
		// What a message sent earlier met with, such as a refusal: the next one
		// may fare better.
		r.tellOne(r.conn.failed("read", e))
	}
}

// tellOne tells the handler, or one Recv.
func (r *packetReceiver) tellOne(err error) {
	switch {
	case r.handler != nil && !r.held:
		r.tell(r.handler, err)
	case r.line.Len() > 0:
		r.fail(r.line.Take(), err)
	default:
		r.note = err
	}
}

func (r *packetReceiver) deliver(m Message) {
	if r.conn.state != connOpen {
		m.lease.End() // closing: nobody will ask for it
		return
	}
	switch {
	case r.unread.Len() > 0 || r.handler != nil && r.held:
		r.keep(m)
	case r.handler != nil:
		r.handler(m, nil)
	case r.line.Len() > 0:
		r.line.Take().Resolve(m)
	default:
		r.keep(m)
	}
}

// keep stores a message that nobody waits for, and pauses the receive when that
// becomes too much.
func (r *packetReceiver) keep(m Message) {
	l := r.conn.loop
	if l.messages.Scarce() {
		m = r.copied(m)
	}
	r.unread.Push(m)
	r.unreadBytes += m.Len()
	if (r.unread.Len() >= unreadMessages || r.unreadBytes >= unreadMessageBytes) && r.armed && !r.pausing {
		r.pausing = true
		l.counts.paused++
		l.engine.Cancel(r.userData)
	}
}

// copied moves a message to memory of its own and frees its buffer.
func (r *packetReceiver) copied(m Message) Message {
	if !m.lease.Shared() {
		return m
	}
	head, payload := len(m.head), m.lease.Data()
	all := make([]byte, head+len(payload))
	copy(all, m.head)
	copy(all[head:], payload)
	m.lease.End()
	m.Buffer = bufferOf(r.conn.loop.messages.Own(all[head:]))
	m.head = all[:head:head]
	return m
}

func (r *packetReceiver) pop() Message {
	m := r.unread.Take()
	r.unreadBytes -= m.Len()
	return m
}

// serve answers a Recv with what is there, or puts it in line.
func (r *packetReceiver) serve(p *futures.Promise[Message]) {
	switch {
	case r.conn.state != connOpen:
		r.fail(p, r.conn.closedError("read"))
	case r.handler != nil:
		r.fail(p, r.conn.opError("read", errHandlerReceives))
	case r.conn.reading.passed:
		r.fail(p, r.conn.timedOut("read"))
	case r.note != nil:
		err := r.note
		r.note = nil
		r.fail(p, err)
	case r.unread.Len() > 0:
		p.Resolve(r.pop())
	default:
		r.line.Push(p)
		r.arm()
	}
}

func (r *packetReceiver) fail(p *futures.Promise[Message], err error) {
	r.conn.loop.engine.Later(func() { p.Fail(err) })
}

// withdraw takes a Recv out of the line; a message that comes later stays
// unread.
func (r *packetReceiver) withdraw(gone *futures.Promise[Message]) {
	for _, p := range r.line.Cut(0) {
		if p == gone {
			r.fail(p, futures.ErrCanceled)
			continue
		}
		r.line.Push(p)
	}
}

// expire fails everyone who waits.
func (r *packetReceiver) expire(err error) {
	for _, p := range r.line.Cut(0) {
		r.fail(p, err)
	}
	if r.handler != nil {
		r.tell(r.handler, err)
	}
}

// tell has a handler told of an error in a turn of its own: what led here may
// be the handler itself.
func (r *packetReceiver) tell(fn func(Message, error), err error) {
	r.conn.loop.engine.Later(func() { fn(Message{}, err) })
}

// Cancel implements futures.Canceler for the receiver's own promise.
func (r *packetReceiver) Cancel() { r.withdraw(r.own) }

// packetWithdrawal cancels a Recv that has a promise of its own.
type packetWithdrawal struct {
	conn    *PacketConn
	promise *futures.Promise[Message]
}

func (w *packetWithdrawal) Cancel() {
	w.conn.loop.engine.Do(func() { w.conn.recv.withdraw(w.promise) }) // behind the Recv, which may still be on its way
}

// handle makes fn the receiver of all messages from now on.
func (r *packetReceiver) handle(fn func(Message, error)) {
	switch {
	case r.conn.state != connOpen:
		r.tell(fn, r.conn.closedError("read"))
		return
	case r.conn.reading.passed:
		r.tell(fn, r.conn.timedOut("read"))
	}
	r.handler = fn
	if r.note != nil {
		r.tell(fn, r.note)
		r.note = nil
	}
	r.resume()
}

// resume hands the handler what is unread, and arms the receive again.
func (r *packetReceiver) resume() {
	r.held = false
	if r.draining {
		return
	}
	r.draining = true
	defer func() { r.draining = false }()
	l := r.conn.loop
	before := l.engine.Serving()
	l.engine.SetServing(r) // whose handler it is, should it panic
	for r.unread.Len() > 0 && r.handler != nil && !r.held && r.conn.state == connOpen {
		r.handler(r.pop(), nil)
	}
	l.engine.SetServing(before)
	r.arm()
}

// drop gives back everything unread; the connection is closing.
func (r *packetReceiver) drop() {
	for r.unread.Len() > 0 {
		r.pop().lease.End()
	}
	r.expire(r.conn.closedError("read"))
	r.handler = nil
	if r.armed && !r.pausing {
		r.pausing = true
		r.conn.loop.engine.Cancel(r.userData)
	}
}

// Contain implements engine.Container.
func (r *packetReceiver) Contain() { r.conn.abort(r.conn.closedError("write")) }

package proactor

import (
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// A receiver pauses when this much is unread.
const (
	unreadBuffers = 4
	unreadBytes   = 64 << 10
)

// A receiver arms a multishot receive after this many receives in a row that
// left room in their buffer.
const shortReceives = 2

// receiver is a connection's receiving side. Data goes to the handler if there
// is one, else to the Recv that waits longest, else it stays unread.
//
// Small messages are received by a multishot receive, or read, which stays armed. A
// connection begins with one-shot receives, and goes back to them when data
// comes in bulk: the kernel completes a multishot up to 32 times before it can be
// canceled, and a slow reader should not hold that many buffers.
type receiver struct {
	conn      *Conn
	armed     bool  // its final completion is still to come
	multishot bool  // it is a multishot
	pausing   bool  // a cancel for it is on its way
	short     uint8 // receives in a row that left room
	watching  bool  // a hangup is armed
	hungUp    bool  // the hangup has fired
	starved   bool  // waits for buffers
	leaving   bool  // rebalancing waits until it is not armed
	bulk      bool  // the last receive filled its buffer: the next uses a larger one
	inBulk    bool  // the armed receive uses a larger buffer
	filesCome bool  // RecvFiles is used: no multishot, which would drop them
	oneByOne  bool  // the kernel refuses a multishot read of this descriptor
	written   bool  // no Read has come since the last send, a Write of a net.Conn: see copies
	dialed    bool  // by Dial or Unconnected: Shutdown lets it receive

	slot       engine.Slot // of the armed receive, unless it is direct
	hangupSlot engine.Slot // of the armed hangup

	in     incoming[Buffer]
	claim  *claim // a chain receives, or is about to
	direct *into  // receives straight into its memory; armed is for it
	err    error  // the end, after the unread data: io.EOF or a failure
}

func (r *receiver) on() *Loop                   { return r.conn.loop }
func (r *receiver) lenders() *lenders[Buffer]   { return &r.conn.loop.streams }
func (r *receiver) incoming() *incoming[Buffer] { return &r.in }
func (r *receiver) open() bool                  { return r.conn.state < connEnding }
func (r *receiver) closedError(op string) error { return r.conn.closedError(op) }

// cut implements receiving.
func (r *receiver) cut() error { return r.conn.failed("read", syscall.EMSGSIZE) }

func (r *receiver) untaken() *requestList[Buffer] { return &r.in.results }

// withdraw implements requestOwner.
func (r *receiver) withdraw(q *request[Buffer]) {
	withdraw(r, (*recvDemand[Buffer])(q), futures.ErrCanceled)
}

// wanted reports whether the receive should be armed.
func (r *receiver) wanted() bool {
	if r.err != nil || r.conn.state >= connEnding {
		return false
	}
	return r.in.wanted()
}

// full reports whether too much is unread to receive more.
func (r *receiver) full() bool {
	return r.in.unread.Len() >= unreadBuffers || r.in.bytes >= unreadBytes
}

func (r *receiver) arm() {
	if r.armed || r.conn.isMoving() {
		return
	}
	if r.claim != nil {
		r.claim.quiet()
		return
	}
	if r.starved || r.leaving || !r.wanted() {
		return
	}
	c := r.conn
	if r.in.line.Len() > 0 {
		if o, ok := (*r.in.line.At(0)).(*into); ok && !o.prefersLease() {
			r.in.line.Pop(&c.loop.streams.demands)
			r.armDirect(o)
			return
		}
	}
	if r.multishot = r.short >= shortReceives && r.multishotServes(); r.multishot && c.medium == stream {
		r.watch()
	}
	group := uint16(bufferGroup)
	if r.inBulk = r.bulk && !r.multishot && c.medium != packets && c.loop.openBulk(); r.inBulk {
		group = bulkGroup
	}
	sqe := c.loop.engine.Next()
	switch {
	case r.multishot && c.medium == file:
		sqe.PrepMultishotRead(c.fd, bufferGroup)
	case r.multishot:
		sqe.PrepMultishotRecv(c.fd, bufferGroup, 0)
	case c.medium == file:
		sqe.PrepReadProvided(c.fd, group)
	default:
		sqe.PrepRecvProvided(c.fd, group, c.messageFlags())
	}
	r.slot = engine.SlotOf(c.loop.engine.Submit(sqe, r))
	r.armed = true
}

// multishotServes reports whether a multishot receive can replace one-shot receives on
// this connection.
func (r *receiver) multishotServes() bool {
	switch r.conn.medium {
	case stream:
		return !r.hungUp && !r.filesCome
	case file:
		return !r.oneByOne
	}
	return false
}

// watch arms the hangup beside a multishot receive.
func (r *receiver) watch() {
	if r.watching {
		return
	}
	r.watching = true
	c := r.conn
	sqe := c.loop.engine.Next()
	sqe.PrepPoll(c.fd, ring.PollHup|ring.PollErr)
	r.hangupSlot = engine.SlotOf(c.loop.engine.Submit(sqe, (*hangup)(r)))
}

// hangup is a poll for the end of the connection. A multishot receive that
// has received the last data takes the socket for empty and waits for more; if a
// reset arrived before, nothing wakes it again (seen on Linux 6.18:
// io_recv_finish relies on tcp_inq, which reports a FIN but not a
// reset). A one-shot receive reports the reset.
type hangup receiver

func (h *hangup) Complete(result int32, _ uint32) {
	r := (*receiver)(h)
	r.watching = false
	if result > 0 && r.conn.state < connEnding {
		r.hungUp = true
		if r.armed && r.multishot && !r.pausing {
			r.pausing = true
			r.halt()
		}
	}
	r.conn.settled()
}

// Complete implements engine.Operation.
func (r *receiver) Complete(result int32, flags uint32) {
	pool := r.pool()
	if result > 0 {
		r.conn.touch(int(result))
	}
	if flags&ring.CQEFMore == 0 {
		r.armed, r.pausing = false, false
	}
	switch {
	case int(result) > pool.Size(): // a message that did not fit the buffer
		l := pool.Received(pool.Size(), flags, &r.conn.account)
		l.SetWhole(int(result))
		r.deliver(bufferOf(l))
	case result > 0:
		r.measure(int(result))
		r.deliver(bufferOf(pool.Received(int(result), flags, &r.conn.account)))
	case flags&ring.CQEFBuffer != 0:
		pool.Unused(flags)
		fallthrough
	default:
		r.receivedNothing(-result)
	}
	if !r.armed {
		r.arm()
		r.conn.settled()
	}
}

// pool is the pool of the armed receive's buffer.
func (r *receiver) pool() *engine.Pool {
	if r.inBulk {
		return &r.conn.loop.bulk
	}
	return &r.conn.loop.buffers
}

// measure counts receives that left room in a buffer of the usual size.
func (r *receiver) measure(n int) {
	if n >= r.conn.loop.buffers.Size() {
		r.short, r.bulk = 0, true
	} else if r.short++; r.short >= shortReceives {
		r.short, r.bulk = shortReceives, false
	}
}

// receivedNothing handles a completion without data: an empty message, or the end of the
// receive.
func (r *receiver) receivedNothing(errno int32) {
	if errno == 0 && !r.conn.endsHere() {
		r.deliver(bufferOf(r.pool().Own([]byte{}, &r.conn.account)))
		return
	}
	r.stopped(errno)
}

// stopped handles the end of a receive.
func (r *receiver) stopped(errno int32) {
	l := r.conn.loop
	switch e := syscall.Errno(errno); e {
	case 0:
		r.finish(io.EOF)
	case syscall.ECANCELED, syscall.EINTR:
		// Paused or closing: armed again if wanted.
	case syscall.EAGAIN:
		r.awaitReadable()
	case syscall.ENOBUFS:
		// No buffer was free. This is usual under load, and no error of the peer.
		l.noteNoBuffer(r.pool(), r.conn)
		r.starved = true
		r.pool().Wait(r)
	default:
		if r.multishot && r.conn.medium == file {
			// EINVAL before Linux 6.7, EBADFD of a descriptor that cannot be polled. A
			// one-shot read reports any other error again.
			r.oneByOne = true
			return
		}
		r.finish(r.conn.failed("read", e))
	}
}

// awaitReadable waits with a poll. It is for a descriptor that others have made
// non-blocking: a receive on it does not wait.
func (r *receiver) awaitReadable() {
	if r.claim != nil || !r.wanted() {
		return
	}
	l := r.conn.loop
	sqe := l.engine.Next()
	sqe.PrepPoll(r.conn.fd, ring.PollIn)
	r.slot = engine.SlotOf(l.engine.Submit(sqe, (*readable)(r)))
	r.armed, r.multishot = true, false
}

// readable is the receiver while it waits for data in a non-blocking descriptor.
type readable receiver

func (w *readable) Complete(int32, uint32) {
	r := (*receiver)(w)
	r.armed, r.pausing = false, false
	r.arm()
	r.conn.settled()
}

// disarm cancels the receive under way and the hangup beside it.
func (r *receiver) disarm() {
	if r.armed && !r.pausing {
		r.pausing = true
		r.stop()
	}
	if r.watching {
		r.conn.loop.engine.CancelSlot(r.hangupSlot)
	}
}

// stop cancels the receive under way.
func (r *receiver) stop() {
	if r.direct != nil {
		r.direct.cancel(r.err)
		return
	}
	r.halt()
}

// halt cancels the receive under way, unless it is one straight into its caller's memory.
func (r *receiver) halt() {
	if r.direct == nil {
		r.conn.loop.engine.CancelSlot(r.slot)
	}
}

// BuffersBack implements engine.BufferWaiter.
func (r *receiver) BuffersBack() {
	r.starved = false
	r.arm()
}

// deliver delivers what was received, and pauses the receive when too much is unread.
func (r *receiver) deliver(b Buffer) {
	if !r.open() {
		b.lease.End() // closing: nobody can receive it any more
		return
	}
	if !r.in.wanted() {
		b = bufferOf(b.lease.Pool().Settled(b.lease))
	}
	if deliver(r, b) && r.full() && r.armed && !r.pausing {
		r.pausing = true
		r.conn.loop.counts.paused++
		r.halt()
	}
}

// finish notes the end of the stream. Calls that wait fail with it once the data before
// it is delivered.
func (r *receiver) finish(err error) {
	if r.err != nil {
		return
	}
	r.err = err
	if r.in.unread.Len() == 0 {
		r.tellEnd()
	}
}

func (r *receiver) tellEnd() {
	for r.in.line.Len() > 0 {
		r.in.line.Pop(&r.conn.loop.streams.demands).fail(r.err)
	}
	if h := r.in.handler; h != nil && !r.in.isHeld {
		r.in.handler = nil
		h(Buffer{}, r.err)
	}
}

// hand calls the handler with data, or with EMSGSIZE for a message that did not fit.
func (r *receiver) hand(b Buffer) {
	if b.lease.Whole() > 0 {
		b.lease.End()
		r.in.handler(Buffer{}, r.conn.failed("read", syscall.EMSGSIZE))
		return
	}
	r.in.handler(b, nil)
}

// refuses implements receiving.
func (r *receiver) refuses() error {
	switch c := r.conn; {
	case c.movedTo() != nil:
		return c.opError("read", c.movedTo())
	case c.state >= connEnding:
		return c.closedError("read")
	case r.in.handler != nil:
		return c.misused("read", errHandlerReceives)
	case c.readExpired():
		return c.timedOut("read")
	case r.in.unread.Len() == 0:
		return r.err
	}
	return nil
}

// expire fails all receives that wait. More may follow.
func (r *receiver) expire(err error) {
	r.endOthers(err)
	expire(r, err)
}

// end is expire for good.
func (r *receiver) end(err error) {
	r.endOthers(err)
	end(r, err)
}

// endOthers ends the receives that are not in the line.
func (r *receiver) endOthers(err error) {
	if r.direct != nil {
		r.direct.cancel(err)
	}
	if r.claim != nil {
		r.claim.chain.end(err)
	}
}

// handle makes fn the handler of all data from now on.
func (r *receiver) handle(fn func(Buffer, error)) {
	switch {
	case r.conn.movedTo() != nil:
		tell(r, fn, r.conn.opError("read", r.conn.movedTo()))
		return
	case r.conn.state >= connEnding:
		tell(r, fn, r.conn.closedError("read"))
		return
	}
	r.in.handler = fn
	if r.conn.readExpired() {
		notify(r, r.conn.timedOut("read"))
	}
	r.resume()
}

// resume calls the handler with what is unread, and arms the receive again.
func (r *receiver) resume() {
	if !resume(r) {
		return
	}
	if r.in.unread.Len() == 0 && r.err != nil {
		r.tellEnd()
		return
	}
	r.arm()
}

// drop releases everything unread; the connection is closing.
func (r *receiver) drop() {
	drop(r)
	if r.err != nil {
		r.in.handler = nil // it has had its last call, or has ended the connection itself
	}
	if r.awaited() {
		r.end(r.conn.closedError("read"))
	}
}

// Contain implements engine.Container.
func (r *receiver) Contain() { r.conn.abort(r.conn.closedError("read")) }

// awaited reports whether a call, chain or handler would get an error.
func (r *receiver) awaited() bool {
	return r.in.line.Len() > 0 || r.direct != nil || r.claim != nil || r.in.handler != nil
}

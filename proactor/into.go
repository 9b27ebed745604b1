package proactor

import (
	"io"
	"math"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// into is a receive into the caller's memory. Those of calls on the loop are pooled.
type into struct {
	loop      *Loop
	conn      *Conn
	memory    []byte
	promise   futures.Promise[int]
	elsewhere bool // called by another goroutine: used once
	userData  uint64
	reason    error           // why it is being canceled, if it is
	rights    *rightsReceiver // of a RecvFiles
	piped     **pipe          // of a receive into a pipe, which is taken when there is something
}

// RecvInto receives into p what has come in, or waits for it, up to
// len(p) bytes. It resolves with the number of bytes, or with io.EOF. p belongs
// to the library until then. Calls of RecvInto and Recv are answered in their
// order. A message of a "unixpacket" connection that is longer than p is cut,
// and the number of bytes comes with syscall.EMSGSIZE.
func (c *Conn) RecvInto(p []byte) futures.Future[int] {
	l := c.loop
	if !l.engine.Inside() {
		return c.recvIntoElsewhere(p)
	}
	o, f := l.beginInto()
	o.begin(c, p)
	return f
}

// beginInto takes one from the pool, or makes one.
func (l *Loop) beginInto() (*into, futures.Future[int]) {
	for last := len(l.intos) - 1; last >= 0; last-- {
		o := l.intos[last]
		l.intos = l.intos[:last]
		if f, ok := o.promise.Renew(); ok {
			return o, f
		}
	}
	o := newInto(l)
	f, _ := o.promise.Renew()
	return o, f
}

func newInto(l *Loop) *into {
	o := &into{loop: l}
	o.promise.Bind(&l.engine, o)
	return o
}

// Recycle implements futures.Recycler.
func (o *into) Recycle() {
	if o.elsewhere {
		return
	}
	o.conn, o.piped = nil, nil
	o.loop.intos = append(o.loop.intos, o)
}

// recvIntoPipe is RecvInto, on the loop, into a pipe of the loop's that it takes when
// there is something to receive, and puts at place. If there is no pipe to be had the
// error is errNoPipe, and nothing is received.
func (c *Conn) recvIntoPipe(place **pipe) futures.Future[int] {
	o, f := c.loop.beginInto()
	o.conn, o.memory, o.reason, o.piped = c, nil, nil, place
	serve(&c.recv, demand[Buffer](o))
	return f
}

func (c *Conn) recvIntoElsewhere(p []byte) futures.Future[int] {
	o := &into{loop: c.loop, elsewhere: true}
	o.promise.SetCanceler(o)
	if !c.loop.engine.Do(func() { o.begin(c, p) }) {
		o.promise.Fail(c.closedError("read"))
	}
	return o.promise.Future()
}

func (o *into) begin(c *Conn, p []byte) {
	if !o.promise.Pending() { // it was canceled before it reached the loop
		return
	}
	o.conn, o.memory, o.reason = c, p[:min(len(p), maxTransfer)], nil
	c.recv.written = false
	if len(p) == 0 {
		o.promise.Resolve(0)
		return
	}
	serve(&c.recv, demand[Buffer](o))
}

// give implements demand. Bytes that do not fit stay unread.
func (o *into) give(b Buffer) {
	r := &o.conn.recv
	n, err := o.put(b.lease.Data())
	if err != nil {
		r.in.unpop(r.lenders(), b)
		o.fail(err)
		return
	}
	if r.conn.medium == packets {
		whole := max(b.Len(), b.lease.Whole())
		b.lease.End()
		o.answer(n, whole)
		return
	}
	if rest := b.lease.Data()[n:]; len(rest) > 0 {
		b.lease.SetData(rest)
		r.in.unpop(r.lenders(), bufferOf(b.lease.Pool().Settled(b.lease)))
	} else {
		b.lease.End()
	}
	o.promise.Resolve(n)
}

// put copies what there is room for.
func (o *into) put(data []byte) (int, error) {
	if o.piped == nil {
		return copy(o.memory, data), nil
	}
	p := o.loop.pipes.take()
	if p == nil {
		return 0, errNoPipe
	}
	*o.piped = p
	return p.put(data)
}

// fail implements demand.
func (o *into) fail(err error) { o.loop.engine.Later(func() { o.promise.Fail(err) }) }

// Cancel implements futures.Canceler.
func (o *into) Cancel() {
	if o.elsewhere {
		o.loop.engine.Do(o.withdraw) // behind the call, if that has not reached the loop yet
	} else {
		o.withdraw()
	}
}

// Recancel implements futures.Recanceler.
func (o *into) Recancel() { o.Cancel() }

// withdraw ends a canceled one. One in the line leaves it; one in flight ends with its
// final completion.
func (o *into) withdraw() {
	if o.conn == nil { // it has not reached the loop yet
		o.promise.Fail(futures.ErrCanceled)
		return
	}
	if !withdraw(&o.conn.recv, demand[Buffer](o), futures.ErrCanceled) {
		o.cancel(futures.ErrCanceled)
	}
}

func (o *into) cancel(reason error) {
	if o.conn.recv.direct != o {
		return
	}
	if o.reason == nil {
		o.reason = reason
		o.loop.engine.Cancel(o.userData)
	}
	o.loop.engine.AwaitEnd(o.userData)
}

// smallReceive is the size up to which a receive copies from a buffer: what does not fit
// stays for the next receive, which then does not wait. It is the size that a
// bufio.Reader asks for.
const smallReceive = 4 << 10

// prefersLease reports whether to receive into a buffer and copy from there, and not
// straight into o's memory.
func (o *into) prefersLease() bool {
	r := &o.conn.recv
	if o.conn.medium != stream || o.rights != nil || o.piped != nil || r.filesCome {
		return false
	}
	return len(o.memory) <= smallReceive
}

// armDirect submits a receive into o's memory.
func (r *receiver) armDirect(o *into) {
	c := r.conn
	sqe := c.loop.engine.Next()
	switch {
	case o.piped != nil:
		sqe.PrepPoll(c.fd, ring.PollIn)
	case o.rights != nil:
		sqe.PrepRecvmsg(c.fd, o.rights.arm(), c.messageFlags()|ring.MsgCMsgCloexec)
	case c.medium == file:
		sqe.PrepRead(c.fd, o.memory)
	default:
		sqe.PrepRecv(c.fd, o.memory, c.messageFlags())
	}
	o.userData = c.loop.engine.Submit(sqe, o)
	r.armed, r.multishot, r.direct = true, false, o
}

// messageFlags makes a receive return the whole length of a message that does not fit.
func (c *Conn) messageFlags() uint32 {
	if c.medium == packets {
		return ring.MsgTrunc
	}
	return 0
}

// Complete implements engine.Operation.
func (o *into) Complete(result int32, _ uint32) {
	r := &o.conn.recv
	r.armed, r.pausing, r.direct = false, false, nil
	if o.rights != nil && result >= 0 {
		o.rights.collect()
	}
	if o.piped != nil && result >= 0 {
		if result = o.splice(); result == noPipe {
			o.promise.Fail(errNoPipe)
			r.arm()
			r.conn.settled()
			return
		}
	}
	switch {
	case result > 0 && o.piped != nil:
		o.conn.touch(int(result))
		o.promise.Resolve(int(result))
	case result > 0:
		o.conn.touch(int(result))
		n := min(int(result), len(o.memory))
		engine.RaceWrote(o.memory[:n])
		o.answer(n, int(result))
	case result == 0 && (o.rights != nil && len(o.rights.files) > 0 || !o.conn.endsHere()): // an empty message
		o.promise.Resolve(0)
	case result == 0:
		r.finish(io.EOF)
		o.promise.Fail(io.EOF)
	default:
		o.failed(syscall.Errno(-result))
	}
	r.arm()
	r.conn.settled()
}

// noPipe is the result of splice when there is none.
const noPipe = math.MinInt32

// splice moves what has come in into a pipe. Its result is that of a completion.
func (o *into) splice() int32 {
	if o.conn.state >= connEnding {
		return -int32(syscall.ECANCELED)
	}
	p := o.loop.pipes.take()
	if p == nil {
		return noPipe
	}
	n, errno := p.fill(o.conn.fd)
	if n > 0 && errno == 0 {
		*o.piped = p
		return int32(n)
	}
	o.loop.pipes.put(p)
	return -int32(errno)
}

// answer resolves with n bytes. For a message, whole is its length.
func (o *into) answer(n, whole int) {
	if n < whole {
		o.promise.Settle(n, o.conn.failed("read", syscall.EMSGSIZE))
		return
	}
	o.promise.Resolve(n)
}

func (o *into) failed(e syscall.Errno) {
	r := &o.conn.recv
	switch {
	case o.reason != nil && (e == syscall.ECANCELED || e == syscall.EINTR || r.conn.state >= connEnding): // our own reset shows as the peer's
		o.promise.Fail(o.reason)
	case r.conn.state >= connEnding: // canceled, or the reset of an Abort was faster
		o.promise.Fail(r.conn.closedError("read"))
	case e == syscall.ECANCELED, e == syscall.EINTR:
		r.in.line.Unpop(&r.lenders().demands, o) // it meant somebody else, or nobody: again
	case e == syscall.EAGAIN && o.reason != nil:
		o.promise.Fail(o.reason)
	case e == syscall.EAGAIN:
		r.in.line.Unpop(&r.lenders().demands, o)
		r.awaitReadable()
	default:
		r.finish(r.conn.failed("read", e))
		o.promise.Fail(r.err)
	}
}

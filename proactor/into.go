package proactor

import (
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// into is a receive into the caller's memory.
type into struct {
	conn     *Conn
	memory   []byte
	promise  futures.Promise[int]
	userData uint64
	reason   error           // why it is being cancelled, if it is
	rights   *rightsReceiver // of a RecvFiles
}

// RecvInto receives into p: what is there, or the next that comes in, up to
// len(p) bytes. It resolves with the number of bytes, or with io.EOF. p belongs
// to the library until then. Calls of RecvInto and Recv are answered in their
// order. A message of a "unixpacket" connection that is longer than p is cut,
// and the number of bytes comes with syscall.EMSGSIZE.
func (c *Conn) RecvInto(p []byte) futures.Future[int] {
	l := c.loop
	if !l.engine.Inside() {
		return c.recvIntoElsewhere(p)
	}
	o := c.recv.ownInto
	if o == nil {
		o = newInto(c)
		c.recv.ownInto = o
	}
	f, ok := o.promise.Renew()
	if !ok {
		o = newInto(c)
		f = o.promise.Future()
	}
	o.begin(p)
	return f
}

func newInto(c *Conn) *into {
	o := &into{conn: c}
	o.promise.Bind(&c.loop.engine, o)
	return o
}

func (c *Conn) recvIntoElsewhere(p []byte) futures.Future[int] {
	answer := futures.NewPromise[int]()
	o := &into{conn: c}
	answer.SetCanceler(elsewhere{o})
	ok := c.loop.engine.Do(func() {
		o.promise.Bind(&c.loop.engine, o)
		o.promise.Future().Then(func(n int, err error) { answer.Settle(n, err) })
		o.begin(p)
	})
	if !ok {
		answer.Fail(c.closedError("read"))
	}
	return answer.Future()
}

// elsewhere cancels a RecvInto that was called from another goroutine.
type elsewhere struct{ *into }

func (e elsewhere) Cancel() { e.conn.loop.engine.Do(e.into.Cancel) }

func (o *into) begin(p []byte) {
	o.memory, o.reason = p[:min(len(p), maxTransfer)], nil
	if len(p) == 0 {
		o.promise.Resolve(0)
		return
	}
	o.conn.recv.serve(demand{into: o})
}

// Cancel implements futures.Canceler: one in line leaves it, one in flight
// ends with its final completion.
func (o *into) Cancel() {
	if !o.conn.recv.withdraw(demand{into: o}, futures.ErrCanceled) {
		o.cancel(futures.ErrCanceled)
	}
}

func (o *into) cancel(reason error) {
	if o.conn.recv.direct == o && o.reason == nil {
		o.reason = reason
		o.conn.loop.engine.Cancel(o.userData)
	}
}

// armDirect submits a receive into o's memory.
func (r *receiver) armDirect(o *into) {
	c := r.conn
	sqe := c.loop.engine.Next()
	switch {
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

// messageFlags has a receive of a message tell the whole length of one that does
// not fit.
func (c *Conn) messageFlags() uint32 {
	if c.medium == packets {
		return ring.MsgTrunc
	}
	return 0
}

// complete implements engine.Operation.
func (o *into) Complete(result int32, _ uint32) {
	r := &o.conn.recv
	r.armed, r.pausing, r.direct = false, false, nil
	if o.rights != nil && result >= 0 {
		o.rights.collect()
	}
	switch {
	case result > 0:
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
	o.conn.settled()
}

// answer resolves with n bytes, of a message of whole bytes if it was one.
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
	case e == syscall.ECANCELED && o.reason != nil:
		o.promise.Fail(o.reason)
	case r.conn.state >= connEnding: // canceled, or the reset of an Abort was faster
		o.promise.Fail(r.conn.closedError("read"))
	case e == syscall.ECANCELED, e == syscall.EINTR:
		r.line.Unpop(&r.conn.loop.demands, demand{into: o}) // it meant somebody else, or nobody: again
	case e == syscall.EAGAIN && o.reason != nil:
		o.promise.Fail(o.reason)
	case e == syscall.EAGAIN:
		r.line.Unpop(&r.conn.loop.demands, demand{into: o})
		r.awaitReadable()
	default:
		r.finish(r.conn.failed("read", e))
		o.promise.Fail(r.err)
	}
}

// Contain implements engine.Container.
func (o *into) Contain() { o.conn.abort(o.conn.closedError("read")) }

package proactor

import (
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
)

// into is a receive into the caller's memory.
type into struct {
	conn     *Conn
	memory   []byte
	promise  futures.Promise[int]
	userData uint64
	reason   error // why it is being cancelled, if it is
}

// RecvInto receives into p: what is there, or the next that comes in, up to
// len(p) bytes. It resolves with the number of bytes, or with io.EOF. p belongs
// to the library until then. Calls of RecvInto and Recv are answered in their
// order.
//
// The future serves one RecvInto after another, see Recv.
func (c *Conn) RecvInto(p []byte) futures.Future[int] {
	l := c.loop
	if !l.Inside() {
		return c.recvIntoElsewhere(p)
	}
	o := c.recv.ownInto
	if o == nil || o.promise.Pending() {
		o = &into{conn: c}
		o.promise.Bind(l, o)
		if c.recv.ownInto == nil {
			c.recv.ownInto = o
		}
	}
	f := o.promise.Renew()
	o.begin(p)
	return f
}

func (c *Conn) recvIntoElsewhere(p []byte) futures.Future[int] {
	answer := futures.NewPromise[int]()
	o := &into{conn: c}
	answer.SetCanceler(elsewhere{o})
	ok := c.loop.Do(func() {
		o.promise.Bind(c.loop, o)
		o.promise.Renew().Then(func(n int, err error) { answer.Settle(n, err) })
		o.begin(p)
	})
	if !ok {
		answer.Fail(c.closedError("read"))
	}
	return answer.Future()
}

// elsewhere cancels a RecvInto that was called from another goroutine.
type elsewhere struct{ *into }

func (e elsewhere) Cancel() { e.conn.loop.Do(e.into.Cancel) }

func (o *into) begin(p []byte) {
	o.memory, o.reason = p, nil
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
		o.conn.loop.cancel(o.userData)
	}
}

// armDirect submits a receive into o's memory.
func (r *receiver) armDirect(o *into) {
	c := r.conn
	sqe := c.loop.queue.Next()
	sqe.PrepRecv(c.fd, o.memory, 0)
	o.userData = c.loop.submit(sqe, o)
	r.armed, r.multishot, r.direct = true, false, o
}

// complete implements operation.
func (o *into) complete(result int32, _ uint32) {
	r := &o.conn.recv
	r.armed, r.direct = false, nil
	switch {
	case result > 0:
		raceWrote(o.memory[:result])
		o.promise.Resolve(int(result))
	case result == 0:
		r.finish(io.EOF)
		o.promise.Fail(io.EOF)
	default:
		o.failed(syscall.Errno(-result))
	}
	r.arm()
	o.conn.settled()
}

func (o *into) failed(e syscall.Errno) {
	r := &o.conn.recv
	switch {
	case e == syscall.ECANCELED && o.reason != nil:
		o.promise.Fail(o.reason)
	case e == syscall.ECANCELED && r.conn.state >= connEnding:
		o.promise.Fail(r.conn.closedError("read"))
	case e == syscall.ECANCELED, e == syscall.EAGAIN, e == syscall.EINTR:
		r.line.unpop(demand{into: o}) // it meant somebody else, or nobody: again
	default:
		r.finish(r.conn.failed("read", e))
		o.promise.Fail(r.err)
	}
}

package proactor

import (
	"context"
	"io"
	"iter"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/slab"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// Conn is a stream connection. It belongs to one loop: its handlers and
// callbacks run on that loop's thread, where its operations are cheapest. Its
// methods may be called from any goroutine; a call from elsewhere is posted to the
// loop.
type Conn struct {
	loop     *Loop
	fd       int
	medium   medium
	named    networkName
	state    connState
	departed departure // something else has its socket
	gone     bool      // the descriptor was closed or given away; guarded by naming
	sendDue  bool      // in the loop's list of those to start sending
	others   int16     // operations in flight besides the receive and the send
	index    int32     // in loop.conns

	recv    receiver
	send    sender
	account engine.Account // of the received data that it holds

	acceptor    *acceptor // that brought it, if any
	limits      *limits
	naming      sync.Mutex  // the descriptor is not closed while it is held
	nonblocking nonblocking // who needs the socket non-blocking, see rawConn
	shut        shut
	addresses   *addresses // once they are looked up; guarded by naming
}

type connState uint8

const (
	connOpen     connState = iota
	connDraining           // Close was called: what is queued is still sent
	connEnding             // shut down and canceled: waiting for final completions
	connClosing            // the descriptor is being closed
	connClosed
)

// adopt makes a connection from a descriptor, and adds it to the loop's.
func (l *Loop) adopt(fd int, network string) *Conn {
	c := l.newConn(fd, network)
	c.join()
	return c
}

func (l *Loop) newConn(fd int, network string) *Conn {
	c := &Conn{loop: l, fd: fd, named: nameOf(network), medium: mediumOf(network)}
	c.recv.conn, c.send.conn = c, c
	return c
}

// join adds the connection to those of its loop.
func (c *Conn) join() {
	l := c.loop
	c.index = int32(len(l.conns))
	l.conns = append(slab.Room(l.conns), c)
}

// connOf makes a connection from a descriptor, on the caller's loop or the next in
// turn. It closes the descriptor if it fails.
func (rt *Runtime) connOf(fd int, network string) (*Conn, error) {
	return rt.someLoop().take(fd, network, false, nil)
}

// take is connOf on this loop. unread is data that was received before.
func (l *Loop) take(fd int, network string, dialed bool, unread []unreadData) (*Conn, error) {
	c := l.newConn(fd, network)
	c.recv.dialed = dialed
	ok := l.engine.Begin(func() {
		if l.stopping() {
			c.refuse()
			return
		}
		c.join()
		c.bring(unread)
	})
	if !ok {
		err := c.opError("open", errShutdownDone)
		sockets.Close(fd)
		return nil, err
	}
	return c, nil
}

// refuse closes a connection that is not among its loop's and has nothing in
// flight.
func (c *Conn) refuse() {
	c.shut.close()
	c.state = connClosed
	c.leave()
	sockets.Close(c.fd)
}

// Loop is the loop the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// Recv starts to receive. The future resolves with a lease on the data that
// came in, or with io.EOF when the peer has sent everything. Calls are
// answered in their order. Canceling loses nothing: data that comes later is
// there for the next Recv.
//
// On a "unixpacket" connection each Recv takes one message. One that is larger than
// a buffer (WithBuffers) is lost, with syscall.EMSGSIZE; the next Recv takes the
// next. An empty message is an empty Buffer. If it is the last message and the peer
// has shut down before it is received, it is reported as io.EOF: the kernel answers
// both in the same way.
//
// The future keeps its result until that is taken, see futures.Future. A Buffer that
// nobody takes is released when the connection ends, or when the task that called Recv
// returns, whichever is first.
//
// A Buffer that a task has received and neither released nor given away is released
// when the task returns, unless Buffer.Keep was called. So is one that a callback or a
// goroutine has taken from a future that the task made.
func (c *Conn) Recv() futures.Future[Buffer] { return recv(receiving[Buffer](&c.recv)) }

// Bufs receives until the peer is done, which ends the range without an
// error. Each Buffer is the loop body's to release or give away.
func (c *Conn) Bufs(ctx context.Context) iter.Seq2[Buffer, error] {
	return func(yield func(Buffer, error) bool) {
		for {
			b, err := c.Recv().Await(ctx)
			if err == io.EOF {
				return
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// OnRecv has fn called on the loop with everything that is received. The last call
// has an empty Buffer and io.EOF, or the error that ended the connection. After
// os.ErrDeadlineExceeded and syscall.EMSGSIZE (see Recv) more calls follow. fn owns
// each Buffer. While the send queue is above its high-water mark fn is not
// called, so that a peer that sends and does not read holds little memory.
//
// A connection is received either with OnRecv or with Recv.
func (c *Conn) OnRecv(fn func(Buffer, error)) {
	if fn == nil {
		panic("proactor: OnRecv wants a function to receive with, got nil")
	}
	if c.loop.engine.Inside() {
		c.recv.handle(fn)
		return
	}
	if !c.loop.engine.Do(func() { c.recv.handle(fn) }) {
		fn(Buffer{}, c.closedError("read"))
	}
}

// Send sends all of b and takes over the lease: the caller must not use b any more,
// even when Send fails. The future resolves when the kernel has taken everything,
// with the number of bytes; an error comes with the number sent before it.
//
// Sends go out in the order of the calls.
func (c *Conn) Send(b Buffer) futures.Future[int] {
	b = b.take("Send")
	return c.sendSegment(segment{data: b.Bytes(), lease: b})
}

// SendBytes sends all of p, which belongs to the library until the future
// resolves. On a "unixpacket" connection p is one message, an empty one if p is
// empty; one that is too large for the socket (SO_SNDBUF) fails with
// syscall.EMSGSIZE, and later ones are sent.
func (c *Conn) SendBytes(p []byte) futures.Future[int] {
	return c.sendSegment(segment{data: p})
}

// SendZeroCopy sends all of p without copying it, where socket and device can do
// so (IORING_OP_SEND_ZC, Linux 6.0); where they cannot, on a Unix socket, a pipe or
// the epoll backend, it is SendBytes with the same result. p belongs to the
// library until the future resolves. It resolves when the peer has acknowledged the
// bytes, not when the socket has taken them: only then does the kernel no longer read
// p. Awaiting each one therefore costs a round trip and, if it is short, the 40 ms by
// which a peer may delay its acknowledgement. Small sends are copied faster than
// they are pinned: docs/performance.md says from which size on this pays.
// Over loopback the kernel copies anyway.
//
// It takes its place among the connection's other sends; those behind it do not
// wait for the acknowledgement. Close waits for it, for at most the drain timeout.
// A cancel, or a write deadline that passes, when part of p or all of it is with
// the socket resets the connection, since only a reset makes the kernel release p.
// See also WithZeroCopy.
func (c *Conn) SendZeroCopy(p []byte) futures.Future[int] {
	return c.sendSegment(segment{data: p, noCopy: true})
}

// SendVector sends the pieces of p one behind the other, as one message of the
// connection: nothing else comes between them. They belong to the library
// until the future resolves with the number of bytes of them all. On a
// "unixpacket" connection they make one message. On a pipe they are one write(2) if they
// have 4096 bytes (PIPE_BUF) or less: other writers of the pipe do not come between
// (pipe(7)). Larger ones are a write for each piece.
func (c *Conn) SendVector(p ...[]byte) futures.Future[int] {
	if c.medium == packets || c.medium == file && totalBytes(p) <= atomicOnPipes {
		return c.SendBytes(slices.Concat(p...))
	}
	v := &vectorSend{conn: c, data: p, promise: futures.NewPromise[int](), left: len(p)}
	v.promise.SetCanceler(&v.starter)
	for _, piece := range p {
		engine.RaceRead(piece)
	}
	if !v.starter.start(c.loop, v) {
		v.refuse(c.closedError("write"))
	}
	return v.promise.Future()
}

// atomicOnPipes is how many bytes a pipe takes as a whole or not at all (PIPE_BUF).
const atomicOnPipes = 4096

func totalBytes(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

func (c *Conn) sendSegment(g segment) futures.Future[int] {
	l := c.loop
	if !l.engine.Inside() {
		return c.sendElsewhere(g)
	}
	q, f := l.sends.begin(&c.send)
	g.promise = &q.Promise
	c.send.push(g)
	return f
}

func (c *Conn) sendElsewhere(g segment) futures.Future[int] {
	q := c.loop.sends.elsewhere()
	g.promise = &q.Promise
	engine.RaceRead(g.data)
	ok := c.loop.engine.Do(func() {
		if !q.Pending() { // it was canceled on its way here
			c.send.giveUp(g)
			return
		}
		q.owner = &c.send
		c.send.push(g)
	})
	if !ok {
		c.send.giveUp(g)
		q.Fail(c.closedError("write"))
	}
	return q.Future()
}

// Queue adds b to the send queue and takes over the lease. The future is resolved at
// once while the queue is below its high-water mark, else when the queue has shrunk to
// half of that: a handler that awaits it waits only for a peer that does not keep up.
// An error of the sending is reported by the next operation.
func (c *Conn) Queue(b Buffer) futures.Future[struct{}] {
	b = b.take("Queue")
	g := segment{data: b.Bytes(), lease: b}
	if !c.loop.engine.Inside() {
		return c.queueElsewhere(g)
	}
	if err := c.send.accepts(len(g.data)); err != nil {
		c.send.conclude(g, err)
		return futures.Failed[struct{}](err)
	}
	c.send.enqueue(g)
	if c.send.above(c.loop) {
		return c.send.pressed(c.loop, &c.recv.in)
	}
	return futures.Future[struct{}]{}
}

func (c *Conn) queueElsewhere(g segment) futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := c.loop.engine.Do(func() {
		if err := c.send.accepts(len(g.data)); err != nil {
			c.send.conclude(g, err)
			p.Fail(err)
			return
		}
		c.send.enqueue(g)
		if !c.send.above(c.loop) {
			p.Resolve(struct{}{})
			return
		}
		c.send.pressed(c.loop, &c.recv.in).Then(func(_ struct{}, err error) { p.Settle(struct{}{}, err) })
	})
	if !ok {
		c.send.giveUp(g)
		p.Fail(c.closedError("write"))
	}
	return p.Future()
}

// CloseWrite sends what is queued and then shuts down the sending side
// (shutdown(2), SHUT_WR): the peer reads the end of the stream. Receiving goes on.
// Calling it again has the same result.
func (c *Conn) CloseWrite() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	if !c.loop.engine.Perform(func() { c.beginHalfClose(p) }) {
		p.Fail(c.closedError("shutdown"))
	}
	return p.Future()
}

// beginHalfClose is CloseWrite on the loop, whose result p gets.
func (c *Conn) beginHalfClose(p *futures.Promise[struct{}]) {
	s := &c.send
	if err := s.over(); err != nil {
		p.Fail(err)
		return
	}
	h := s.halfClosed()
	if h == nil {
		h = &halfClose{conn: c}
		c.limited().ending.halfClose = h
	}
	if h.ended {
		p.Settle(struct{}{}, h.err)
		return
	}
	h.waiting = append(h.waiting, p)
	if s.queue.Len() == 0 {
		h.start()
	}
}

// Close ends the connection: what is queued is still sent, for at most the
// drain timeout, then everything in flight is canceled and the descriptor
// closed. Close does not wait; the future of Closed resolves when it is done. Closing
// again does nothing.
//
// Close of a NetConn is that of package net instead: it ends the Reads and Writes
// under way at once. What is queued before the first such Write is sent as above.
func (c *Conn) Close() error {
	c.shut.close()
	if c.loop.engine.Inside() {
		c.beginClose()
		return nil
	}
	c.loop.engine.Do(c.beginClose)
	return nil
}

// Closed resolves when the descriptor is closed and no operation of the connection is
// in flight.
func (c *Conn) Closed() futures.Future[struct{}] {
	return c.loop.whenClosed(&c.state, func() **futures.Promise[struct{}] { return &c.limited().closed })
}

// whenClosed resolves when state is connClosed. The code that sets that resolves the
// promise at place, if there is one.
func (l *Loop) whenClosed(state *connState, place func() **futures.Promise[struct{}]) futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := l.engine.Perform(func() {
		if *state == connClosed {
			p.Resolve(struct{}{})
			return
		}
		closed := place()
		if *closed == nil {
			*closed = new(futures.Promise[struct{}])
			(*closed).Bind(&l.engine, nil)
		}
		(*closed).Future().Then(func(struct{}, error) { p.Resolve(struct{}{}) })
	})
	if !ok {
		p.Resolve(struct{}{})
	}
	return p.Future()
}

// Abort ends the connection at once: what is queued is dropped and the peer
// is sent a reset.
func (c *Conn) Abort() {
	c.shut.close()
	c.loop.engine.Perform(func() { c.abort(c.closedError("write")) })
}

func (c *Conn) abort(err error) {
	if c.state >= connEnding {
		return
	}
	c.shut.close()
	c.remember()
	sockets.Reset(c.fd)
	c.send.err = err
	c.send.cancel(err)
	c.beginEnd()
}

func (c *Conn) beginClose() {
	if c.state != connOpen {
		return
	}
	c.shut.close()
	c.state = connDraining
	if c.send.err != nil { // from now on that it is closed comes first
		c.send.err = c.closedError("write")
	}
	if c.send.idle() {
		c.beginEnd()
		return
	}
	c.settled() // a Move under way ends
	d := c.limited()
	d.drain.Expired = func(error) {
		if c.state == connDraining {
			c.abort(c.opError("write", errDrainTimeout))
		}
	}
	c.loop.engine.SetTimer(&d.drain, c.loop.engine.After(c.loop.rt.options.drainTimeout))
}

// beginEnd cancels everything that is in flight. Closing the descriptor does not end
// it: the kernel keeps the socket open while an operation uses it.
func (c *Conn) beginEnd() {
	if c.state >= connEnding {
		return
	}
	c.state = connEnding
	c.limits.stop(c.loop)
	c.recv.drop()
	switch {
	case c.departed != stays:
	case c.send.inFlight > 0 || c.others > 0:
		c.endEverything()
	default:
		c.recv.disarm()
	}
	c.settled()
}

// endEverything cancels all operations on the descriptor. The shutdown ends a send
// that waits on a peer that has closed its side: the kernel retries that one, and no
// cancel finds it meanwhile. A cancel by descriptor searches all operations in flight,
// so not every close does this.
func (c *Conn) endEverything() {
	l := &c.loop.engine
	sqe := l.Next()
	sqe.PrepShutdown(c.fd, sockets.ShutdownBoth)
	c.others++
	l.Submit(sqe, (*endShutdown)(c))
	sqe = l.Next()
	sqe.PrepCancelFD(c.fd, ring.CancelAll)
	l.Submit(sqe, engine.Ignore{})
}

// endShutdown is the shutdown before the close. The close must wait for it: a worker
// of the kernel performs it later and looks up the descriptor only then. By then the
// number could be another socket's.
type endShutdown Conn

func (s *endShutdown) Complete(int32, uint32) {
	c := (*Conn)(s)
	c.others--
	c.settled()
}

// busy reports whether operations of the connection are in flight.
func (c *Conn) busy() bool {
	return c.recv.armed || c.recv.watching || c.send.inFlight > 0 || c.others > 0
}

// settled is called when an operation of the connection has ended. It goes on with a
// close or move that waits for that.
func (c *Conn) settled() {
	if m := c.move(); c.isMoving() && (c.state != connOpen || c.send.idle() && !c.busy()) {
		if c.state == connOpen {
			m.ready()
			return
		}
		c.setMove(m.before)
		c.loop.engine.Later(func() { m.to.fail(c.closedError(m.to.op())) })
	}
	if c.state == connDraining && c.send.idle() && c.others == 0 {
		c.beginEnd()
		return
	}
	if c.state == connEnding && !c.busy() {
		c.state = connClosing
		c.leave()
		if c.send.unnotified > 0 && c.departed == stays {
			sockets.Reset(c.fd) // after the close nothing could make the kernel let go of the memory
		}
		sqe := c.loop.engine.Next()
		sqe.PrepClose(c.fd)
		c.loop.engine.Submit(sqe, (*release)(c))
	}
}

// release is the close of the descriptor, as an operation.
type release Conn

func (r *release) Complete(int32, uint32) {
	c := (*Conn)(r)
	c.state = connClosed
	if c.departed != moved { // else the Conn that stands for it now does so
		c.reclaim()
	}
	c.loop.forget(c)
	if c.acceptor != nil {
		c.acceptor.left(c)
	}
	if c.limits != nil {
		c.limits.connClosed()
	}
}

func (l *Loop) forget(c *Conn) {
	last := len(l.conns) - 1
	l.conns[c.index] = l.conns[last]
	l.conns[c.index].index = c.index
	l.conns[last] = nil
	l.conns = l.conns[:last]
}

// LocalAddr is the address of this end, also after Close. It is never nil.
func (c *Conn) LocalAddr() net.Addr {
	local, _ := c.endpoints()
	return local
}

// RemoteAddr is the address of the peer, also after Close or a reset by the peer.
// It is never nil.
func (c *Conn) RemoteAddr() net.Addr {
	_, remote := c.endpoints()
	return remote
}

// SetDeadline sets both deadlines. After Close the error is ErrClosed.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setReadDeadline(t); c.setWriteDeadline(t) })
}

func (c *Conn) setDeadline(set func()) error {
	if c.shut.Load() || !c.loop.engine.Perform(set) {
		return &net.OpError{Op: "set", Net: c.network(), Addr: c.LocalAddr(), Err: c.loop.closedBy(ErrClosed)}
	}
	return nil
}

// SetReadDeadline makes receives at t or later, those that wait included, fail
// with os.ErrDeadlineExceeded; the zero time means never. No data is lost: it can
// be received once the deadline is moved.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setReadDeadline(t) })
}

// SetWriteDeadline makes sends that are under way or queued at t or later fail
// with os.ErrDeadlineExceeded; the zero time means never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setWriteDeadline(t) })
}

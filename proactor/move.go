package proactor

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// ErrMoved is what operations on a connection fail with once it was moved to
// another loop; net.ErrClosed finds it too.
var ErrMoved error = movedError{}

type movedError struct{}

func (movedError) Error() string        { return "proactor: the connection was moved to another loop" }
func (movedError) Is(target error) bool { return errors.Is(ErrClosed, target) }

var errMoving = errors.New("proactor: the connection is being moved already")

// Move hands the connection over to another loop. The future resolves with the
// Conn that stands for it there; c is over then, and its operations fail with
// ErrMoved.
//
// Nothing is lost and the order stays: what c has queued is sent first, what it
// has received and nobody has taken is there for the first Recv of the new Conn.
// A Recv that waits on c, and a handler of OnRecv, end with ErrMoved. Deadlines
// and other limits are not taken along. The place in the listener's limit is.
//
// A Move that fails leaves c as it was, but for those that waited to receive:
// with syscall.EMFILE when there is no descriptor for the hand-over, with what
// ended c's sending, or because the runtime shuts down. Cancelling does nothing: a Move ends with the sends
// before it. Moving to c's own loop moves too.
func (c *Conn) Move(to *Loop) futures.Future[*Conn] {
	p := futures.NewPromise[*Conn]()
	p.SetCanceler(notCanceled{})
	if to == nil {
		return futures.Failed[*Conn](c.opError("move", fmt.Errorf("to no loop: %w", syscall.EINVAL)))
	}
	m := &move{conn: c, to: to, promise: p}
	if !c.loop.engine.Perform(m.begin) {
		p.Fail(c.closedError("move"))
	}
	return p.Future()
}

type notCanceled struct{}

func (notCanceled) Cancel() {}

// move is one under way. It holds both sides of the connection, as a chain
// does; when the queue has let go of it, it takes it along.
type move struct {
	conn    *Conn
	to      *Loop
	promise *futures.Promise[*Conn]
	before  *move // that brought conn to its loop, if any
}

// isMoving says that a Move of c is under way.
func (c *Conn) isMoving() bool { return c.move != nil && c.move.conn == c }

// reclaim gives back what came in and nobody has taken, here and where c was before
// it moved.
func (c *Conn) reclaim() {
	c.recv.in.results.reclaim()
	if m := c.move; m != nil && m.conn != c {
		m.conn.loop.engine.Perform(m.conn.reclaim)
	}
}

func (m *move) begin() {
	c := m.conn
	if err := c.send.refusal(); err != nil {
		m.promise.Fail(err)
		return
	}
	switch {
	case c.isMoving():
		m.promise.Fail(c.opError("move", errMoving))
		return
	case c.recv.claim != nil:
		m.promise.Fail(c.misused("move", errChainWaiting))
		return
	}
	m.before, c.move = c.move, m
	c.recv.expire(c.opError("read", ErrMoved))
	c.recv.in.handler = nil
	if c.recv.armed && !c.recv.pausing && c.recv.direct == nil {
		c.recv.pausing = true
		c.loop.engine.Cancel(c.recv.userData)
	}
	if c.recv.watching {
		c.loop.engine.Cancel(c.recv.hangupData)
	}
	c.settled()
}

// ready hands over what nothing is in flight on any more.
func (m *move) ready() {
	c := m.conn
	c.move = m.before
	fd, err := -1, c.send.err
	switch {
	case err != nil:
	case len(c.loop.draining) > 0: // the other loop may believe itself empty already
		err = errShutdownDone
	default:
		fd, err = sockets.DuplicateNumber(c.fd)
	}
	if err != nil {
		c.loop.engine.Later(func() { m.promise.Fail(c.opError("move", err)) })
		c.recv.arm()
		return
	}
	moved := m.to.newConn(fd, c.network)
	moved.acceptor, c.acceptor = c.acceptor, nil
	if c.recv.in.results.first != nil || c.move != nil {
		moved.move = &move{conn: c}
	}
	moved.recv.err, moved.recv.filesCome = c.recv.err, c.recv.filesCome
	var unread [][]byte
	for c.recv.in.unread.Len() > 0 {
		b := c.recv.in.pop(&c.loop.streams)
		unread = append(unread, append([]byte(nil), b.Bytes()...))
		b.lease.End()
	}
	c.send.err = c.opError("write", ErrMoved)
	c.movedAway = true
	// Behind what is ready, so that the registration of the old number is gone
	// before the new one is used.
	c.beginEnd()
	if !m.to.Do(func() { moved.arrive(unread, m.promise) }) {
		moved.lost()
		m.promise.Fail(c.opError("move", errShutdownDone))
	}
}

// arrive is the other end of the move, on the new loop.
func (c *Conn) arrive(unread [][]byte, p *futures.Promise[*Conn]) {
	c.join()
	for _, data := range unread {
		c.recv.in.unread.Push(&c.loop.streams.unread, bufferOf(c.loop.buffers.Own(data, &c.account)))
		c.recv.in.bytes += int32(len(data))
	}
	switch {
	case c.loop.stopping():
		c.abort(c.closedError("write"))
	case len(c.loop.draining) > 0:
		c.stopReceiving()
	}
	if !p.Resolve(c) {
		c.beginClose() // nobody to take it
	}
}

// lost closes a connection whose new loop has ended.
func (c *Conn) lost() {
	sockets.Close(c.fd)
	if c.acceptor != nil {
		c.acceptor.left()
	}
}

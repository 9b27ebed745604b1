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
// ended c's sending, or because the runtime shuts down. Canceling does nothing: a Move ends with the sends
// before it. Moving to c's own loop moves too.
func (c *Conn) Move(to *Loop) futures.Future[*Conn] {
	p := futures.NewPromise[*Conn]()
	p.SetCanceler(futures.CancelFunc(func() {}))
	if to == nil {
		return futures.Failed[*Conn](c.opError("move", fmt.Errorf("to no loop: %w", syscall.EINVAL)))
	}
	m := &move{conn: c, to: loopArrival{to, p}}
	if !c.loop.engine.Perform(m.begin) {
		p.Fail(c.closedError("move"))
	}
	return p.Future()
}

// move is one under way, to another loop or off all of them. It holds both sides
// of the connection, as a chain does; when the queue has let go of it, it takes it
// along.
type move struct {
	conn   *Conn
	to     destination
	before *move // that brought conn to its loop, if any
}

// departure is where the socket of a Conn has gone.
type departure uint8

const (
	stays departure = iota
	moved
	detached
)

// reason is what operations on the connection that was left fail with.
func (d departure) reason() error {
	switch d {
	case moved:
		return ErrMoved
	case detached:
		return ErrDetached
	}
	return nil
}

// destination is where a connection moves to. All methods run on the loop that it
// leaves.
type destination interface {
	// op names the operation in errors.
	op() string
	// departure says where the connection has gone.
	departure() departure
	// prepare makes what takes the connection over. When it fails the connection
	// stays.
	prepare(c *Conn) (taker, error)
	// fail tells that the connection stays.
	fail(err error)
}

// taker takes over a connection that its old Conn has let go of, with what had come
// in and nobody had read.
type taker interface {
	take(unread [][]byte)
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
		m.to.fail(err)
		return
	}
	switch {
	case c.isMoving():
		m.to.fail(c.opError(m.to.op(), errMoving))
		return
	case c.recv.claim != nil:
		m.to.fail(c.misused(m.to.op(), errChainWaiting))
		return
	}
	m.before, c.move = c.move, m
	c.recv.expire(c.opError("read", m.to.departure().reason()))
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
	var to taker
	err := c.send.err
	if err == nil {
		to, err = m.to.prepare(c)
	}
	if err != nil {
		c.loop.engine.Later(func() { m.to.fail(err) })
		c.recv.arm()
		return
	}
	var unread [][]byte
	for c.recv.in.unread.Len() > 0 {
		b := c.recv.in.pop(&c.loop.streams)
		unread = append(unread, append([]byte(nil), b.Bytes()...))
		b.lease.End()
	}
	c.departed = m.to.departure()
	c.send.err = c.opError("write", c.departed.reason())
	// Behind what is ready, so that the registration of the old number is gone
	// before the new one is used.
	c.beginEnd()
	to.take(unread)
}

// movedTo is why c takes no operation any more, or none for now: it was moved, or is
// being moved. Else it is nil.
func (c *Conn) movedTo() error {
	if c.isMoving() {
		return c.move.to.departure().reason()
	}
	return c.departed.reason()
}

// loopArrival is another loop as a destination.
type loopArrival struct {
	loop    *Loop
	promise *futures.Promise[*Conn]
}

func (a loopArrival) op() string           { return "move" }
func (a loopArrival) departure() departure { return moved }
func (a loopArrival) fail(err error)       { a.promise.Fail(err) }

func (a loopArrival) prepare(c *Conn) (taker, error) {
	if len(c.loop.draining) > 0 { // the other loop may believe itself empty already
		return nil, c.opError("move", errShutdownDone)
	}
	fd, err := sockets.DuplicateNumber(c.fd)
	if err != nil {
		return nil, c.opError("move", err)
	}
	there := a.loop.newConn(fd, c.network)
	there.acceptor, c.acceptor, there.dialed = c.acceptor, nil, c.dialed
	if c.recv.in.results.first != nil || c.move != nil {
		there.move = &move{conn: c}
	}
	there.recv.err, there.recv.filesCome = c.recv.err, c.recv.filesCome
	return &arrival{there, a.promise}, nil
}

// arrival is a connection on its way to another loop.
type arrival struct {
	conn    *Conn
	promise *futures.Promise[*Conn]
}

func (a *arrival) take(unread [][]byte) {
	if !a.conn.loop.Do(func() { a.conn.arrive(unread, a.promise) }) {
		a.conn.lost()
		a.promise.Fail(a.conn.opError("move", errShutdownDone))
	}
}

// arrive is the other end of the move, on the new loop.
func (c *Conn) arrive(unread [][]byte, p *futures.Promise[*Conn]) {
	c.join()
	c.bring(unread)
	switch {
	case c.loop.stopping():
		c.abort(c.closedError("write"))
	case len(c.loop.draining) > 0 && !c.dialed:
		c.stopReceiving()
	}
	if !p.Resolve(c) {
		c.beginClose() // nobody to take it
	}
}

// bring puts data in front of what will be received.
func (c *Conn) bring(unread [][]byte) {
	for _, data := range unread {
		c.recv.in.unread.Push(&c.loop.streams.unread, bufferOf(c.loop.buffers.Own(data, &c.account)))
		c.recv.in.bytes += int32(len(data))
	}
}

// lost closes a connection whose new loop has ended.
func (c *Conn) lost() {
	c.leave()
	sockets.Close(c.fd)
	if c.acceptor != nil {
		c.acceptor.left(c)
	}
}

package proactor

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// ErrMoved is the error of operations on a connection that was moved to another loop;
// errors.Is finds net.ErrClosed in it, too.
var ErrMoved error = movedError{}

type movedError struct{}

func (movedError) Error() string        { return "proactor: the connection was moved to another loop" }
func (movedError) Is(target error) bool { return errors.Is(ErrClosed, target) }

var errMoving = errors.New("proactor: the connection is being moved already")

// Move moves the connection to another loop. The future resolves with the Conn that
// stands for it there; c is unusable from then on, its operations fail with ErrMoved.
//
// Nothing is lost and the order stays: what c has queued is sent first, what it
// has received and nobody has taken is received first by the new Conn. After CloseWrite
// the new Conn can only receive, too.
// A Recv of c that has received data keeps it for whoever takes its result. One that
// waits, and a handler of OnRecv, end with ErrMoved. Deadlines
// and other limits are not moved with it. Its place in the listener's limit is.
//
// A Move that fails leaves c as it was, but ends the receives that waited. It fails
// with syscall.EMFILE if there is no descriptor for the duplicate that it needs, with the
// error that ended c's sending unless that is syscall.EPIPE, after which c can still
// receive, or because the runtime shuts down. A Move waits until the
// peer has taken enough for the sends before it; one that is canceled while it waits has
// failed with futures.ErrCanceled. A Move to c's own loop makes a new Conn, too.
func (c *Conn) Move(to *Loop) futures.Future[*Conn] {
	if to == nil {
		return futures.Failed[*Conn](c.opError("move", fmt.Errorf("to a nil loop: %w", syscall.EINVAL)))
	}
	p := futures.NewPromise[*Conn]()
	m := &move{conn: c, to: loopArrival{to, p}}
	p.SetCanceler(m)
	if !c.loop.engine.Perform(m.begin) {
		p.Fail(c.closedError("move"))
	}
	return p.Future()
}

// move is a Move or Detach under way. It claims both sides of the connection, as a
// chain does, and takes the socket when no operation is in flight on it.
type move struct {
	conn   *Conn
	to     destination
	before *move // the one that brought conn to its loop, if any
}

// departure is where the socket of a Conn was moved.
type departure uint8

const (
	stays departure = iota
	moved
	detached
)

// reason is the error of operations on the Conn after that.
func (d departure) reason() error {
	switch d {
	case moved:
		return ErrMoved
	case detached:
		return ErrDetached
	}
	return nil
}

// destination is where a connection is moved. All methods run on its old loop.
type destination interface {
	// op names the operation in errors.
	op() string
	// departure is what the old Conn notes.
	departure() departure
	// prepare makes the taker. If it fails the connection stays.
	prepare(c *Conn) (taker, error)
	// fail is called if the connection stays.
	fail(err error)
}

// taker takes over the socket of a connection that has nothing in flight, with the
// data that was received and not read.
type taker interface {
	take(unread []unreadData)
}

// isMoving reports whether a Move of c is under way.
func (c *Conn) isMoving() bool {
	m := c.move()
	return m != nil && m.conn == c
}

// move is the Move under way, or the one that brought c here.
func (c *Conn) move() *move {
	if c.limits == nil {
		return nil
	}
	return c.limits.move
}

func (c *Conn) setMove(m *move) { c.limited().move = m }

// reclaim releases received data that nobody has taken, of c and of the Conns that
// stood for it before it was moved.
func (c *Conn) reclaim() {
	c.recv.in.results.reclaim()
	if m := c.move(); m != nil && m.conn != c {
		m.conn.loop.engine.Perform(m.conn.reclaim)
	}
}

func (m *move) begin() {
	c := m.conn
	if err := c.send.over(); err != nil && !(c.state == connOpen && c.send.isBroken()) {
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
	m.before = c.move()
	c.setMove(m)
	c.recv.end(c.opError("read", m.to.departure().reason()))
	if c.recv.armed && !c.recv.pausing && c.recv.direct == nil {
		c.recv.pausing = true
		c.recv.halt()
	}
	if c.recv.watching {
		c.loop.engine.CancelSlot(c.recv.hangupSlot)
	}
	c.settled()
}

// Cancel implements futures.Canceler, on any goroutine.
func (m *move) Cancel() { m.conn.loop.engine.Perform(m.withdraw) }

// withdraw ends a move that waits for the sends before it.
func (m *move) withdraw() {
	c := m.conn
	if c.move() != m {
		return // it has the socket, or has failed
	}
	c.setMove(m.before)
	m.to.fail(futures.ErrCanceled)
	c.recv.arm()
}

// ready gives the socket to the taker, now that nothing is in flight on it.
func (m *move) ready() {
	c := m.conn
	c.setMove(m.before)
	var to taker
	err := c.send.err
	if err == nil || c.send.isBroken() {
		to, err = m.to.prepare(c)
	}
	if err != nil {
		c.loop.engine.Later(func() { m.to.fail(err) })
		c.recv.arm()
		return
	}
	c.departed = m.to.departure()
	if c.departed == detached { // there is no Conn any more that stands for the results
		takeBack(receiving[Buffer](&c.recv))
	}
	unread := c.takeUnread()
	c.send.err = c.opError("write", c.departed.reason())
	// End the old descriptor first: the queue must have forgotten it before the
	// new one is used.
	c.beginEnd()
	to.take(unread)
}

// withEarlier calls then with the results that nobody has taken of the Conns that stood for
// c before it was moved, and unread behind them. It is called once, on any loop.
func (c *Conn) withEarlier(unread []unreadData, then func([]unreadData)) {
	m := c.move()
	if m == nil || m.conn == c {
		then(unread)
		return
	}
	earlier := m.conn
	ok := earlier.loop.engine.Perform(func() {
		takeBack(receiving[Buffer](&earlier.recv))
		earlier.withEarlier(append(earlier.takeUnread(), unread...), then)
	})
	if !ok {
		then(unread)
	}
}

// takeUnread copies what was received and nobody has taken.
func (c *Conn) takeUnread() (all []unreadData) {
	for c.recv.in.unread.Len() > 0 {
		b := c.recv.in.pop(&c.loop.streams)
		all = append(all, unreadData{append([]byte(nil), b.lease.Data()...), b.lease.Whole()})
		b.lease.End()
	}
	return all
}

// movedTo is the error of operations if c was moved or is being moved, else nil.
func (c *Conn) movedTo() error {
	if c.isMoving() {
		return c.move().to.departure().reason()
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
	if len(c.loop.draining) > 0 { // the other loop may have reported already that it is empty
		return nil, c.opError("move", errShutdownDone)
	}
	fd, err := sockets.DuplicateNumber(c.fd)
	if err != nil {
		return nil, c.opError("move", err)
	}
	there := c.successor(a.loop, fd)
	there.acceptor, c.acceptor = c.acceptor, nil
	if c.recv.in.results.first != nil {
		there.setMove(&move{conn: c})
	}
	return &arrival{there, a.promise}, nil
}

// successor is the Conn that is to stand for c on another loop. fd is a duplicate of c's
// descriptor.
func (c *Conn) successor(on *Loop, fd int) *Conn {
	there := on.newConn(fd, c.network())
	there.recv.dialed = c.recv.dialed
	if c.move() != nil {
		there.setMove(&move{conn: c})
	}
	there.recv.err, there.recv.filesCome = c.recv.err, c.recv.filesCome
	if h := c.send.halfClosed(); h != nil {
		there.limited().ending.halfClose = &halfClose{conn: there, started: true, ended: true, err: h.err}
	}
	return there
}

// arrival is a connection that is posted to its new loop.
type arrival struct {
	conn    *Conn
	promise *futures.Promise[*Conn]
}

func (a *arrival) take(unread []unreadData) {
	if !a.conn.loop.Do(func() { a.conn.arrive(unread, a.promise) }) {
		a.conn.lost()
		a.promise.Fail(a.conn.opError("move", errShutdownDone))
	}
}

// arrive makes the new Conn, on the new loop.
func (c *Conn) arrive(unread []unreadData, p *futures.Promise[*Conn]) {
	c.settle(unread)
	if !p.Resolve(c) {
		c.beginClose() // nobody awaits it
	}
}

// settle makes c a connection of its loop. unread is data that was received before.
func (c *Conn) settle(unread []unreadData) {
	c.join()
	c.bring(unread)
	switch {
	case c.loop.stopping():
		c.abort(c.closedError("write"))
	case len(c.loop.draining) > 0 && !c.recv.dialed:
		c.stopReceiving()
	}
}

// bring puts data in front of what is received later.
func (c *Conn) bring(unread []unreadData) {
	for _, u := range unread {
		l := c.loop.buffers.Own(u.data, &c.account)
		l.SetWhole(u.whole)
		c.recv.in.unread.Push(&c.loop.streams.unread, bufferOf(l))
		c.recv.in.bytes += int32(len(u.data))
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

package proactor

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// ErrDetached is what operations on something fail with once Detach has taken it off
// its loop; net.ErrClosed finds it too.
var ErrDetached error = detachedError{}

type detachedError struct{}

func (detachedError) Error() string        { return "proactor: detached from its loop" }
func (detachedError) Is(target error) bool { return errors.Is(ErrClosed, target) }

// Detach takes the connection off its loop and returns it as package net has it: a
// *net.TCPConn or *net.UnixConn, with everything that other libraries ask of one. It
// is for what runs on goroutines: there it costs what a connection of package net
// does, while each Read and Write of a NetConn wakes a loop and the goroutine again.
// Runtime.Adopt is the way back. c is over then, and its operations fail with
// ErrDetached.
//
// Nothing is lost and the order stays: what c has queued is sent first. What it has
// received and nobody has taken comes first from Read and WriteTo of the net.Conn,
// which is then of a type that embeds the *net.TCPConn or *net.UnixConn. SyscallConn
// and File of that one pass by what was received. A connection on which nothing was
// received, or all of it taken, is always the genuine type.
//
// A Recv that waits on c, and a handler of OnRecv, end with ErrDetached. Deadlines are
// not taken along, and a place in the listener's limit is given back. The net.Conn
// outlives the runtime.
//
// Detach waits for the sends before it: as a task on a loop it gives way to the loop,
// in a callback the error is futures.ErrNoTask. A Detach that fails leaves c as it was,
// but for those that waited to receive: with syscall.EMFILE when there is no
// descriptor for the hand-over, with what ended c's sending, with ErrClosed, or with
// syscall.ENOTSUP for what is no socket.
func (c *Conn) Detach() (net.Conn, error) {
	if c.medium == file {
		return nil, c.opError("detach", syscall.ENOTSUP)
	}
	if err := c.loop.rt.mayWait(); err != nil {
		return nil, c.opError("detach", err)
	}
	d := &detachment{conn: c, promise: futures.NewPromise[net.Conn]()}
	d.promise.SetCanceler(futures.CancelFunc(func() {}))
	m := &move{conn: c, to: d}
	if !c.loop.engine.Perform(m.begin) {
		d.promise.Fail(c.closedError("detach"))
	}
	return d.promise.Future().Await(context.Background())
}

// mayWait is why the caller must not wait: it is a callback of a loop.
func (rt *Runtime) mayWait() error {
	if l := rt.currentLoop(); l != nil && l.engine.Tasks().Current() == nil {
		return futures.ErrNoTask
	}
	return nil
}

// detachment is a Detach as a destination.
type detachment struct {
	conn    *Conn
	promise *futures.Promise[net.Conn]
	taken   net.Conn
	failure error // of receiving, behind what is unread
}

func (d *detachment) op() string           { return "detach" }
func (d *detachment) departure() departure { return detached }
func (d *detachment) fail(err error)       { d.promise.Fail(err) }

func (d *detachment) prepare(c *Conn) (taker, error) {
	conn, err := sockets.NetConn(c.fd)
	if err != nil {
		return nil, c.opError("detach", err)
	}
	d.taken, d.failure = conn, c.recv.err
	return d, nil
}

// take implements taker. The net.Conn is there for its caller when the descriptor that
// it was is closed: else closing it would not end the connection.
func (d *detachment) take(unread [][]byte) {
	d.taken = withUnread(d.taken, unread, d.failure)
	d.conn.Closed().Then(func(struct{}, error) { d.promise.Resolve(d.taken) })
}

// Unread gives back what was received: the next Recv has it again, before all else
// that comes in, and so does the net.Conn of a Detach. A handler that has seen from
// the first bytes that a connection is not its own can so hand it on. The lease goes
// with it. Several that are given back come in the opposite order, the last first.
//
// It is called on the connection's loop, elsewhere it may come behind a receive that
// is under way.
func (c *Conn) Unread(b Buffer) {
	if b.lease == nil {
		return
	}
	b = b.take("Unread")
	ok := c.loop.engine.Perform(func() {
		c.recv.putBack(b)
		c.recv.serveUnread()
	})
	if !ok {
		b.lease.EndAnywhere()
	}
}

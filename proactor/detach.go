package proactor

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// ErrDetached is the error of operations on a Conn or PacketConn after Detach; errors.Is
// finds net.ErrClosed in it, too.
var ErrDetached error = detachedError{}

type detachedError struct{}

func (detachedError) Error() string        { return "proactor: detached from its loop" }
func (detachedError) Is(target error) bool { return errors.Is(ErrClosed, target) }

// Detach takes the connection off its loop and returns it as a connection of package
// net: a *net.TCPConn or *net.UnixConn, with all methods that other libraries use. It is
// for code that runs on goroutines: there it costs what a connection of package net
// does, while each Read and Write of a NetConn wakes a loop and then the goroutine.
// Runtime.Adopt is the opposite. c is unusable from then on, its operations fail with
// ErrDetached.
//
// Nothing is lost and the order stays: what c has queued is sent first. Data that c has
// received and nobody has taken comes first from Read and WriteTo of the net.Conn,
// which is then of a type that embeds the *net.TCPConn or *net.UnixConn. SyscallConn
// and File of that type do not see this data. If there is none, the result is the
// *net.TCPConn or *net.UnixConn itself.
//
// That is also the data of a Recv whose result nobody has taken; the future then fails
// with an error that is ErrClosed. A message of a "unixpacket" connection that did not fit
// its buffer has its beginning come, with syscall.EMSGSIZE.
//
// A Recv that waits on c, and a handler of OnRecv, end with ErrDetached. Deadlines are
// not kept, and the place in the listener's limit becomes free. The net.Conn can be used
// after the end of the runtime.
//
// Detach waits for the sends before it: a task gives way to its loop meanwhile, in a
// callback the error is futures.ErrNoTask. A Detach that fails leaves c as it was, but
// ends the receives that waited. It fails with syscall.EMFILE if there is no descriptor
// for the duplicate that it needs, with the error that ended c's sending unless that is
// syscall.EPIPE, with ErrClosed, or with syscall.ENOTSUP if c is no socket.
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

// mayWait returns an error if the caller is a callback of a loop, which must not wait.
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
	failure error // of receiving, reported after what is unread
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

// take implements taker. The caller gets the net.Conn only when c's descriptor is closed:
// before that a Close of the net.Conn would not end the connection.
func (d *detachment) take(unread []unreadData) {
	d.conn.withEarlier(unread, func(all []unreadData) {
		d.taken = withUnread(d.taken, all, d.failure)
		d.conn.Closed().Then(func(struct{}, error) { d.promise.Resolve(d.taken) })
	})
}

// Unread gives b back to the connection, which takes over the lease. The next Recv, or
// the net.Conn of a Detach, receives it again before everything else. So a handler can
// look at the first bytes and then pass the connection on. Of several Buffers, the one
// given back last is received first.
//
// Call it on the connection's loop; from elsewhere it may be overtaken by a receive that
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

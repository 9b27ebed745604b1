package proactor

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// rawConn is access to a socket for system calls. A function of the user gets a duplicate
// of the descriptor, so that it may block, or call the connection's methods.
type rawConn struct {
	loop        *Loop
	ctx         context.Context // that Read and Write await with
	duplicate   func() (fd int, err error)
	state       *connState
	deadline    func(Events) *deadline // that limits waiting for them; called on the loop
	lock        *sync.Mutex
	nonblocking *nonblocking
	flushed     func() futures.Future[struct{}]
	fail        func(op string, cause error) error
}

func (c *Conn) rawConn(ctx context.Context) *rawConn {
	fail := func(op string, cause error) error { return c.opError(op, cause) }
	limit := func(ready Events) *deadline {
		if ready == Readable {
			return &c.limited().read
		}
		return &c.limited().write
	}
	return &rawConn{c.loop, ctx, c.duplicate, &c.state, limit, &c.naming, &c.nonblocking, c.flushed, fail}
}

func (c *PacketConn) rawConn(ctx context.Context) *rawConn {
	fail := func(op string, cause error) error { return c.opError(op, cause) }
	flushed := func() futures.Future[struct{}] { return futures.Future[struct{}]{} }
	limit := func(ready Events) *deadline {
		if ready == Readable {
			return &c.reading
		}
		return &c.writing
	}
	return &rawConn{c.loop, ctx, c.duplicate, &c.state, limit, &c.using, &c.nonblocking, flushed, fail}
}

// SyscallConn implements syscall.Conn, for socket options or to test whether the peer has
// closed. In a function of Read or Write the descriptor is non-blocking, as with package
// net, and Close and the deadlines end Read and Write; the functions of several calls may
// run at the same time. The connection receives what the
// peer sends by itself: a function of Read may find nothing although the socket was
// readable.
func (n *netConn) SyscallConn() (syscall.RawConn, error) {
	if n.conn.shut.Load() {
		return nil, n.conn.closedError("raw-control")
	}
	return n.conn.rawConn(n.ctx), nil
}

// SyscallConn implements syscall.Conn, see Conn.NetConn.
func (n *netPacketConn) SyscallConn() (syscall.RawConn, error) {
	if n.conn.shut.Load() {
		return nil, n.conn.closedError("raw-control")
	}
	return n.conn.rawConn(n.ctx), nil
}

// File is a duplicate of the socket, as (*net.TCPConn).File makes one. The caller closes
// it. It shares the blocking mode with the connection, which must not be changed.
func (n *netConn) File() (*os.File, error) {
	if _, err := n.conn.flushed().Await(n.ctx); err != nil {
		return nil, n.conn.asOpError("file", err)
	}
	return fileOf(n.conn.duplicate, n.conn.network(), n.conn.asOpError)
}

// File is a duplicate of the socket, as (*net.UDPConn).File makes one.
func (n *netPacketConn) File() (*os.File, error) {
	return fileOf(n.conn.duplicate, n.conn.network, n.conn.asOpError)
}

func fileOf(duplicate func() (int, error), name string, fail func(string, error) error) (*os.File, error) {
	fd, err := duplicate()
	if err != nil {
		return nil, fail("file", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	fd, err := r.duplicate()
	if err != nil {
		return r.fail("raw-control", err)
	}
	defer sockets.Close(fd)
	f(uintptr(fd))
	return nil
}

// Read implements syscall.RawConn.
func (r *rawConn) Read(f func(fd uintptr) bool) error { return r.until("raw-read", Readable, f) }

// Write implements syscall.RawConn. What Writes of the net.Conn have returned for goes
// first.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	if _, err := r.flushed().Await(r.ctx); err != nil {
		return r.fail("raw-write", err)
	}
	return r.until("raw-write", Writable, f)
}

// until calls f each time that the socket is ready, until f returns true.
func (r *rawConn) until(op string, ready Events, f func(fd uintptr) bool) error {
	fd, err := r.duplicate()
	if err != nil {
		return r.fail(op, err)
	}
	defer sockets.Close(fd)
	// Behind the deadlines that the caller has set before.
	if _, err := r.limited(ready, func(p *futures.Promise[Events]) { p.Resolve(0) }).Await(r.ctx); err != nil {
		return r.fail(op, err)
	}
	for !r.withoutBlocking(fd, f) {
		if _, err := futures.Race(r.loop.Poll(fd, ready), r.end(ready)).Await(r.ctx); err != nil {
			return r.fail(op, err)
		}
	}
	return nil
}

// end fails when the connection is closed, or the deadline for ready passes.
func (r *rawConn) end(ready Events) futures.Future[Events] {
	return r.limited(ready, func(p *futures.Promise[Events]) {
		if p.Pending() { // a cancel by the loop overtakes what others post
			d := r.deadline(ready)
			d.ends = append(d.ends, p)
		}
	})
}

// limited fails if the connection is closed or the deadline for ready has passed. Else it
// is what open, which runs on the loop, makes of it.
func (r *rawConn) limited(ready Events, open func(*futures.Promise[Events])) futures.Future[Events] {
	p := futures.NewPromise[Events]()
	p.SetCanceler(futures.CancelFunc(func() { r.loop.engine.Perform(func() { r.deadline(ready).leave(p) }) }))
	ok := r.loop.engine.Perform(func() {
		switch {
		case *r.state == connClosed:
			p.Fail(ErrClosed)
		case r.deadline(ready).passed:
			p.Fail(errTimeout)
		default:
			open(p)
		}
	})
	if !ok {
		p.Fail(ErrClosed)
	}
	return p.Future()
}

// withoutBlocking calls f while the socket is non-blocking. Operations that the loop
// begins meanwhile end with EAGAIN, and are tried again when the socket is ready.
func (r *rawConn) withoutBlocking(fd int, f func(fd uintptr) bool) bool {
	r.nonblocking.enter(r.lock, fd)
	defer r.nonblocking.leave(r.lock, fd)
	return f(uintptr(fd))
}

// nonblocking counts those for whom a socket is non-blocking. The lock of the descriptor
// guards it, which is held for a system call or two, never while a function of the program
// runs: that may take its time, or await what only the loop can bring. The loop's own calls
// that must not wait hold the lock: the socket does not become blocking meanwhile.
type nonblocking struct {
	users   int16
	changed bool // it was blocking before
}

// enter makes the socket of a descriptor non-blocking until as many have left.
func (n *nonblocking) enter(lock *sync.Mutex, fd int) {
	lock.Lock()
	defer lock.Unlock()
	if n.users == 0 {
		n.changed = sockets.SetBlocking(fd, false)
	}
	n.users++
}

// leave may come with another descriptor of the socket.
func (n *nonblocking) leave(lock *sync.Mutex, fd int) {
	lock.Lock()
	defer lock.Unlock()
	if n.users--; n.users == 0 && n.changed {
		sockets.SetBlocking(fd, true)
	}
}

// duplicate duplicates the connection's descriptor.
func (c *Conn) duplicate() (fd int, err error) {
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone || c.shut.Load() {
		return -1, ErrClosed
	}
	return sockets.DuplicateNumber(c.fd)
}

// duplicate duplicates the socket's descriptor.
func (c *PacketConn) duplicate() (fd int, err error) {
	c.using.Lock()
	defer c.using.Unlock()
	if c.gone || c.shut.Load() {
		return -1, ErrClosed
	}
	return sockets.DuplicateNumber(c.fd)
}

var (
	_ net.Conn     = (*netConn)(nil)
	_ syscall.Conn = (*netConn)(nil)
	_ syscall.Conn = (*netPacketConn)(nil)
)

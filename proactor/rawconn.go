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
	closed      func() futures.Future[struct{}]
	nonblocking *sync.Mutex // held while the socket is non-blocking
	flushed     func() futures.Future[struct{}]
	fail        func(op string, cause error) error
}

func (c *Conn) rawConn(ctx context.Context) *rawConn {
	fail := func(op string, cause error) error { return c.opError(op, cause) }
	return &rawConn{c.loop, ctx, c.duplicate, c.Closed, &c.nonblocking, c.flushed, fail}
}

func (c *PacketConn) rawConn(ctx context.Context) *rawConn {
	fail := func(op string, cause error) error { return c.opError(op, cause) }
	flushed := func() futures.Future[struct{}] { return futures.Future[struct{}]{} }
	return &rawConn{c.loop, ctx, c.duplicate, c.Closed, &c.nonblocking, flushed, fail}
}

// SyscallConn implements syscall.Conn, for socket options or to test whether the peer has
// closed. In a function of Read or Write the descriptor is non-blocking, as with package
// net. Deadlines do not end Read and Write while they wait, Close does.
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
	return fileOf(n.conn.duplicate, n.conn.network, n.conn.asOpError)
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
	for !r.withoutBlocking(fd, f) {
		closed := futures.Map(r.closed(), func(struct{}) (Events, error) { return 0, ErrClosed })
		if _, err := futures.Race(r.loop.Poll(fd, ready), closed).Await(r.ctx); err != nil {
			return r.fail(op, err)
		}
	}
	return nil
}

// withoutBlocking calls f while the socket is non-blocking. Operations that the loop
// begins meanwhile end with EAGAIN, and are tried again when the socket is ready.
func (r *rawConn) withoutBlocking(fd int, f func(fd uintptr) bool) bool {
	r.nonblocking.Lock()
	defer r.nonblocking.Unlock()
	if sockets.SetBlocking(fd, false) {
		defer sockets.SetBlocking(fd, true)
	}
	return f(uintptr(fd))
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

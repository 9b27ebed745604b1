package proactor

import (
	"context"
	"net"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// rawConn is access to a connection's socket. A function of its user gets another
// descriptor for the same socket, so that it may take its time, or call the
// connection's methods.
type rawConn struct {
	conn *Conn
	ctx  context.Context // that Read and Write await with
}

// SyscallConn implements syscall.Conn: for options, and to look whether the peer has
// hung up. What Read and Write pass to a function does not wait, as with package
// net. Deadlines do not end their waiting, Close does.
func (n *netConn) SyscallConn() (syscall.RawConn, error) {
	if n.conn.shut.Load() {
		return nil, n.conn.closedError("raw-control")
	}
	return &rawConn{n.conn, n.ctx}, nil
}

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	fd, err := r.conn.duplicate()
	if err != nil {
		return r.conn.opError("raw-control", err)
	}
	defer sockets.Close(fd)
	f(uintptr(fd))
	return nil
}

// Read implements syscall.RawConn.
func (r *rawConn) Read(f func(fd uintptr) bool) error { return r.until("raw-read", Readable, f) }

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) bool) error { return r.until("raw-write", Writable, f) }

// until calls f until it is content, each time that the socket is ready.
func (r *rawConn) until(op string, ready Events, f func(fd uintptr) bool) error {
	c := r.conn
	fd, err := c.duplicate()
	if err != nil {
		return c.opError(op, err)
	}
	defer sockets.Close(fd)
	for !r.impatiently(fd, f) {
		closed := futures.Map(c.Closed(), func(struct{}) (Events, error) { return 0, ErrClosed })
		if _, err := futures.Race(c.loop.Poll(fd, ready), closed).Await(r.ctx); err != nil {
			return c.opError(op, err)
		}
	}
	return nil
}

// impatiently calls f while the socket is non-blocking. What the loop begins
// meanwhile is refused (EAGAIN), and tried again when the socket is ready.
func (r *rawConn) impatiently(fd int, f func(fd uintptr) bool) bool {
	r.conn.impatient.Lock()
	defer r.conn.impatient.Unlock()
	if sockets.SetBlocking(fd, false) {
		defer sockets.SetBlocking(fd, true)
	}
	return f(uintptr(fd))
}

// duplicate is another descriptor for the connection's file.
func (c *Conn) duplicate() (fd int, err error) {
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone || c.shut.Load() {
		return -1, ErrClosed
	}
	return sockets.DuplicateNumber(c.fd)
}

var (
	_ net.Conn     = (*netConn)(nil)
	_ syscall.Conn = (*netConn)(nil)
)

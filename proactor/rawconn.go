package proactor

import (
	"context"
	"os"
	"sync"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// SyscallConn implements syscall.Conn. Control calls its function with the descriptor,
// which must not be closed or kept. Read and Write await that the socket is ready and
// call theirs until it returns true; the socket is non-blocking meanwhile. Deadlines do
// not end them.
func (n *netConn) SyscallConn() (syscall.RawConn, error) {
	c := n.conn
	return &rawConn{loop: c.loop, ctx: n.ctx, fd: c.fd, mu: &c.naming, gone: &c.gone, fail: c.asOpError}, nil
}

// File is a copy of the socket, as (*net.TCPConn).File makes one. It is the caller's to
// close, and shares the blocking mode with the connection, which must stay as it is.
func (n *netConn) File() (*os.File, error) {
	c := n.conn
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone {
		return nil, c.asOpError("file", ErrClosed)
	}
	f, err := sockets.File(c.fd, c.network)
	if err != nil {
		return nil, c.asOpError("file", err)
	}
	return f, nil
}

// SyscallConn implements syscall.Conn, see Conn.NetConn.
func (n *netPacketConn) SyscallConn() (syscall.RawConn, error) {
	c := n.conn
	return &rawConn{loop: c.loop, ctx: n.ctx, fd: c.fd, mu: &c.using, gone: &c.gone, fail: c.asOpError}, nil
}

// File is a copy of the socket, as (*net.UDPConn).File makes one.
func (n *netPacketConn) File() (*os.File, error) {
	c := n.conn
	c.using.Lock()
	defer c.using.Unlock()
	if c.gone {
		return nil, c.asOpError("file", ErrClosed)
	}
	f, err := sockets.File(c.fd, c.network)
	if err != nil {
		return nil, c.asOpError("file", err)
	}
	return f, nil
}

// rawConn is a descriptor for those who make system calls of their own.
type rawConn struct {
	loop *Loop
	ctx  context.Context
	fd   int
	mu   *sync.Mutex // keeps the descriptor ours
	gone *bool       // it is not any more; guarded by mu
	fail func(op string, err error) error
}

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if *r.gone {
		return r.fail("raw-control", ErrClosed)
	}
	f(uintptr(r.fd))
	return nil
}

// Read implements syscall.RawConn.
func (r *rawConn) Read(f func(fd uintptr) bool) error { return r.until(f, Readable, "raw-read") }

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) bool) error { return r.until(f, Writable, "raw-write") }

// until calls f whenever the descriptor is ready, until it is content.
func (r *rawConn) until(f func(fd uintptr) bool, ready Events, op string) error {
	for {
		done := false
		err := r.Control(func(fd uintptr) {
			sockets.WithoutBlocking(r.fd, func() { done = f(fd) })
		})
		if err != nil || done {
			return err
		}
		if _, err := r.loop.Poll(r.fd, ready).Await(r.ctx); err != nil {
			return r.fail(op, err)
		}
	}
}

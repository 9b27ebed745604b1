package proactor

import (
	"context"
	"net"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// The settings of package net, under its names. A connection begins with net's defaults.
// Each is a system call that does not wait, made at once; any goroutine may call it.
// Errors are *net.OpError with Op "set": errors.Is finds net.ErrClosed when the
// connection is closed, syscall.EOPNOTSUPP or syscall.ENOPROTOOPT where the socket has no
// such option, and syscall.ENOTSOCK for what is no socket. For other options there is
// SetSocketOption.

// SetNoDelay sets whether small sends go out at once (TCP_NODELAY, tcp(7)). A TCP
// connection begins with true.
func (c *Conn) SetNoDelay(noDelay bool) error {
	return c.set(func(fd int) error { return sockets.SetNoDelay(fd, noDelay) })
}

// SetKeepAliveConfig sets whether and how the kernel probes a TCP peer that is silent
// (SO_KEEPALIVE, socket(7), tcp(7)), as (*net.TCPConn).SetKeepAliveConfig does.
func (c *Conn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	return c.set(func(fd int) error { return sockets.SetKeepAlive(fd, config) })
}

// SetReadBuffer sets the size in bytes of the kernel's buffer for data that was not
// received yet (SO_RCVBUF, socket(7)).
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.set(func(fd int) error { return sockets.SetReadBuffer(fd, bytes) })
}

// SetWriteBuffer sets the size in bytes of the kernel's buffer for data that the peer has
// not acknowledged yet (SO_SNDBUF, socket(7)).
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.set(func(fd int) error { return sockets.SetWriteBuffer(fd, bytes) })
}

// SetLinger sets what the kernel does at close with data that the peer has not
// acknowledged (SO_LINGER, socket(7)). With a negative sec, the default, the kernel sends it
// in the background; with 0 it drops it and sends a reset. With more than 0 the close(2)
// waits up to that many seconds, which blocks a worker of io_uring or, on the epoll
// backend, the loop.
func (c *Conn) SetLinger(sec int) error {
	return c.set(func(fd int) error { return sockets.SetLinger(fd, sec) })
}

// set makes a system call with the descriptor, which is not closed meanwhile.
func (c *Conn) set(option func(fd int) error) error {
	return c.setError("set", c.useDescriptor(option))
}

// useDescriptor calls option with the descriptor, unless the connection is closed.
func (c *Conn) useDescriptor(option func(fd int) error) error {
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone || c.shut.Load() {
		return ErrClosed
	}
	return option(c.fd)
}

func (c *Conn) setError(op string, err error) error {
	if err == nil {
		return nil
	}
	return c.opError(op, err)
}

// SyscallConn returns the connection for system calls of the program
// (syscall.RawConn). The functions get a duplicate of the descriptor, which is closed when
// they return. In a function of Read or Write the descriptor is non-blocking, as with
// package net; Read and Write wait, so only a goroutine or a task may call them.
// SyscallConn itself does not fail.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	return c.rawConn(context.Background()), nil
}

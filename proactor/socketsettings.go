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

// SetReadBuffer sets how many bytes the kernel keeps that were not received yet
// (SO_RCVBUF, socket(7)).
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.set(func(fd int) error { return sockets.SetReadBuffer(fd, bytes) })
}

// SetWriteBuffer sets how many bytes the kernel keeps that the peer did not take yet
// (SO_SNDBUF, socket(7)).
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.set(func(fd int) error { return sockets.SetWriteBuffer(fd, bytes) })
}

// SetLinger sets what becomes of data that the peer has not taken when the connection
// is closed (SO_LINGER, socket(7)): with a negative sec the kernel sends it in the
// background, which is the default; with 0 it is dropped, and the peer is sent a reset.
// With more the close(2) waits so many seconds, which holds up a worker of io_uring, or
// on the epoll backend the loop.
func (c *Conn) SetLinger(sec int) error {
	return c.set(func(fd int) error { return sockets.SetLinger(fd, sec) })
}

// set makes a system call with the descriptor, which stays the connection's meanwhile.
func (c *Conn) set(option func(fd int) error) error {
	c.naming.Lock()
	var err error = ErrClosed
	if !c.gone {
		err = option(c.fd)
	}
	c.naming.Unlock()
	return c.setError("set", err)
}

func (c *Conn) setError(op string, err error) error {
	if err == nil {
		return nil
	}
	return c.opError(op, err)
}

// SyscallConn returns the connection for system calls of the program's own
// (syscall.RawConn). Its functions are called with a descriptor of the same socket, a
// duplicate, which is closed when the function returns. What Read and Write pass to a
// function does not wait, as with package net; their waiting needs a goroutine or a task.
// SyscallConn itself does not fail.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	return c.rawConn(context.Background()), nil
}

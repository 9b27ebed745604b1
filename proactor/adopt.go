package proactor

import (
	"net"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// FileConn makes a connection of a copy of f's descriptor, as net.FileConn
// does: a stream or SOCK_SEQPACKET socket that is connected, an end of a pipe,
// or anything else that can be polled, such as a terminal, an eventfd, a
// timerfd, a signalfd or an inotify descriptor. f remains the caller's to close,
// but must not be used meanwhile: the copy shares its position and its
// blocking mode, and is made blocking.
//
// What is no socket is read(2) and written with write(2): a Recv is what one
// read brings, up to the size of a buffer.
//
// The connection belongs to the caller's loop, or to the next in turn. Errors
// are *net.OpError with Op "file"; errors.Is finds os.ErrClosed for a closed
// file, os.ErrInvalid for nil, syscall.ENOTSUP for a regular file or directory (those are for Open),
// a datagram socket or one that listens, and ErrClosed after Close.
func (rt *Runtime) FileConn(f *os.File) (*Conn, error) {
	if f == nil {
		return nil, &net.OpError{Op: "file", Net: "file", Err: os.ErrInvalid}
	}
	if rt.isClosing() {
		return nil, &net.OpError{Op: "file", Net: "file", Addr: fileAddr(f.Name()), Err: errShutdownDone}
	}
	fd, err := sockets.Duplicate(f)
	if err == nil {
		var network string
		if network, err = sockets.Adopt(fd); err == nil {
			return rt.connOf(fd, network)
		}
		sockets.Close(fd)
	}
	return nil, &net.OpError{Op: "file", Net: "file", Addr: fileAddr(f.Name()), Err: err}
}

// SocketPair makes two connections that are each other's peer (socketpair(2)):
// "unix" for a byte stream, "unixpacket" for messages.
func (rt *Runtime) SocketPair(network string) (one, other *Conn, err error) {
	if rt.isClosing() {
		return nil, nil, &net.OpError{Op: "socketpair", Net: network, Err: errShutdownDone}
	}
	p, err := sockets.Pair(network)
	if err != nil {
		return nil, nil, &net.OpError{Op: "socketpair", Net: network, Err: err}
	}
	return rt.pairOf(p, network)
}

func (rt *Runtime) pairOf(p [2]int, network string) (one, other *Conn, err error) {
	one, err = rt.connOf(p[0], network)
	if err != nil {
		sockets.Close(p[1])
		return nil, nil, err
	}
	if other, err = rt.connOf(p[1], network); err != nil {
		one.Abort()
		return nil, nil, err
	}
	return one, other, nil
}

// Credentials are who a process was when it connected or listened.
type Credentials struct {
	PID int
	UID int
	GID int
}

// PeerCredentials tells who is at the other end of a Unix socket: the process
// that connected to it, listened on it or made the pair (unix(7), SO_PEERCRED).
// Any goroutine may call it. On a socket that is not a Unix socket the
// credentials mean nothing: the error is syscall.ENOTSUP; after Close it is
// ErrClosed.
func (c *Conn) PeerCredentials() (Credentials, error) {
	if c.network != "unix" && c.network != "unixpacket" {
		return Credentials{}, c.opError("credentials", syscall.ENOTSUP)
	}
	pid, uid, gid, err := c.credentials()
	if err != nil {
		return Credentials{}, c.opError("credentials", err)
	}
	return Credentials{PID: pid, UID: uid, GID: gid}, nil
}

func (c *Conn) credentials() (pid, uid, gid int, err error) {
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone {
		return 0, 0, 0, ErrClosed
	}
	return sockets.PeerCredentials(c.fd)
}

package proactor

import (
	"net"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// FileConn makes a connection from a duplicate of f's descriptor, as net.FileConn
// does: a stream or SOCK_SEQPACKET socket that is connected, an end of a pipe,
// or anything else that can be polled, such as a terminal, an eventfd, a
// timerfd, a signalfd or an inotify descriptor. The caller closes f, but must not use
// it while the connection is open: the duplicate shares its position and its blocking
// mode, and is made blocking.
//
// A descriptor that is no socket is used with read(2) and write(2): a Recv is one
// read, up to the size of a buffer.
//
// The connection belongs to the caller's loop, or to the next in turn. Errors
// are *net.OpError with Op "file"; errors.Is finds os.ErrClosed for a closed
// file, os.ErrInvalid for nil, syscall.ENOTSUP for a regular file or directory (use Open),
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

// Credentials are those of a process when it connected or listened.
type Credentials struct {
	PID int
	UID int
	GID int
}

// PeerCredentials returns the credentials of the process at the other end of a Unix
// socket, which connected to it, listened on it or made the pair (unix(7),
// SO_PEERCRED). Any goroutine may call it. The error is syscall.ENOTSUP if it is not a
// Unix socket, and ErrClosed after Close.
func (c *Conn) PeerCredentials() (Credentials, error) {
	if c.network() != "unix" && c.network() != "unixpacket" {
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

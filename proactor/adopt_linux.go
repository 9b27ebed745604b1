package proactor

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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
	fd, err := duplicate(f)
	if err == nil {
		var network string
		if network, err = adoptable(fd); err == nil {
			if err = unix.SetNonblock(fd, false); err == nil {
				return rt.connOf(fd, network)
			}
			err = os.NewSyscallError("fcntl", err)
		}
		unix.Close(fd)
	}
	return nil, &net.OpError{Op: "file", Net: "file", Addr: fileAddr(f.Name()), Err: err}
}

// Pipe makes a pipe (pipe(2)) and returns its ends: what is sent to w, r
// receives. Closing w is the end of the stream for r; sending when r is closed
// fails with syscall.EPIPE. Both belong to the caller's loop, or to the next in
// turn.
func (rt *Runtime) Pipe() (r, w *Conn, err error) {
	// Not by IORING_OP_PIPE: the call does not wait, and the caller would have to wait
	// for a loop.
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return rt.pairOf(p, "pipe")
}

// SocketPair makes two connections that are each other's peer (socketpair(2)):
// "unix" for a byte stream, "unixpacket" for messages.
func (rt *Runtime) SocketPair(network string) (one, other *Conn, err error) {
	kind := unix.SOCK_STREAM
	switch network {
	case "unix":
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
	default:
		return nil, nil, &net.OpError{Op: "socketpair", Net: network, Err: net.UnknownNetworkError(network)}
	}
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &net.OpError{Op: "socketpair", Net: network, Err: os.NewSyscallError("socketpair", err)}
	}
	return rt.pairOf(p, network)
}

func (rt *Runtime) pairOf(p [2]int, network string) (one, other *Conn, err error) {
	one, err = rt.connOf(p[0], network)
	if err != nil {
		unix.Close(p[1])
		return nil, nil, err
	}
	if other, err = rt.connOf(p[1], network); err != nil {
		one.Abort()
		return nil, nil, err
	}
	return one, other, nil
}

// duplicate returns a descriptor of its own for f's file.
func duplicate(f syscall.Conn) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var errno error
	err = raw.Control(func(number uintptr) {
		fd, errno = unix.FcntlInt(number, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return -1, os.ErrClosed
	}
	return fd, os.NewSyscallError("fcntl", errno)
}

// adoptable names the network of a descriptor that can be a connection.
func adoptable(fd int) (network string, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return "", os.NewSyscallError("fstat", err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return socketNetwork(fd)
	case unix.S_IFIFO:
		return "pipe", nil
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK, unix.S_IFLNK:
		return "", fmt.Errorf("a regular file, directory or block device has no stream to wait for: use Open: %w", syscall.ENOTSUP)
	}
	return "file", nil
}

func socketNetwork(fd int) (string, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", os.NewSyscallError("getsockopt", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return "", os.NewSyscallError("getsockopt", err)
	}
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
		return "", fmt.Errorf("the socket listens: %w", syscall.ENOTSUP)
	}
	switch {
	case kind == unix.SOCK_STREAM && domain == unix.AF_UNIX:
		return "unix", nil
	case kind == unix.SOCK_STREAM:
		return "tcp", nil
	case kind == unix.SOCK_SEQPACKET && domain == unix.AF_UNIX:
		return "unixpacket", nil
	}
	return "", fmt.Errorf("a socket of type %d and domain %d is no stream: %w", kind, domain, syscall.ENOTSUP)
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
	c.naming.Lock()
	defer c.naming.Unlock()
	if c.gone {
		return Credentials{}, c.closedError("credentials")
	}
	cred, err := unix.GetsockoptUcred(c.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Credentials{}, c.opError("credentials", os.NewSyscallError("getsockopt", err))
	}
	return Credentials{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid)}, nil
}

// duplicateNumber returns another number for the same file.
func duplicateNumber(fd int) (int, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return dup, os.NewSyscallError("fcntl", err)
}

package sockets

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Listen opens n listening sockets on one address, or a single one where the
// network cannot share it. Errors are *net.OpError with Op "listen".
func Listen(network, address string, n, backlog int) (fds []int, addr net.Addr, err error) {
	defer func() {
		if err != nil {
			CloseAll(fds)
			fds = nil
		}
	}()
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return nil, nil, ListenError(network, nil, err)
		}
		for i := range n {
			fd, bound, err := listenTCP(network, a, backlog, i > 0)
			if err != nil {
				return fds, nil, ListenError(network, a, err)
			}
			fds = append(fds, fd)
			a = bound // port 0 is decided by the first
		}
		return fds, a, nil
	case "unix", "unixpacket":
		a := &net.UnixAddr{Name: address, Net: network}
		fd, err := listenUnix(a, backlog)
		if err != nil {
			return nil, nil, ListenError(network, a, err)
		}
		return []int{fd}, a, nil
	}
	return nil, nil, ListenError(network, nil, net.UnknownNetworkError(network))
}

// ListenError puts an error of listening in the form of package net, unless it
// has that.
func ListenError(network string, addr net.Addr, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return err
	}
	return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
}

// listenTCP opens one listening socket; shared says that others of ours listen
// on the address.
//
// Sockets share a port when each has SO_REUSEPORT, of whatever process of the
// user they are. The first one binds without, so that a port that somebody else
// listens on is taken, and gets it then.
func listenTCP(network string, a *net.TCPAddr, backlog int, shared bool) (fd int, bound *net.TCPAddr, err error) {
	family, sa, dual := tcpSockaddr(network, a)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err == unix.EAFNOSUPPORT && dual {
		// No IPv6 here: the wildcard is IPv4's.
		family, sa, dual = unix.AF_INET, bindAddress(unix.AF_INET, &net.TCPAddr{Port: a.Port}), false
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	}
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if family == unix.AF_INET6 {
		v6Only := option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(!dual)}
		if err := v6Only.set(fd); err != nil {
			return fd, nil, err
		}
	}
	// Accepted sockets inherit these, which saves a call a connection.
	options := []option{reuseAddress, noDelay, keepAlive}
	if shared {
		options = append(options, reusePort)
	}
	if err := setAll(fd, options...); err != nil {
		return fd, nil, err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fd, nil, os.NewSyscallError("bind", err)
	}
	if err := reusePort.set(fd); err != nil {
		return fd, nil, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return fd, nil, os.NewSyscallError("listen", err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return fd, nil, os.NewSyscallError("getsockname", err)
	}
	return fd, netAddr(local, "tcp").(*net.TCPAddr), nil
}

// tcpSockaddr decides family and address; dual says that one IPv6 socket is to
// take IPv4 too.
func tcpSockaddr(network string, a *net.TCPAddr) (family int, sa unix.Sockaddr, dual bool) {
	if a.IP.To4() != nil || network == "tcp4" {
		return unix.AF_INET, bindAddress(unix.AF_INET, a), false
	}
	return unix.AF_INET6, bindAddress(unix.AF_INET6, a), network == "tcp" && (a.IP == nil || a.IP.IsUnspecified())
}

// bindAddress is an address of a socket of that family, its wildcard if a has
// none.
func bindAddress(family int, a *net.TCPAddr) unix.Sockaddr {
	if family == unix.AF_INET {
		sa := &unix.SockaddrInet4{Port: a.Port}
		copy(sa.Addr[:], a.IP.To4())
		return sa
	}
	sa := &unix.SockaddrInet6{Port: a.Port, ZoneId: ZoneIndex(a.Zone)}
	copy(sa.Addr[:], a.IP.To16())
	return sa
}

func listenUnix(a *net.UnixAddr, backlog int) (fd int, err error) {
	kind := unix.SOCK_STREAM
	if a.Net == "unixpacket" {
		kind = unix.SOCK_SEQPACKET
	}
	fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: a.Name}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// RemoveFile removes what binding made, unless the name is abstract.
func RemoveFile(path string) {
	if path != "" && path[0] != '@' && path[0] != 0 {
		os.Remove(path)
	}
}

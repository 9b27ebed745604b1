package sockets

import (
	"errors"
	"net"
	"os"
	"unsafe"

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
		fd, err := listenUnix(network, address, backlog)
		if err != nil {
			return nil, nil, ListenError(network, UnixAddr(address, network), err)
		}
		var local Address
		localName(fd, &local)
		return []int{fd}, NetAddr(local.Bytes(), network), nil
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
	if shared {
		err = reusePort.set(fd)
	}
	if err == nil {
		err = setAll(fd, append(tcpOptions, reuseAddress)...)
	}
	if err != nil {
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
	var local Address
	localName(fd, &local)
	return fd, NetAddr(local.Bytes(), network).(*net.TCPAddr), nil
}

// tcpSockaddr decides family and address; dual says that one IPv6 socket is to
// take IPv4 too. As with package net, "tcp" with the wildcard of either family is
// both.
func tcpSockaddr(network string, a *net.TCPAddr) (family int, sa unix.Sockaddr, dual bool) {
	if network == "tcp" && (len(a.IP) == 0 || a.IP.IsUnspecified()) {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: a.Port, ZoneId: ZoneIndex(a.Zone)}, true
	}
	if a.IP.To4() != nil || network == "tcp4" {
		return unix.AF_INET, bindAddress(unix.AF_INET, a), false
	}
	return unix.AF_INET6, bindAddress(unix.AF_INET6, a), false
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

func listenUnix(network, name string, backlog int) (fd int, err error) {
	kind := unix.SOCK_STREAM
	if network == "unixpacket" {
		kind = unix.SOCK_SEQPACKET
	}
	fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = bindUnix(fd, name); err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindUnix gives a Unix socket a name. A path makes a file, which may wait for a
// disk. x/sys would refuse a name of 108 bytes in the abstract namespace.
func bindUnix(fd int, name string) error {
	var a Address
	if !a.SetUnix(name) {
		return os.NewSyscallError("bind", unix.EINVAL)
	}
	if _, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.len)); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	return nil
}

// RemoveFile removes what binding made, unless the name is abstract.
func RemoveFile(path string) {
	if path != "" && !IsAbstract(path) {
		os.Remove(path)
	}
}

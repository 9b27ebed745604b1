package sockets

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// PrepareDial opens a stream socket to connect from local, if that is not nil,
// to an address, and fills in where to.
func PrepareDial(to, local net.Addr, address *Address) (fd int, err error) {
	fd = -1
	defer func() {
		if err != nil && fd >= 0 {
			unix.Close(fd)
		}
	}()
	switch to := to.(type) {
	case *net.UnixAddr:
		if !address.SetUnix(to.Name) {
			return fd, os.NewSyscallError("connect", unix.EINVAL)
		}
		kind := unix.SOCK_STREAM
		if to.Net == "unixpacket" {
			kind = unix.SOCK_SEQPACKET
		}
		if fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0); err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		if from, ok := local.(*net.UnixAddr); ok && from != nil {
			err = bindUnix(fd, from.Name)
		}
		return fd, err
	case *net.TCPAddr:
		ap := to.AddrPort()
		ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		family := unix.AF_INET
		if ap.Addr().Is6() {
			family = unix.AF_INET6
		}
		address.SetIP(ap, ap.Addr().Is6())
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		if err := setAll(fd, tcpOptions...); err != nil {
			return fd, err
		}
		if from, ok := local.(*net.TCPAddr); ok && from != nil {
			err = os.NewSyscallError("bind", unix.Bind(fd, bindAddress(family, from)))
		}
		return fd, err
	}
	return fd, net.UnknownNetworkError(to.Network())
}

// ConnectedToItself says that both ends of a TCP connection are this one.
func ConnectedToItself(fd int, to net.Addr) bool {
	peer, ok := to.(*net.TCPAddr)
	if !ok {
		return false
	}
	var local Address
	localName(fd, &local)
	ip := IP(local.Bytes())
	return int(ip.Port()) == peer.Port && net.IP(ip.Addr().AsSlice()).Equal(peer.IP)
}

// Unconnected opens a stream or SOCK_SEQPACKET socket that is to be connected to
// an address, which needs no resolver: "tcp", "tcp4", "tcp6", "unix" and
// "unixpacket".
func Unconnected(network, address string) (fd int, to *Address, err error) {
	family, kind := unix.AF_UNIX, unix.SOCK_STREAM
	to = new(Address)
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return -1, nil, err
		}
		if four := a.Addr().Unmap().Is4(); four && network == "tcp6" || !four && network == "tcp4" {
			return -1, nil, &net.AddrError{Err: "the address is of another family", Addr: address}
		}
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		family = unix.AF_INET
		if a.Addr().Is6() {
			family = unix.AF_INET6
		}
		to.SetIP(a, a.Addr().Is6())
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
		fallthrough
	case "unix":
		if address == "" || !to.SetUnix(address) {
			return -1, nil, fmt.Errorf("a path of %d bytes: %w", len(address), unix.EINVAL)
		}
	default:
		return -1, nil, net.UnknownNetworkError(network)
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	if family != unix.AF_UNIX {
		err = setAll(fd, tcpOptions...)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, to, nil
}

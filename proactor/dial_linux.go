package proactor

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// dialSocket opens a socket to connect to an address, and fills in where to.
// Like a listener's it is blocking: a ring waits inside the kernel.
func dialSocket(to, local net.Addr, address *sockaddr) (fd int, err error) {
	fd = -1
	defer func() {
		if err != nil && fd >= 0 {
			unix.Close(fd)
		}
	}()
	switch to := to.(type) {
	case *net.UnixAddr:
		if !address.setUnix(to.Name) {
			return fd, os.NewSyscallError("connect", unix.EINVAL)
		}
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		if from, ok := local.(*net.UnixAddr); ok && from != nil {
			err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: from.Name}))
		}
		return fd, err
	case *net.TCPAddr:
		ap := to.AddrPort()
		ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		family := unix.AF_INET
		if ap.Addr().Is6() {
			family = unix.AF_INET6
		}
		address.setIP(ap, ap.Addr().Is6())
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		for _, o := range []socketOption{noDelay, keepAlive} {
			if err := setOption(fd, o); err != nil {
				return fd, err
			}
		}
		if from, ok := local.(*net.TCPAddr); ok && from != nil {
			err = os.NewSyscallError("bind", unix.Bind(fd, bindAddress(family, from)))
		}
		return fd, err
	}
	return fd, net.UnknownNetworkError(to.Network())
}

// connectedToItself says that both ends of a TCP connection are this one.
func connectedToItself(fd int, to net.Addr) bool {
	peer, ok := to.(*net.TCPAddr)
	if !ok {
		return false
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	local, ok := netAddr(sa, "tcp").(*net.TCPAddr)
	return ok && local.Port == peer.Port && local.IP.Equal(peer.IP)
}

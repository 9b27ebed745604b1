package contestant

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// backlog is what the Go standard library takes from somaxconn.
const backlog = 4096

// listen opens a listening socket and reports its address. Flags are added to
// the socket's type: unix.SOCK_NONBLOCK or nothing.
func listen(o Options, flags int) (int, error) {
	addr, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return -1, fmt.Errorf("bind %v: %w", addr, err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return -1, fmt.Errorf("listen %v: %w", addr, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return -1, fmt.Errorf("getsockname: %w", err)
	}
	in4 := bound.(*unix.SockaddrInet4)
	o.Listening(netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String())
	return fd, nil
}

// accept takes one connection. The error is EAGAIN when none waits.
func accept(listener, flags int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|flags)
		switch {
		case err == nil:
			return fd, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		default:
			return -1, err
		}
	}
}

// FreeAddr turns port 0 into a port that was free a moment ago, for libraries
// that do not tell which one they bound.
func FreeAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if port != "0" {
		return addr, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

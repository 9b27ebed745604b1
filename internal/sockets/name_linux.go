package sockets

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Names are the addresses of both ends of a connection, in the types of package
// net; nil where the kernel has none (getsockname(2), getpeername(2)).
func Names(fd int, network string) (local, remote net.Addr) {
	if sa, err := unix.Getsockname(fd); err == nil {
		local = netAddr(sa, network)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		remote = netAddr(sa, network)
	}
	return local, remote
}

func netAddr(sa unix.Sockaddr, network string) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
	case *unix.SockaddrInet6:
		a := &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
		if sa.ZoneId != 0 {
			a.Zone = fmt.Sprint(sa.ZoneId)
			if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a.Zone = i.Name
			}
		}
		return a
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: network}
	}
	return nil
}

package sockets

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// AdoptPacket describes a socket for messages, sets what is asked for, and makes it
// blocking.
func AdoptPacket(fd int, o *PacketOptions) (*Packet, error) {
	p := &Packet{FD: fd}
	if err := p.recognize(); err != nil {
		return nil, err
	}
	names := NamesOf(fd)
	p.Local = names.Local(p.network)
	if p.Connected = names.Connected() || p.Family == unix.AF_UNIX && hasPeer(fd); p.Connected {
		p.Remote = names.Remote(p.network)
	}
	if err := setAll(fd, p.wishes(p.takesIPv4(), o)...); err != nil {
		return nil, err
	}
	return p, os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
}

// Network is what package net calls it.
func (p *Packet) Network() string { return p.network }

// recognize finds out what the socket is.
func (p *Packet) recognize() error {
	kind, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if p.Family, err = unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	protocol, err := unix.GetsockoptInt(p.FD, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	inet := p.Family == unix.AF_INET || p.Family == unix.AF_INET6
	switch {
	case kind == unix.SOCK_DGRAM && p.Family == unix.AF_UNIX:
		p.network = "unixgram"
	case kind == unix.SOCK_DGRAM && inet && protocol == unix.IPPROTO_UDP:
		p.network = "udp"
	case kind == unix.SOCK_RAW && inet:
		p.network = "ip4:" + strconv.Itoa(protocol)
		if p.Family == unix.AF_INET6 {
			p.network = "ip6:" + strconv.Itoa(protocol)
		}
		p.Headers = p.Family == unix.AF_INET
	default:
		return fmt.Errorf("a socket of type %d, domain %d and protocol %d is not one for UDP, Unix or raw IP messages: %w", kind, p.Family, protocol, unix.ENOTSUP)
	}
	return nil
}

// takesIPv4 says that a socket of IPv6 brings messages of IPv4 too.
func (p *Packet) takesIPv4() bool {
	if p.Family != unix.AF_INET6 {
		return false
	}
	only, err := unix.GetsockoptInt(p.FD, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only == 0
}

// hasPeer says that a Unix socket is connected, if only to one without a name.
func hasPeer(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err == nil
}

// Listening describes a listening socket: its network and its address.
func Listening(fd int) (network string, addr net.Addr, err error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockopt", err)
	}
	if listens == 0 {
		return "", nil, fmt.Errorf("the socket does not listen: %w", unix.ENOTSUP)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockopt", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockopt", err)
	}
	inet := domain == unix.AF_INET || domain == unix.AF_INET6
	switch {
	case kind == unix.SOCK_STREAM && inet:
		network = "tcp"
	case kind == unix.SOCK_STREAM && domain == unix.AF_UNIX:
		network = "unix"
	case kind == unix.SOCK_SEQPACKET && domain == unix.AF_UNIX:
		network = "unixpacket"
	default:
		return "", nil, fmt.Errorf("a listening socket of type %d and domain %d is neither TCP nor Unix: %w", kind, domain, unix.ENOTSUP)
	}
	var local Address
	localName(fd, &local)
	return network, NetAddr(local.Bytes(), network), nil
}

// Listens says that a descriptor is a listening socket.
func Listens(fd int) bool {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listens != 0
}

// SetTCPOptions sets on a listening socket what connections are to inherit.
func SetTCPOptions(fd int) error { return setAll(fd, tcpOptions...) }

// IsPacket says that a descriptor is a socket for messages.
func IsPacket(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && (kind == unix.SOCK_DGRAM || kind == unix.SOCK_RAW)
}

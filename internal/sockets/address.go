package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Address is a socket address as Linux lays it out (struct sockaddr_in,
// sockaddr_in6, sockaddr_un). The zero Address is none.
type Address struct {
	raw [SizeofAddress]byte
	len int
}

// Sizes in bytes.
const (
	SizeofAddress = 112 // of struct sockaddr_un, rounded up: room for any
	SizeofInet4   = 16
	SizeofInet6   = 28

	sizeofUnixPath = 108
)

// Bytes is the address as the kernel takes it, empty for none. It is part of a.
func (a *Address) Bytes() []byte { return a.raw[:a.len] }

// Family is its address family, zero of no address.
func (a *Address) Family() int {
	if a.len < 2 {
		return 0
	}
	return int(binary.NativeEndian.Uint16(a.raw[:]))
}

// Clear makes it no address.
func (a *Address) Clear() { a.len = 0 }

// SetRaw makes it an address that the kernel has written.
func (a *Address) SetRaw(raw []byte) { a.len = copy(a.raw[:], raw) }

// ClearPort removes the port, which a raw IPv6 socket does not take.
func (a *Address) ClearPort() { a.raw[2], a.raw[3] = 0, 0 }

// SetIP makes it the address of an IPv6 socket, or of an IPv4 one. An IPv6
// socket reaches IPv4 by addresses that map it.
func (a *Address) SetIP(to netip.AddrPort, inet6 bool) {
	ip := to.Addr()
	if inet6 {
		a.setFamily(syscall.AF_INET6)
		binary.BigEndian.PutUint16(a.raw[2:], to.Port())
		binary.NativeEndian.PutUint32(a.raw[4:], 0) // flow
		b := ip.As16()
		copy(a.raw[8:], b[:])
		binary.NativeEndian.PutUint32(a.raw[24:], ZoneIndex(ip.Zone()))
		a.len = SizeofInet6
		return
	}
	a.setFamily(syscall.AF_INET)
	binary.BigEndian.PutUint16(a.raw[2:], to.Port())
	b := ip.Unmap().As4()
	copy(a.raw[4:], b[:])
	clear(a.raw[8:SizeofInet4])
	a.len = SizeofInet4
}

// SetUnix makes it the address of a Unix socket: a path, or a name in the
// abstract namespace, which begins with "@" or a zero byte. The empty name has
// the kernel choose one when it is bound to (unix(7), autobind). False if the name
// is too long.
func (a *Address) SetUnix(name string) bool {
	abstract := IsAbstract(name)
	if len(name) > sizeofUnixPath || len(name) == sizeofUnixPath && !abstract {
		return false
	}
	a.setFamily(syscall.AF_UNIX)
	n := copy(a.raw[2:], name)
	a.len = 2 + n
	switch {
	case abstract:
		a.raw[2] = 0
	case n > 0:
		a.raw[2+n] = 0
		a.len++
	}
	return true
}

// IsAbstract says that the name of a Unix socket is no path.
func IsAbstract(name string) bool { return name != "" && (name[0] == '@' || name[0] == 0) }

// UnixAddr is a name given by a user as package net has it, with "@" for a
// leading zero byte.
func UnixAddr(name, network string) *net.UnixAddr {
	if IsAbstract(name) {
		name = "@" + name[1:]
	}
	return &net.UnixAddr{Name: name, Net: network}
}

func (a *Address) setFamily(f uint16) { binary.NativeEndian.PutUint16(a.raw[:], f) }

// IP reads an IP address. IPv4 that is mapped into IPv6 comes out as IPv4, and a
// zone as the number of its interface. It is invalid if there is none.
func IP(raw []byte) netip.AddrPort {
	a := inetAt(raw)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// inetAt is IP that leaves IPv4 mapped.
func inetAt(raw []byte) (a netip.AddrPort) {
	if len(raw) < SizeofInet4 {
		return a
	}
	port := binary.BigEndian.Uint16(raw[2:])
	switch binary.NativeEndian.Uint16(raw) {
	case syscall.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[4:8])), port)
	case syscall.AF_INET6:
		if len(raw) < SizeofInet6 {
			return a
		}
		ip := netip.AddrFrom16([16]byte(raw[8:24]))
		if zone := binary.NativeEndian.Uint32(raw[24:]); zone != 0 && !ip.Is4In6() {
			ip = ip.WithZone(strconv.Itoa(int(zone)))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return a
}

// UnixName reads the name of a unix socket, "" if it has none.
func UnixName(raw []byte) string {
	if len(raw) <= 2 {
		return ""
	}
	name := raw[2:]
	if name[0] == 0 {
		return "@" + string(name[1:])
	}
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return string(name)
}

// ZoneIndex is the number of the interface that a zone names.
func ZoneIndex(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// Numeric says that a service needs no look-up: package net takes a number with a sign, too.
func Numeric(service string) bool {
	if service != "" && (service[0] == '-' || service[0] == '+') {
		service = service[1:]
	}
	for _, c := range service {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Loopback is the address of this machine that an address without a host means
// in a network.
func Loopback(network string, ip netip.Addr) netip.Addr {
	if network == "tcp6" || network == "tcp" && ip.Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

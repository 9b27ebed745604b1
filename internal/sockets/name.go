package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// Names are the names of both ends of a connection. Looking them up allocates
// nothing but for a Unix socket's, so that a connection can remember them for
// somebody who may never ask.
type Names struct{ local, remote name }

// name is the address of one end.
type name struct {
	ip   netip.AddrPort
	path string // of a Unix socket
}

func nameAt(raw []byte) (n name) {
	if len(raw) >= 2 && binary.NativeEndian.Uint16(raw) == syscall.AF_UNIX {
		n.path = shownUnixName(raw)
	} else {
		n.ip = inetAt(raw)
	}
	return n
}

// shownUnixName is the name of a Unix socket as package net shows it: "@" is one
// without a name.
func shownUnixName(raw []byte) string {
	if s := UnixName(raw); s != "" {
		return s
	}
	return "@"
}

// Connected says that there is another end.
func (n Names) Connected() bool { return n.remote != name{} }

// RemoteIP is the IP address of the other end, not valid if it has none. IPv4 that is
// mapped into IPv6 is IPv4.
func (n Names) RemoteIP() netip.Addr { return n.remote.ip.Addr().Unmap() }

// Local is the name of this end in the type that package net has for the network.
// It is never nil; what the kernel does not know is the zero address.
func (n Names) Local(network string) net.Addr { return n.local.addr(network) }

// Remote is the name of the other end, see Local.
func (n Names) Remote(network string) net.Addr { return n.remote.addr(network) }

func (n name) addr(network string) net.Addr {
	if strings.HasPrefix(network, "unix") {
		return &net.UnixAddr{Name: n.path, Net: network}
	}
	ip, zone, port := net.IP(n.ip.Addr().AsSlice()), zoneName(n.ip.Addr().Zone()), int(n.ip.Port())
	switch {
	case strings.HasPrefix(network, "udp"):
		return &net.UDPAddr{IP: ip, Port: port, Zone: zone}
	case strings.HasPrefix(network, "ip"):
		return &net.IPAddr{IP: ip, Zone: zone}
	}
	return &net.TCPAddr{IP: ip, Port: port, Zone: zone}
}

// NetAddr is an address that the kernel has written, in the type that package
// net has for the network.
func NetAddr(raw []byte, network string) net.Addr { return nameAt(raw).addr(network) }

// zoneName is the name of the interface with that number, or the number where
// there is no such interface.
func zoneName(number string) string {
	if number == "" {
		return ""
	}
	if n, err := strconv.Atoi(number); err == nil {
		if i, err := net.InterfaceByIndex(n); err == nil {
			return i.Name
		}
	}
	return number
}

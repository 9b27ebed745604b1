package sockets

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// PacketAddress is an address of one of the networks of a Packet: "udp", "udp4",
// "udp6", "unixgram", "ip4:PROTOCOL" and "ip6:PROTOCOL".
type PacketAddress struct {
	ip   netip.AddrPort
	name string // of a unix socket
}

// Addr is the address as package net has it, nil for none.
func (a PacketAddress) Addr(network string) net.Addr {
	switch {
	case network == "unixgram":
		return UnixAddr(a.name, network)
	case a.ip.IsValid():
		return name{ip: a.ip}.addr(network)
	}
	return nil
}

// protocols that raw networks name.
var protocols = map[string]int{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "ipv6-icmp": 58}

// rawProtocol takes "ip4:icmp" apart; false if that is no raw network.
func rawProtocol(network string) (family string, protocol int, ok bool) {
	family, name, found := strings.Cut(network, ":")
	if !found || family != "ip4" && family != "ip6" {
		return "", 0, false
	}
	protocol, ok = protocols[name]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 8)
		protocol, ok = int(n), err == nil
	}
	return family, protocol, ok
}

// ParsePacketAddress reads an address that needs no resolver; known is false
// for one that does.
func ParsePacketAddress(network, address string) (a PacketAddress, known bool, err error) {
	switch network {
	case "unixgram":
		return PacketAddress{name: address}, true, nil
	case "udp", "udp4", "udp6":
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return a, false, err
		}
		ip, err := netip.ParseAddr(host)
		if host != "" && err != nil || !Numeric(port) {
			return a, false, nil
		}
		n, err := net.LookupPort(network, port)
		if err != nil {
			return a, false, err
		}
		if !ip.IsValid() {
			ip = Loopback("tcp"+strings.TrimPrefix(network, "udp"), ip)
		}
		a.ip = netip.AddrPortFrom(ip.Unmap(), uint16(n))
		return a, true, suits(a.ip.Addr(), network)
	}
	if _, _, ok := rawProtocol(network); !ok {
		return a, false, net.UnknownNetworkError(network)
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return a, false, nil
	}
	a.ip = netip.AddrPortFrom(ip.Unmap(), 0)
	return a, true, suits(ip.Unmap(), network)
}

func suits(ip netip.Addr, network string) error {
	family, _, _ := strings.Cut(network, ":")
	if strings.HasSuffix(family, "4") && !ip.Is4() || strings.HasSuffix(family, "6") && !ip.Is6() {
		return &net.AddrError{Err: "no suitable address for " + network, Addr: ip.String()}
	}
	return nil
}

// LookupPacketAddress resolves a name, which waits.
func LookupPacketAddress(ctx context.Context, network, address string) (a PacketAddress, err error) {
	host, port := address, 0
	if strings.HasPrefix(network, "udp") {
		var service string
		if host, service, err = net.SplitHostPort(address); err != nil {
			return a, err
		}
		if port, err = net.DefaultResolver.LookupPort(ctx, network, service); err != nil {
			return a, err
		}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return a, err
	}
	for _, ip := range ips {
		if err = suits(ip.Unmap(), network); err == nil {
			return PacketAddress{ip: netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
		}
	}
	return a, err
}

package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Packet is a socket for messages.
type Packet struct {
	FD            int
	Family        int
	Headers       bool // raw IPv4: messages come with their IP header
	Connected     bool
	Local, Remote net.Addr

	network string
}

// ListenPacket opens a socket for messages and binds it. A host name is looked
// up, which waits. Errors are *net.OpError with Op "listen".
func ListenPacket(network, address string, o *PacketOptions) (*Packet, error) {
	p := &Packet{network: network}
	if err := p.open(address, o); err != nil {
		return nil, ListenError(network, p.Local, err)
	}
	return p, nil
}

// DialPacket opens a socket for messages and connects it.
func DialPacket(network string, to PacketAddress, o *PacketOptions) (*Packet, error) {
	p := &Packet{network: network}
	if err := p.dial(to, o); err != nil {
		return nil, err
	}
	return p, nil
}

// open makes the socket and binds it.
func (p *Packet) open(address string, o *PacketOptions) (err error) {
	at, err := p.bindAddress(address)
	if err != nil {
		return err
	}
	p.Local = at.Addr(p.network) // for the error, if there is one
	// As with package net, the wildcard of either family is both.
	dual := p.network == "udp" && at.ip.Addr().IsUnspecified()
	if dual {
		at.ip = netip.AddrPortFrom(netip.IPv6Unspecified(), at.ip.Port())
	}
	err = p.bound(at, dual, o)
	if dual && errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 here: the wildcard is IPv4's
		at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), at.ip.Port())
		err = p.bound(at, false, o)
	}
	return err
}

// bindAddress is what an address stands for: without a host or empty it is the
// wildcard.
func (p *Packet) bindAddress(address string) (at PacketAddress, err error) {
	wildcard := netip.IPv6Unspecified()
	if family, _, _ := strings.Cut(p.network, ":"); strings.HasSuffix(family, "4") {
		wildcard = netip.IPv4Unspecified()
	}
	switch _, _, raw := rawProtocol(p.network); {
	case raw, p.network == "unixgram", p.network == "udp", p.network == "udp4", p.network == "udp6":
	default:
		return at, net.UnknownNetworkError(p.network)
	}
	if address == "" && p.network != "unixgram" {
		return PacketAddress{ip: netip.AddrPortFrom(wildcard, 0)}, nil
	}
	if host, port, _ := net.SplitHostPort(address); strings.HasPrefix(p.network, "udp") && host == "" && strings.HasSuffix(address, ":"+port) {
		n, err := net.LookupPort(p.network, port)
		return PacketAddress{ip: netip.AddrPortFrom(wildcard, uint16(n))}, err
	}
	at, known, err := ParsePacketAddress(p.network, address)
	if err == nil && !known {
		at, err = LookupPacketAddress(context.Background(), p.network, address)
	}
	return at, err
}

// bound opens a socket and binds it to an address.
func (p *Packet) bound(at PacketAddress, dual bool, o *PacketOptions) error {
	if err := p.socket(at, dual, o); err != nil {
		return err
	}
	if err := p.bind(at); err != nil {
		unix.Close(p.FD)
		return err
	}
	return nil
}

func (p *Packet) bind(at PacketAddress) (err error) {
	if p.Family == unix.AF_UNIX {
		err = bindUnix(p.FD, at.name)
	} else {
		err = os.NewSyscallError("bind", unix.Bind(p.FD, inetSockaddr(at.ip, p.Family)))
	}
	if err == nil {
		p.Local = NamesOf(p.FD).Local(p.network)
	}
	return err
}

func inetSockaddr(a netip.AddrPort, family int) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: ZoneIndex(a.Addr().Zone())}
}

// dial makes the socket and connects it.
func (p *Packet) dial(to PacketAddress, o *PacketOptions) (err error) {
	if err = p.socket(to, false, o); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			unix.Close(p.FD)
		}
	}()
	if o.Local != nil {
		from, known, err := ParsePacketAddress(p.network, o.Local.String())
		if err != nil || !known {
			return errors.Join(&net.AddrError{Err: "local address of another network", Addr: o.Local.String()}, err)
		}
		if err := p.bind(from); err != nil {
			return err
		}
	}
	if err := p.connect(to); err != nil {
		return err
	}
	p.Connected = true
	names := NamesOf(p.FD)
	p.Local, p.Remote = names.Local(p.network), names.Remote(p.network)
	return nil
}

func (p *Packet) connect(to PacketAddress) error {
	var a Address
	if p.Family != unix.AF_UNIX {
		a.SetIP(to.ip, p.Family == unix.AF_INET6)
	} else if !a.SetUnix(to.name) {
		return os.NewSyscallError("connect", unix.EINVAL)
	}
	return connect(p.FD, &a)
}

// connect is connect(2), which may wait for a stream.
func connect(fd int, to *Address) error {
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	if e != 0 {
		return os.NewSyscallError("connect", e)
	}
	return nil
}

// socket makes the socket, with its options.
func (p *Packet) socket(at PacketAddress, dual bool, o *PacketOptions) (err error) {
	kind, protocol := unix.SOCK_DGRAM, 0
	switch _, raw, isRaw := rawProtocol(p.network); {
	case isRaw:
		kind, protocol = unix.SOCK_RAW, raw
		fallthrough
	case p.network != "unixgram":
		p.Family = unix.AF_INET
		if at.ip.Addr().Is6() {
			p.Family = unix.AF_INET6
		}
		p.Headers = isRaw && p.Family == unix.AF_INET
	default:
		p.Family = unix.AF_UNIX
	}
	// Blocking: a ring waits inside the kernel, and the fallback sees to itself.
	p.FD, err = unix.Socket(p.Family, kind|unix.SOCK_CLOEXEC, protocol)
	if kind == unix.SOCK_RAW && (err == unix.EPERM || err == unix.EACCES) {
		return fmt.Errorf("%w: a raw socket needs root or CAP_NET_RAW (setcap cap_net_raw+ep PROGRAM)", os.NewSyscallError("socket", err))
	}
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err = p.setOptions(dual, o); err != nil {
		unix.Close(p.FD)
	}
	return err
}

func (p *Packet) setOptions(dual bool, o *PacketOptions) error {
	options := p.wishes(dual, o)
	if p.Family == unix.AF_INET6 && strings.HasPrefix(p.network, "udp") {
		options = append(options, option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(!dual)})
	}
	return setAll(p.FD, options...)
}

// wishes are the options that o stands for.
func (p *Packet) wishes(dual bool, o *PacketOptions) (options []option) {
	inet, inet6 := p.Family == unix.AF_INET, p.Family == unix.AF_INET6
	for _, wish := range []struct {
		wanted bool
		option option
	}{
		{inet || inet6, option{"SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1}},
		{o.ReusePort, reusePort},
		{o.ReadBuffer > 0, option{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, o.ReadBuffer}},
		{o.WriteBuffer > 0, option{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, o.WriteBuffer}},
		{o.Timestamps, option{"SO_TIMESTAMPNS", unix.SOL_SOCKET, soTimestampNS, 1}},
		{o.PacketInfo && (inet || dual), option{"IP_PKTINFO", unix.IPPROTO_IP, ipPacketInfo, 1}},
		{o.PacketInfo && inet6, option{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, ipv6RecvInfo, 1}},
		{o.ECN && (inet || dual), option{"IP_RECVTOS", unix.IPPROTO_IP, ipRecvTOS, 1}},
		{o.ECN && inet6, option{"IPV6_RECVTCLASS", unix.IPPROTO_IPV6, ipv6RecvClass, 1}},
		{o.HopLimit && (inet || dual), option{"IP_RECVTTL", unix.IPPROTO_IP, ipRecvTTL, 1}},
		{o.HopLimit && inet6, option{"IPV6_RECVHOPLIMIT", unix.IPPROTO_IPV6, ipv6RecvHopLimit, 1}},
		{o.GRO, option{"UDP_GRO", solUDP, udpGRO, 1}},
	} {
		if wish.wanted {
			options = append(options, wish.option)
		}
	}
	return options
}

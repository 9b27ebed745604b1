package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

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
	var at PacketAddress
	wildcard := false
	switch host, port, _ := net.SplitHostPort(address); {
	case strings.HasPrefix(p.network, "udp") && host == "" && strings.HasSuffix(address, ":"+port):
		wildcard = true
		n, err := net.LookupPort(p.network, port)
		if err != nil {
			return err
		}
		at.ip = netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n))
		if p.network == "udp4" {
			at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n))
		}
	case address == "" && strings.HasPrefix(p.network, "ip"):
		at.ip = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		if strings.HasPrefix(p.network, "ip4") {
			at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		}
	default:
		known := false
		if at, known, err = ParsePacketAddress(p.network, address); err != nil {
			return err
		}
		if !known {
			if at, err = LookupPacketAddress(context.Background(), p.network, address); err != nil {
				return err
			}
		}
	}
	p.Local = at.Addr(p.network) // for the error, if there is one
	dual := p.network == "udp" && (wildcard || at.ip.Addr() == netip.IPv6Unspecified())
	err = p.bound(at, dual, o)
	if dual && wildcard && errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 here: the wildcard is IPv4's
		at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), at.ip.Port())
		err = p.bound(at, false, o)
	}
	return err
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

func (p *Packet) bind(at PacketAddress) error {
	if p.Family == unix.AF_UNIX {
		if at.name == "" {
			p.Local = &net.UnixAddr{Net: p.network}
			return nil
		}
		if err := unix.Bind(p.FD, &unix.SockaddrUnix{Name: at.name}); err != nil {
			return os.NewSyscallError("bind", err)
		}
	} else if err := unix.Bind(p.FD, inetSockaddr(at.ip, p.Family)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	p.Local = p.nameOf(unix.Getsockname(p.FD))
	return nil
}

func inetSockaddr(a netip.AddrPort, family int) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: ZoneIndex(a.Addr().Zone())}
}

func (p *Packet) nameOf(sa unix.Sockaddr, err error) net.Addr {
	if err != nil {
		return nil
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return PacketAddr(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), p.network)
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return PacketAddr(netip.AddrPortFrom(ip, uint16(sa.Port)), p.network)
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: p.network}
	}
	return nil
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
	var sa unix.Sockaddr = &unix.SockaddrUnix{Name: to.name}
	if p.Family != unix.AF_UNIX {
		sa = inetSockaddr(to.ip, p.Family)
	}
	if err := unix.Connect(p.FD, sa); err != nil {
		return os.NewSyscallError("connect", err)
	}
	p.Connected = true
	p.Local = p.nameOf(unix.Getsockname(p.FD))
	p.Remote = p.nameOf(unix.Getpeername(p.FD))
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
	inet, inet6 := p.Family == unix.AF_INET, p.Family == unix.AF_INET6
	udp := strings.HasPrefix(p.network, "udp")
	for _, wish := range []struct {
		wanted bool
		option option
	}{
		{inet6 && udp, option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(!dual)}},
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
		if !wish.wanted {
			continue
		}
		if err := wish.option.set(p.FD); err != nil {
			return err
		}
	}
	return nil
}

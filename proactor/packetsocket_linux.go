package proactor

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

// packetAddress is an address of one of the networks of a PacketConn.
type packetAddress struct {
	ip   netip.AddrPort
	name string // of a unix socket
}

func (a packetAddress) addr(network string) net.Addr {
	switch {
	case network == "unixgram":
		return &net.UnixAddr{Name: a.name, Net: network}
	case a.ip.IsValid():
		return packetAddr(a.ip, network)
	}
	return nil
}

// protocols that raw networks name.
var protocols = map[string]int{"icmp": unix.IPPROTO_ICMP, "igmp": unix.IPPROTO_IGMP, "tcp": unix.IPPROTO_TCP,
	"udp": unix.IPPROTO_UDP, "ipv6-icmp": unix.IPPROTO_ICMPV6}

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

// literalPacketAddress reads an address that needs no resolver; known is false
// for one that does.
func literalPacketAddress(network, address string) (a packetAddress, known bool, err error) {
	switch network {
	case "unixgram":
		return packetAddress{name: address}, true, nil
	case "udp", "udp4", "udp6":
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return a, false, err
		}
		ip, err := netip.ParseAddr(host)
		if host != "" && err != nil || !numeric(port) {
			return a, false, nil
		}
		n, err := net.LookupPort(network, port)
		if err != nil {
			return a, false, err
		}
		if !ip.IsValid() {
			ip = loopback("tcp"+strings.TrimPrefix(network, "udp"), ip)
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

// lookupPacketAddress resolves a name, which waits.
func lookupPacketAddress(ctx context.Context, network, address string) (a packetAddress, err error) {
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
			return packetAddress{ip: netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
		}
	}
	return a, err
}

// open makes the socket and binds it.
func (c *PacketConn) open(address string, o *packetOptions) (err error) {
	var at packetAddress
	wildcard := false
	switch host, port, _ := net.SplitHostPort(address); {
	case strings.HasPrefix(c.network, "udp") && host == "" && strings.HasSuffix(address, ":"+port):
		wildcard = true
		n, err := net.LookupPort(c.network, port)
		if err != nil {
			return err
		}
		at.ip = netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n))
		if c.network == "udp4" {
			at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n))
		}
	case address == "" && strings.HasPrefix(c.network, "ip"):
		at.ip = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		if strings.HasPrefix(c.network, "ip4") {
			at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		}
	default:
		known := false
		if at, known, err = literalPacketAddress(c.network, address); err != nil {
			return err
		}
		if !known {
			if at, err = lookupPacketAddress(context.Background(), c.network, address); err != nil {
				return err
			}
		}
	}
	c.local = at.addr(c.network) // for the error, if there is one
	dual := c.network == "udp" && (wildcard || at.ip.Addr() == netip.IPv6Unspecified())
	err = c.bound(at, dual, o)
	if dual && wildcard && errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 here: the wildcard is IPv4's
		at.ip = netip.AddrPortFrom(netip.IPv4Unspecified(), at.ip.Port())
		err = c.bound(at, false, o)
	}
	return err
}

// bound opens a socket and binds it to an address.
func (c *PacketConn) bound(at packetAddress, dual bool, o *packetOptions) error {
	if err := c.socket(at, dual, o); err != nil {
		return err
	}
	if err := c.bind(at); err != nil {
		unix.Close(c.fd)
		return err
	}
	return nil
}

func (c *PacketConn) bind(at packetAddress) error {
	if c.family == unix.AF_UNIX {
		if at.name == "" {
			c.local = &net.UnixAddr{Net: c.network}
			return nil
		}
		if err := unix.Bind(c.fd, &unix.SockaddrUnix{Name: at.name}); err != nil {
			return os.NewSyscallError("bind", err)
		}
	} else if err := unix.Bind(c.fd, inetSockaddr(at.ip, c.family)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	c.local = c.nameOf(unix.Getsockname(c.fd))
	return nil
}

func inetSockaddr(a netip.AddrPort, family int) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
}

func (c *PacketConn) nameOf(sa unix.Sockaddr, err error) net.Addr {
	if err != nil {
		return nil
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return packetAddr(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), c.network)
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return packetAddr(netip.AddrPortFrom(ip, uint16(sa.Port)), c.network)
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: c.network}
	}
	return nil
}

// dial makes the socket and connects it.
func (c *PacketConn) dial(to packetAddress, o *packetOptions) (err error) {
	if err = c.socket(to, false, o); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			unix.Close(c.fd)
		}
	}()
	if o.local != nil {
		from, known, err := literalPacketAddress(c.network, o.local.String())
		if err != nil || !known {
			return errors.Join(&net.AddrError{Err: "local address of another network", Addr: o.local.String()}, err)
		}
		if err := c.bind(from); err != nil {
			return err
		}
	}
	var sa unix.Sockaddr = &unix.SockaddrUnix{Name: to.name}
	if c.family != unix.AF_UNIX {
		sa = inetSockaddr(to.ip, c.family)
	}
	if err := unix.Connect(c.fd, sa); err != nil {
		return os.NewSyscallError("connect", err)
	}
	c.connected = true
	c.local = c.nameOf(unix.Getsockname(c.fd))
	c.remote = c.nameOf(unix.Getpeername(c.fd))
	return nil
}

// socket makes the socket, with its options.
func (c *PacketConn) socket(at packetAddress, dual bool, o *packetOptions) (err error) {
	kind, protocol := unix.SOCK_DGRAM, 0
	switch _, raw, isRaw := rawProtocol(c.network); {
	case isRaw:
		kind, protocol = unix.SOCK_RAW, raw
		fallthrough
	case c.network != "unixgram":
		c.family = unix.AF_INET
		if at.ip.Addr().Is6() {
			c.family = unix.AF_INET6
		}
		c.headers = isRaw && c.family == unix.AF_INET
	default:
		c.family = unix.AF_UNIX
	}
	// Blocking: a ring waits inside the kernel, and the fallback sees to itself.
	c.fd, err = unix.Socket(c.family, kind|unix.SOCK_CLOEXEC, protocol)
	if kind == unix.SOCK_RAW && (err == unix.EPERM || err == unix.EACCES) {
		return fmt.Errorf("%w: a raw socket needs root or CAP_NET_RAW (setcap cap_net_raw+ep PROGRAM)", os.NewSyscallError("socket", err))
	}
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err = c.setOptions(dual, o); err != nil {
		unix.Close(c.fd)
	}
	return err
}

// packetSetting is an option and its value.
type packetSetting struct {
	name          string
	wanted        bool
	level, option int
	value         int
}

func (c *PacketConn) setOptions(dual bool, o *packetOptions) error {
	inet, inet6 := c.family == unix.AF_INET, c.family == unix.AF_INET6
	udp := strings.HasPrefix(c.network, "udp")
	only := 1
	if dual {
		only = 0
	}
	for _, s := range []packetSetting{
		{"IPV6_V6ONLY", inet6 && udp, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only},
		{"SO_BROADCAST", inet || inet6, unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
		{"SO_REUSEPORT", o.reusePort, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"SO_RCVBUF", o.readBuffer > 0, unix.SOL_SOCKET, unix.SO_RCVBUF, o.readBuffer},
		{"SO_SNDBUF", o.writeBuffer > 0, unix.SOL_SOCKET, unix.SO_SNDBUF, o.writeBuffer},
		{"SO_TIMESTAMPNS", o.timestamps, unix.SOL_SOCKET, soTimestampNS, 1},
		{"IP_PKTINFO", o.packetInfo && (inet || dual), unix.IPPROTO_IP, ipPacketInfo, 1},
		{"IPV6_RECVPKTINFO", o.packetInfo && inet6, unix.IPPROTO_IPV6, ipv6RecvInfo, 1},
		{"IP_RECVTOS", o.ecn && (inet || dual), unix.IPPROTO_IP, ipRecvTOS, 1},
		{"IPV6_RECVTCLASS", o.ecn && inet6, unix.IPPROTO_IPV6, ipv6RecvClass, 1},
		{"IP_RECVTTL", o.hops && (inet || dual), unix.IPPROTO_IP, ipRecvTTL, 1},
		{"IPV6_RECVHOPLIMIT", o.hops && inet6, unix.IPPROTO_IPV6, ipv6RecvHopLimit, 1},
		{"UDP_GRO", o.gro, solUDP, udpGRO, 1},
	} {
		if !s.wanted {
			continue
		}
		if err := unix.SetsockoptInt(c.fd, s.level, s.option, s.value); err != nil {
			return os.NewSyscallError("setsockopt "+s.name, err)
		}
	}
	return nil
}

// setting sets options while the socket is open. Any goroutine may call it.
func (c *PacketConn) setting(name string, set func(fd int) error) error {
	c.using.Lock()
	defer c.using.Unlock()
	if c.gone {
		return c.closedError("set")
	}
	if err := set(c.fd); err != nil {
		return c.opError("set", os.NewSyscallError("setsockopt "+name, err))
	}
	return nil
}

// JoinGroup has messages to a multicast group come in, from the network of that
// interface; nil leaves the choice to the system. Any goroutine may call it.
func (c *PacketConn) JoinGroup(group netip.Addr, on *net.Interface) error {
	return c.membership(group, on, "IP_ADD_MEMBERSHIP", unix.IP_ADD_MEMBERSHIP, "IPV6_JOIN_GROUP", unix.IPV6_JOIN_GROUP)
}

// LeaveGroup undoes a JoinGroup.
func (c *PacketConn) LeaveGroup(group netip.Addr, on *net.Interface) error {
	return c.membership(group, on, "IP_DROP_MEMBERSHIP", unix.IP_DROP_MEMBERSHIP, "IPV6_LEAVE_GROUP", unix.IPV6_LEAVE_GROUP)
}

func (c *PacketConn) membership(group netip.Addr, on *net.Interface, name4 string, option4 int, name6 string, option6 int) error {
	if !group.IsMulticast() {
		return c.opError("set", &net.AddrError{Err: "no multicast group", Addr: group.String()})
	}
	index := 0
	if on != nil {
		index = on.Index
	}
	if group = group.Unmap(); group.Is4() {
		return c.setting(name4, func(fd int) error {
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, option4, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
		})
	}
	return c.setting(name6, func(fd int) error {
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option6, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	})
}

// SetMulticastInterface is the interface that messages to groups go out on.
func (c *PacketConn) SetMulticastInterface(on *net.Interface) error {
	if c.family == unix.AF_INET6 {
		return c.setting("IPV6_MULTICAST_IF", func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, on.Index)
		})
	}
	return c.setting("IP_MULTICAST_IF", func(fd int) error {
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(on.Index)})
	})
}

// SetMulticastLoopback says whether messages to groups come back to members on
// this machine. They do unless told otherwise.
func (c *PacketConn) SetMulticastLoopback(on bool) error {
	value := 0
	if on {
		value = 1
	}
	if c.family == unix.AF_INET6 {
		return c.setting("IPV6_MULTICAST_LOOP", func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, value)
		})
	}
	return c.setting("IP_MULTICAST_LOOP", func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, value)
	})
}

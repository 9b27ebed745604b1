package sockets

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// JoinGroup has messages to a multicast group come in, from the network of the
// interface with that number; zero leaves the choice to the system.
func JoinGroup(fd int, group netip.Addr, index int) error {
	if group = group.Unmap(); group.Is4() {
		return membership4(fd, "IP_ADD_MEMBERSHIP", unix.IP_ADD_MEMBERSHIP, group, index)
	}
	return membership6(fd, "IPV6_JOIN_GROUP", unix.IPV6_JOIN_GROUP, group, index)
}

// LeaveGroup undoes a JoinGroup.
func LeaveGroup(fd int, group netip.Addr, index int) error {
	if group = group.Unmap(); group.Is4() {
		return membership4(fd, "IP_DROP_MEMBERSHIP", unix.IP_DROP_MEMBERSHIP, group, index)
	}
	return membership6(fd, "IPV6_LEAVE_GROUP", unix.IPV6_LEAVE_GROUP, group, index)
}

func membership4(fd int, name string, option int, group netip.Addr, index int) error {
	request := unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt "+name, unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, option, &request))
}

func membership6(fd int, name string, option int, group netip.Addr, index int) error {
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	return os.NewSyscallError("setsockopt "+name, unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option, &request))
}

// SetMulticastInterface is the number of the interface that messages to groups
// go out on; zero leaves the choice to the system. A socket of IPv6 takes both
// options, for it may send to groups of IPv4 too.
func SetMulticastInterface(fd, family, index int) error {
	if family == unix.AF_INET6 {
		if err := (option{"IPV6_MULTICAST_IF", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index}).set(fd); err != nil {
			return err
		}
	}
	request := unix.IPMreqn{Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt IP_MULTICAST_IF", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &request))
}

// SetMulticastLoopback says whether messages to groups come back to members on
// this machine.
func SetMulticastLoopback(fd, family int, on bool) error {
	if family == unix.AF_INET6 {
		if err := (option{"IPV6_MULTICAST_LOOP", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, number(on)}).set(fd); err != nil {
			return err
		}
	}
	return option{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, number(on)}.set(fd)
}

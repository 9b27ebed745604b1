package proactor

import (
	"net"
	"net/netip"

	"github.com/goproactor/goproactor/internal/sockets"
)

// JoinGroup receives messages to a multicast group from the network of that
// interface; with nil the system chooses it. Any goroutine may call it.
func (c *PacketConn) JoinGroup(group netip.Addr, on *net.Interface) error {
	return c.membership(sockets.JoinGroup, group, on)
}

// LeaveGroup is the opposite of JoinGroup.
func (c *PacketConn) LeaveGroup(group netip.Addr, on *net.Interface) error {
	return c.membership(sockets.LeaveGroup, group, on)
}

func (c *PacketConn) membership(change func(fd int, group netip.Addr, index int) error, group netip.Addr, on *net.Interface) error {
	if !group.IsMulticast() {
		return c.opError("set", &net.AddrError{Err: "no multicast group", Addr: group.String()})
	}
	return c.setting(func(fd int) error { return change(fd, group, indexOf(on)) })
}

// SetMulticastInterface sets the interface that messages to groups are sent on; with nil
// the system chooses it.
func (c *PacketConn) SetMulticastInterface(on *net.Interface) error {
	return c.setting(func(fd int) error { return sockets.SetMulticastInterface(fd, c.family, indexOf(on)) })
}

// SetMulticastLoopback sets whether members on this machine receive the messages that it
// sends to groups. They do by default.
func (c *PacketConn) SetMulticastLoopback(on bool) error {
	return c.setting(func(fd int) error { return sockets.SetMulticastLoopback(fd, c.family, on) })
}

// setting calls a function that sets options, while the socket is open.
func (c *PacketConn) setting(set func(fd int) error) error {
	c.using.Lock()
	defer c.using.Unlock()
	if c.gone {
		return c.closedError("set")
	}
	if err := set(c.fd); err != nil {
		return c.opError("set", err)
	}
	return nil
}

// indexOf is the number of an interface, zero for none.
func indexOf(i *net.Interface) int {
	if i == nil {
		return 0
	}
	return i.Index
}

package proactor

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// unreadMessage is a message that was received before its socket was detached.
type unreadMessage struct {
	data, control []byte
	from          net.Addr // nil if the sender has no name
	truncated     bool
}

// messageQueue is unread messages, which come before those of the socket.
type messageQueue struct {
	reading sync.Mutex
	queue   []unreadMessage
	over    atomic.Bool // none is left
}

// next takes the first message; false if conn is to be asked: none is left, or it is closed
// or its deadline has passed.
func (u *messageQueue) next(conn syscall.Conn) (m unreadMessage, ok bool) {
	if u.over.Load() || refused(conn) != nil {
		return m, false
	}
	u.reading.Lock()
	defer u.reading.Unlock()
	if len(u.queue) == 0 {
		return m, false
	}
	m, u.queue = u.queue[0], u.queue[1:]
	u.over.Store(len(u.queue) == 0)
	return m, true
}

// copyTo copies the message, with the results of a recvmsg(2).
func (m *unreadMessage) copyTo(p, oob []byte) (n, oobn, flags int) {
	n, oobn = copy(p, m.data), copy(oob, m.control)
	if m.truncated || n < len(m.data) {
		flags |= int(ring.MsgTrunc)
	}
	if oobn < len(m.control) {
		flags |= int(ring.MsgCTrunc)
	}
	return n, oobn, flags
}

// withUnreadMessages wraps a socket of package net: unread messages come first. Without
// any it returns the socket itself.
func withUnreadMessages(conn net.PacketConn, queue []unreadMessage) net.PacketConn {
	if len(queue) == 0 {
		return conn
	}
	switch conn := conn.(type) {
	case *net.UDPConn:
		u := &unreadUDPConn{UDPConn: conn}
		u.queue = queue
		return u
	case *net.UnixConn:
		u := &unreadUnixgramConn{UnixConn: conn}
		u.queue = queue
		return u
	case *net.IPConn:
		u := &unreadIPConn{IPConn: conn}
		u.queue = queue
		return u
	}
	return conn
}

// unreadUDPConn is a *net.UDPConn with unread messages.
type unreadUDPConn struct {
	*net.UDPConn
	messageQueue
}

// Read implements net.Conn.
func (c *unreadUDPConn) Read(p []byte) (int, error) {
	if m, ok := c.next(c.UDPConn); ok {
		return copy(p, m.data), nil
	}
	return c.UDPConn.Read(p)
}

// ReadFrom implements net.PacketConn.
func (c *unreadUDPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	if m, ok := c.next(c.UDPConn); ok {
		return copy(p, m.data), m.from, nil
	}
	return c.UDPConn.ReadFrom(p)
}

// ReadFromUDP is that of *net.UDPConn.
func (c *unreadUDPConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	if m, ok := c.next(c.UDPConn); ok {
		from, _ := m.from.(*net.UDPAddr)
		return copy(p, m.data), from, nil
	}
	return c.UDPConn.ReadFromUDP(p)
}

// ReadFromUDPAddrPort is that of *net.UDPConn.
func (c *unreadUDPConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	if m, ok := c.next(c.UDPConn); ok {
		return copy(p, m.data), m.addrPort(), nil
	}
	return c.UDPConn.ReadFromUDPAddrPort(p)
}

// ReadMsgUDP is that of *net.UDPConn.
func (c *unreadUDPConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	if m, ok := c.next(c.UDPConn); ok {
		n, oobn, flags = m.copyTo(p, oob)
		from, _ = m.from.(*net.UDPAddr)
		return n, oobn, flags, from, nil
	}
	return c.UDPConn.ReadMsgUDP(p, oob)
}

// ReadMsgUDPAddrPort is that of *net.UDPConn.
func (c *unreadUDPConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	if m, ok := c.next(c.UDPConn); ok {
		n, oobn, flags = m.copyTo(p, oob)
		return n, oobn, flags, m.addrPort(), nil
	}
	return c.UDPConn.ReadMsgUDPAddrPort(p, oob)
}

func (m *unreadMessage) addrPort() netip.AddrPort {
	if from, ok := m.from.(*net.UDPAddr); ok {
		return from.AddrPort()
	}
	return netip.AddrPort{}
}

// unreadUnixgramConn is a *net.UnixConn for messages, with unread ones.
type unreadUnixgramConn struct {
	*net.UnixConn
	messageQueue
}

// Read implements net.Conn.
func (c *unreadUnixgramConn) Read(p []byte) (int, error) {
	if m, ok := c.next(c.UnixConn); ok {
		return copy(p, m.data), nil
	}
	return c.UnixConn.Read(p)
}

// ReadFrom implements net.PacketConn.
func (c *unreadUnixgramConn) ReadFrom(p []byte) (int, net.Addr, error) {
	if m, ok := c.next(c.UnixConn); ok {
		return copy(p, m.data), m.from, nil
	}
	return c.UnixConn.ReadFrom(p)
}

// ReadFromUnix is that of *net.UnixConn.
func (c *unreadUnixgramConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	if m, ok := c.next(c.UnixConn); ok {
		from, _ := m.from.(*net.UnixAddr)
		return copy(p, m.data), from, nil
	}
	return c.UnixConn.ReadFromUnix(p)
}

// ReadMsgUnix is that of *net.UnixConn.
func (c *unreadUnixgramConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if m, ok := c.next(c.UnixConn); ok {
		n, oobn, flags = m.copyTo(p, oob)
		from, _ = m.from.(*net.UnixAddr)
		return n, oobn, flags, from, nil
	}
	return c.UnixConn.ReadMsgUnix(p, oob)
}

// unreadIPConn is a *net.IPConn with unread messages.
type unreadIPConn struct {
	*net.IPConn
	messageQueue
}

// Read implements net.Conn.
func (c *unreadIPConn) Read(p []byte) (int, error) {
	if m, ok := c.next(c.IPConn); ok {
		return copy(p, m.data), nil
	}
	return c.IPConn.Read(p)
}

// ReadFrom implements net.PacketConn.
func (c *unreadIPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	if m, ok := c.next(c.IPConn); ok {
		return copy(p, m.data), m.from, nil
	}
	return c.IPConn.ReadFrom(p)
}

// ReadFromIP is that of *net.IPConn.
func (c *unreadIPConn) ReadFromIP(p []byte) (int, *net.IPAddr, error) {
	if m, ok := c.next(c.IPConn); ok {
		from, _ := m.from.(*net.IPAddr)
		return copy(p, m.data), from, nil
	}
	return c.IPConn.ReadFromIP(p)
}

// ReadMsgIP is that of *net.IPConn.
func (c *unreadIPConn) ReadMsgIP(p, oob []byte) (n, oobn, flags int, from *net.IPAddr, err error) {
	if m, ok := c.next(c.IPConn); ok {
		n, oobn, flags = m.copyTo(p, oob)
		from, _ = m.from.(*net.IPAddr)
		return n, oobn, flags, from, nil
	}
	return c.IPConn.ReadMsgIP(p, oob)
}

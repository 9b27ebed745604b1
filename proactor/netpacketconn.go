package proactor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// NetPacketConn presents it as a net.PacketConn, which is a net.Conn too: Read and
// Write are for one that is connected (DialPacket). What it is depends on the caller,
// as with Runtime.DialContext.
//
// A goroutine gets the socket as package net has it, a *net.UDPConn say, at the price
// of package net: c is detached, see Detach. Only where that fails, for want of a
// descriptor, or with c closed or detached before, does it get what a task gets.
//
// A task on a loop gets one that stays on its loop and belongs to the task, see
// Conn.NetConn, which others may share. It has the methods of *net.UDPConn for
// messages, SyscallConn and File. Messages are then received through it only. A
// callback of a loop gets such a one too, for others to use.
func (c *PacketConn) NetPacketConn(ctx context.Context) net.PacketConn {
	if c.loop.rt.currentLoop() == nil {
		if conn, err := c.Detach(); err == nil {
			return conn
		}
	}
	return c.netPacketConn(waitingWith(ctx))
}

func (c *PacketConn) netPacketConn(ctx context.Context) *netPacketConn {
	c.loop.engine.Perform(c.recv.roomForControl)
	return &netPacketConn{c, ctx}
}

var _ net.Conn = (*netPacketConn)(nil)

type netPacketConn struct {
	conn *PacketConn
	ctx  context.Context
}

// Read implements net.Conn. What does not fit p is lost.
func (n *netPacketConn) Read(p []byte) (int, error) {
	if len(p) == 0 && !n.conn.shut.Load() {
		return 0, nil
	}
	k, _, err := n.ReadFrom(p)
	return k, err
}

// Write implements net.Conn.
func (n *netPacketConn) Write(p []byte) (int, error) { return n.send(Datagram{Data: p}) }

// ReadFrom implements net.PacketConn. What does not fit p is lost.
func (n *netPacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	m, err := n.next()
	if err != nil {
		return 0, nil, err
	}
	defer m.Release()
	return copy(p, m.Bytes()), m.FromAddr(), nil
}

// next is the next message.
func (n *netPacketConn) next() (Message, error) {
	if n.conn.shut.Load() {
		return Message{}, n.conn.closedError("read")
	}
	m, err := n.conn.Recv().Await(n.ctx)
	if err != nil {
		err = n.conn.asOpError("read", err)
	}
	return m, err
}

// WriteTo implements net.PacketConn.
func (n *netPacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	d := Datagram{Data: p}
	n.conn.direct(&d, to)
	return n.send(d)
}

func (n *netPacketConn) send(d Datagram) (int, error) {
	if n.conn.shut.Load() {
		return 0, n.conn.closedError("write")
	}
	k, err := n.conn.SendDatagram(d).Await(n.ctx)
	if err != nil {
		err = n.conn.asOpError("write", err)
	}
	return k, err
}

// direct fills in whom a message is for.
func (c *PacketConn) direct(d *Datagram, to net.Addr) {
	switch to := to.(type) {
	case *net.UDPAddr:
		if to != nil {
			d.To = c.destination(to.AddrPort())
		}
	case *net.IPAddr:
		if to != nil {
			ip, _ := netip.AddrFromSlice(to.IP)
			d.To = c.destination(netip.AddrPortFrom(ip.Unmap().WithZone(to.Zone), 0))
		}
	case *net.UnixAddr:
		if to != nil {
			d.ToName = to.Name
		}
	}
}

// destination is an address that may be without a host: this machine, which the
// kernel takes the wildcard for.
func (c *PacketConn) destination(to netip.AddrPort) netip.AddrPort {
	switch {
	case to.Addr().IsValid():
		return to
	case c.family == syscall.AF_INET6:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), to.Port())
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())
}

// Close implements net.PacketConn. When it returns the address is free, unless it
// was called in a callback, which cannot wait.
func (n *netPacketConn) Close() error {
	c := n.conn
	if c.shut.Swap(true) {
		return c.closedError("close")
	}
	c.loop.engine.Perform(func() { c.abort(c.closedError("write")) })
	c.Closed().Await(context.WithoutCancel(n.ctx))
	return nil
}

func (n *netPacketConn) LocalAddr() net.Addr                { return n.conn.LocalAddr() }
func (n *netPacketConn) RemoteAddr() net.Addr               { return n.conn.RemoteAddr() }
func (n *netPacketConn) SetDeadline(t time.Time) error      { return n.conn.SetDeadline(t) }
func (n *netPacketConn) SetReadDeadline(t time.Time) error  { return n.conn.SetReadDeadline(t) }
func (n *netPacketConn) SetWriteDeadline(t time.Time) error { return n.conn.SetWriteDeadline(t) }

// asOpError gives an error the form that users of package net know.
func (c *PacketConn) asOpError(op string, err error) error {
	var known *net.OpError
	if errors.As(err, &known) {
		return err
	}
	return c.opError(op, err)
}

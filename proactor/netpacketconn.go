package proactor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// NetPacketConn returns it as a net.PacketConn. The result is a net.Conn, too: Read and
// Write are for a PacketConn that is connected (DialPacket). What it is depends on the
// caller, as with Runtime.DialContext.
//
// A goroutine gets a socket of package net, for example a *net.UDPConn, which costs what it
// costs there: c is detached, see Detach. If that fails because there is no descriptor for
// it, or because c is closed or was detached before, it gets what a task gets.
//
// A task gets one that stays on its loop and belongs to the task, see Conn.NetConn; others
// may use it, too. It has the methods of *net.UDPConn for messages, SyscallConn and File.
// Messages must then be received through it only. A callback of a loop gets such a one,
// too, for tasks and goroutines to use.
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

// Read implements net.Conn. Bytes that do not fit p are lost.
func (n *netPacketConn) Read(p []byte) (int, error) {
	if len(p) == 0 && !n.conn.shut.Load() {
		return 0, nil
	}
	k, _, err := n.ReadFrom(p)
	return k, err
}

// Write implements net.Conn.
func (n *netPacketConn) Write(p []byte) (int, error) { return n.send(Datagram{Data: p}) }

// ReadFrom implements net.PacketConn. Bytes that do not fit p are lost.
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

// direct sets the destination of a message.
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

// destination is the address as a netip.AddrPort. Without a host it is the wildcard,
// which is this machine to the kernel.
func (c *PacketConn) destination(to netip.AddrPort) netip.AddrPort {
	switch {
	case to.Addr().IsValid():
		return to
	case c.family == syscall.AF_INET6:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), to.Port())
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())
}

// Close implements net.PacketConn. When it returns the address is free, except if it is
// called in a callback, which cannot wait.
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

// asOpError makes a *net.OpError of an error that is none.
func (c *PacketConn) asOpError(op string, err error) error {
	var known *net.OpError
	if errors.As(err, &known) {
		return err
	}
	return c.opError(op, err)
}

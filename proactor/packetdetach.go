package proactor

import (
	"context"
	"net"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// Detach takes the socket off its loop and returns it as a socket of package net: a
// *net.UDPConn, *net.UnixConn or *net.IPConn. It waits and fails as Conn.Detach does.
// Messages that were received and nobody has taken come first from all methods
// that receive, those of a Recv whose result nobody has taken included; the result is then
// of a type that embeds the one of package net. Descriptors that came with them are closed.
// Runtime.AdoptPacket is the opposite.
func (c *PacketConn) Detach() (net.PacketConn, error) {
	if err := c.loop.rt.mayWait(); err != nil {
		return nil, c.opError("detach", err)
	}
	d := &packetDetachment{conn: c, promise: futures.NewPromise[net.PacketConn]()}
	d.promise.SetCanceler(futures.CancelFunc(func() {}))
	if !c.loop.engine.Perform(d.begin) {
		d.promise.Fail(c.closedError("detach"))
	}
	return d.promise.Future().Await(context.Background())
}

// packetDetachment is a Detach under way.
type packetDetachment struct {
	conn    *PacketConn
	promise *futures.Promise[net.PacketConn]
}

// isDetaching reports whether it was or is being detached.
func (c *PacketConn) isDetaching() bool { return c.detaching != nil || c.detached }

// quiet reports whether nothing of it is in flight.
func (c *PacketConn) quiet() bool {
	return c.send.idle() && !c.send.polling && !c.recv.armed
}

func (d *packetDetachment) begin() {
	c := d.conn
	if err := c.send.refusal(); err != nil {
		d.promise.Fail(err)
		return
	}
	c.detaching = d
	end(&c.recv, c.opError("read", ErrDetached))
	if c.recv.armed && !c.recv.pausing {
		c.recv.pausing = true
		c.loop.engine.Cancel(c.recv.userData)
	}
	c.settled()
}

// settle makes the socket of package net once nothing is in flight, or fails if the
// PacketConn is being closed.
func (d *packetDetachment) settle() {
	c := d.conn
	c.detaching = nil
	if c.state != connOpen {
		c.loop.engine.Later(func() { d.promise.Fail(c.closedError("detach")) })
		return
	}
	conn, err := sockets.NetPacketConn(c.fd)
	if err != nil {
		c.loop.engine.Later(func() { d.promise.Fail(c.opError("detach", err)) })
		return
	}
	takeBack(receiving[Message](&c.recv))
	conn = withUnreadMessages(conn, c.takeUnread())
	c.detached = true
	c.beginEnd()
	c.Closed().Then(func(struct{}, error) { d.promise.Resolve(conn) })
}

// takeUnread copies what was received and nobody has taken.
func (c *PacketConn) takeUnread() (all []unreadMessage) {
	for c.recv.in.unread.Len() > 0 {
		m := c.recv.in.pop(&c.loop.packets)
		all = append(all, unreadMessage{
			data:      append([]byte(nil), m.Bytes()...),
			control:   append([]byte(nil), m.control()...),
			from:      m.FromAddr(),
			truncated: m.Truncated(),
		})
		m.lease.End()
	}
	return all
}

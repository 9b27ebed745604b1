package library

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// packetEnd is a PacketConn. The second end of a program is connected to the first.
type packetEnd struct {
	ctx       context.Context
	c         *proactor.PacketConn
	peer      net.Addr
	connected bool
	under     map[int]futures.Future[proactor.Message]
}

// sockets makes the two sockets of a program on the library.
func (m *machine) sockets(ctx context.Context, p *Program, dir string) (*streamPlayer, error) {
	if p.Medium == Unixpacket {
		pair, err := m.pair(ctx, Unixpacket)
		if err != nil {
			return nil, err
		}
		return &streamPlayer{ends: [2]end{newSeqpacketEnd(ctx, m.rt, pair[0]), newSeqpacketEnd(ctx, m.rt, pair[1])}}, nil
	}
	network, one, other := addresses(p.Medium, dir)
	first, err := m.rt.ListenPacket(network, one.String())
	if err != nil {
		return nil, err
	}
	second, err := patiently(ctx, m.rt.DialPacket(ctx, network, first.LocalAddr().String(), proactor.WithLocalAddr(other)).Await)
	if err != nil {
		return nil, err
	}
	return &streamPlayer{ends: [2]end{newPacketEnd(ctx, first, second.LocalAddr(), false), newPacketEnd(ctx, second, first.LocalAddr(), true)}}, nil
}

func newPacketEnd(ctx context.Context, c *proactor.PacketConn, peer net.Addr, connected bool) *packetEnd {
	return &packetEnd{ctx: ctx, c: c, peer: peer, connected: connected, under: map[int]futures.Future[proactor.Message]{}}
}

// addresses are those to bind to.
func addresses(m Medium, dir string) (network string, one, other net.Addr) {
	if m == UDP {
		a := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
		return "udp", a, a
	}
	return "unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "one")}, &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "other")}
}

func (e *packetEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		return e.read(s, p)
	case Write:
		return e.write(s, p)
	case Cancel:
		if f, ok := e.under[s.Target]; ok {
			f.Cancel()
		}
		return nil
	case EndReads:
		return at(e.c.SetReadDeadline(time.Unix(1, 0)))
	case EndWrites:
		return at(e.c.SetWriteDeadline(time.Unix(1, 0)))
	case MoveDeadlines:
		return at(e.c.SetDeadline(time.Time{}))
	case Close:
		err := e.c.Close()
		return func() Outcome { e.awaitClosed(); return outcome(0, err) }
	}
	panic("no verb of a socket")
}

func (e *packetEnd) awaitClosed() {
	if _, err := patiently(e.ctx, e.c.Closed().Await); err != nil {
		panic("a socket does not close: " + err.Error())
	}
}

func (e *packetEnd) close() {
	e.c.Close()
	e.awaitClosed()
}

func (e *packetEnd) read(s *Step, p *planned) func() Outcome {
	f := e.c.Recv()
	e.under[s.ID] = f
	return func() Outcome {
		defer delete(e.under, s.ID)
		var m proactor.Message
		var err error
		if s.Ended {
			if m, err = f.Await(ended(e.ctx)); class(err) == canceled && !p.ended {
				m, err = patiently(e.ctx, e.c.Recv().Await)
			}
		} else {
			m, err = patiently(e.ctx, f.Await)
		}
		if err != nil {
			return outcome(0, err)
		}
		defer m.Release()
		return Outcome{N: m.Len(), Sum: checksum(m.Bytes()), Text: sender(m.FromAddr(), e.peer)}
	}
}

// sender says who sent a message, if it was not the peer.
func sender(from, peer net.Addr) string {
	if from == nil || from.String() != peer.String() {
		return fmt.Sprintf("from %v", from)
	}
	return ""
}

func (e *packetEnd) write(s *Step, pl *planned) func() Outcome {
	p := pattern(pl.from, s.N)
	send := func() (func(context.Context) (int, error), bool) { return e.sender(s.Way, p) }
	await, batch := send()
	return func() Outcome {
		var n int
		var err error
		if s.Ended {
			if n, err = await(ended(e.ctx)); class(err) == canceled {
				await, batch = send()
				n, err = patiently(e.ctx, await)
			}
		} else {
			n, err = patiently(e.ctx, await)
		}
		if batch && n == 1 {
			n = s.N
		}
		return outcome(n, err)
	}
}

// sender is one of the calls that send. The result of a batch is a number of messages.
func (e *packetEnd) sender(way int, p []byte) (await func(context.Context) (int, error), batch bool) {
	d := proactor.Datagram{Data: p}
	switch to := e.peer.(type) {
	case *net.UDPAddr:
		if !e.connected {
			d.To = to.AddrPort()
		}
	case *net.UnixAddr:
		if !e.connected {
			d.ToName = to.Name
		}
	}
	switch way % 3 {
	case 0:
		return e.c.SendDatagram(d).Await, false
	case 1:
		return e.c.SendBatch([]proactor.Datagram{d}).Await, true
	}
	switch {
	case e.connected:
		return e.c.Send(p).Await, false
	case d.ToName != "":
		return e.c.SendToName(p, d.ToName).Await, false
	}
	return e.c.SendTo(p, d.To).Await, false
}

// seqpacketEnd is a Conn of which each receive takes one message.
type seqpacketEnd struct {
	*libraryEnd
	receives map[int]futures.Future[int]
	memory   map[int][]byte
}

func newSeqpacketEnd(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) *seqpacketEnd {
	return &seqpacketEnd{newLibraryEnd(ctx, rt, c), map[int]futures.Future[int]{}, map[int][]byte{}}
}

func (e *seqpacketEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		return e.readMessage(s, p)
	case Cancel:
		if f, ok := e.receives[s.Target]; ok {
			f.Cancel()
		}
		return nil
	case Write: // as one message: by the first three of the calls that send
		one := *s
		one.Way %= 3
		return e.libraryEnd.begin(&one, p)
	}
	return e.libraryEnd.begin(s, p)
}

func (e *seqpacketEnd) readMessage(s *Step, pl *planned) func() Outcome {
	p := make([]byte, Unixpacket.largest())
	receive := func() futures.Future[int] {
		if s.Way%2 == 0 {
			return e.receive(p)
		}
		return e.c.RecvInto(p)
	}
	f := receive()
	e.receives[s.ID] = f
	return func() Outcome {
		defer delete(e.receives, s.ID)
		var n int
		var err error
		if s.Ended {
			if n, err = f.Await(ended(e.ctx)); class(err) == canceled && !pl.ended {
				n, err = patiently(e.ctx, receive().Await)
			}
		} else {
			n, err = patiently(e.ctx, f.Await)
		}
		return Outcome{N: n, Sum: checksum(p[:n]), Error: class(err)}
	}
}

// messageConn is a socket of package net for messages.
type messageConn struct {
	*standardEnd
	peer      net.Addr
	connected bool
	medium    Medium
}

// standardSockets makes the two sockets of a program with package net.
func standardSockets(p *Program, dir string) (*streamPlayer, error) {
	if p.Medium == Unixpacket {
		pair, err := standardPair(Unixpacket)
		if err != nil {
			return nil, err
		}
		return &streamPlayer{ends: [2]end{newMessageConn(pair[0], nil, true, Unixpacket), newMessageConn(pair[1], nil, true, Unixpacket)}}, nil
	}
	network, one, other := addresses(p.Medium, dir)
	first, err := net.ListenPacket(network, one.String())
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: other}
	second, err := d.Dial(network, first.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	return &streamPlayer{ends: [2]end{newMessageConn(first.(net.Conn), second.LocalAddr(), false, p.Medium),
		newMessageConn(second, first.LocalAddr(), true, p.Medium)}}, nil
}

func newMessageConn(c net.Conn, peer net.Addr, connected bool, m Medium) *messageConn {
	return &messageConn{newStandardEnd(c), peer, connected, m}
}

func (e *messageConn) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Read:
		if p.ended {
			return at(errCanceled)
		}
		await := e.reads.do(func() Outcome { return e.receive(s.ID) })
		e.under[s.ID], e.isRead[s.ID] = await, true
		return await
	case Write:
		bytes := pattern(p.from, s.N)
		return e.writes.do(func() Outcome {
			if e.connected {
				return outcome(e.c.Write(bytes))
			}
			return outcome(e.c.(net.PacketConn).WriteTo(bytes, e.peer))
		})
	}
	return e.standardEnd.begin(s, p)
}

func (e *messageConn) receive(id int) Outcome {
	p := make([]byte, 70000)
	var from net.Addr
	n, err := e.transfer(id, func() (n int, err error) {
		if e.medium == Unixpacket {
			return e.c.Read(p)
		}
		n, from, err = e.c.(net.PacketConn).ReadFrom(p)
		return n, err
	})
	o := outcome(n, err)
	o.Sum = checksum(p[:n])
	if err == nil && e.medium != Unixpacket {
		o.Text = sender(from, e.peer)
	}
	return o
}

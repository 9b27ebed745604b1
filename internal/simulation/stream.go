package simulation

import (
	"bytes"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/ring"
)

// pipe is one direction of a connection.
type pipe struct {
	from, to *socket
	window   int
	flight   []segment // the first to arrive first
	bytes    int       // in flight
	last     time.Duration
	next     *event // the first one arrives
	stalled  bool   // there is a partition
}

// segment is what is on its way.
type segment struct {
	kind    segmentKind
	data    []byte
	arrival time.Duration
}

type segmentKind int

const (
	data segmentKind = iota
	syn              // of who connects
	synAck
	fin
	reset
)

// connected makes two sockets the ends of a connection.
func connected(a, b *socket) {
	window := max(1, a.net.conditions.Window)
	a.out, b.out = &pipe{from: a, to: b, window: window}, &pipe{from: b, to: a, window: window}
	a.in, b.in = b.out, a.out
}

// room is how many bytes may be sent now.
func (p *pipe) room() int { return max(0, p.window-p.bytes-len(p.to.unread)) }

// push sends a segment.
func (p *pipe) push(s segment) {
	n := p.from.net
	c := &n.conditions
	d := c.Latency + upTo(p.from.random, c.Jitter)
	p.last = max(p.last, n.now())
	if c.Bandwidth > 0 {
		p.last += time.Duration(len(s.data)) * time.Second / time.Duration(c.Bandwidth)
	}
	s.arrival = p.last + d
	if last := len(p.flight) - 1; last >= 0 {
		s.arrival = max(s.arrival, p.flight[last].arrival)
	}
	p.flight = append(p.flight, s)
	p.bytes += len(s.data)
	p.expect()
}

// expect has the first segment arrive when its time has come.
func (p *pipe) expect() {
	if len(p.flight) > 0 && p.next == nil && !p.stalled {
		p.next = p.from.net.at(p.flight[0].arrival, p.arrive)
	}
}

// arrive takes the first segment to its destination.
func (p *pipe) arrive() {
	p.next = nil
	if n := p.from.net; n.isCut(p.from.local.Addr(), p.to.local.Addr()) {
		p.stalled = true
		n.stalled = append(n.stalled, p)
		return
	}
	s := p.flight[0]
	p.flight = p.flight[1:]
	p.bytes -= len(s.data)
	p.to.arrive(s)
	p.expect()
}

// discard forgets what is on its way.
func (p *pipe) discard() {
	p.from.net.stop(p.next)
	p.next, p.flight, p.bytes = nil, nil, 0
}

// arrive takes what has come.
func (s *socket) arrive(g segment) {
	switch {
	case g.kind == syn:
		s.net.synArrived(s)
		return
	case g.kind == synAck:
		s.established()
		return
	case s.broken:
		return
	case g.kind == reset:
		s.gotReset()
		return
	case s.closed: // nobody reads it
		if g.kind == data {
			s.broken = true
			s.out.discard()
			s.out.push(segment{kind: reset})
		}
		return
	case g.kind == fin:
		s.ended = true
	default:
		s.unread = append(s.unread, g.data...)
	}
	s.advance()
}

// gotReset ends a connection that the peer has reset.
func (s *socket) gotReset() {
	if s.broken {
		return
	}
	s.broken, s.ended = true, true
	s.err = syscall.ECONNRESET
	s.unread = nil
	s.out.discard()
	if op := s.connecting; op != nil {
		s.connecting = nil
		s.err = 0
		op.fail(syscall.ECONNREFUSED)
	}
	s.advance()
}

// reset is for a connection that the program has reset.
func (s *socket) reset() {
	s.broken, s.ended, s.writeShut = true, true, true
	s.unread = nil
	s.out.discard()
	s.out.push(segment{kind: reset})
	s.err = syscall.ECONNRESET
	s.advance()
}

// receive begins a receive.
func (s *socket) receive(op *operation) syscall.Errno {
	const known = ring.MsgWaitAll | ring.MsgDontWait | ring.MsgNoSignal | ring.MsgTrunc | ring.MsgCMsgCloexec
	switch {
	case op.kind != ring.OpRead && op.entry.OpFlags&^known != 0, op.entry.Ioprio&ring.RecvSendBundle != 0:
		return s.owner.refuse(op)
	case s.kind != stream && s.kind != packets:
		return syscall.ENOTCONN
	}
	if op.kind == ring.OpRead {
		op.entry.OpFlags = 0
	}
	op.order = &s.lastRead
	s.reads = append(s.reads, op)
	s.advanceReads()
	return 0
}

// advanceReads serves what receives, or accepts.
func (s *socket) advanceReads() {
	for len(s.reads) > 0 {
		op := s.reads[0]
		served := false
		switch s.kind {
		case listening:
			served = s.acceptOne(op)
		case packets:
			served = s.receiveMessage(op)
		default:
			served = s.receiveBytes(op)
		}
		if !served {
			return
		}
	}
}

// endRead takes an operation that reads out of the line and posts its last completion.
func (s *socket) endRead(op *operation, result int32, flags uint32) bool {
	s.leave(op)
	op.finishWith(result, flags)
	return true
}

// receiveBytes serves a receive from a stream; false if it waits.
func (s *socket) receiveBytes(op *operation) bool {
	waitAll := op.entry.OpFlags&ring.MsgWaitAll != 0 && op.memory != nil
	if len(s.unread) == 0 {
		switch {
		case op.moved > 0 && (s.ended || s.readShut):
			return s.endRead(op, int32(op.moved), 0)
		case s.err != 0:
			return s.endRead(op, -int32(s.takeErr()), 0)
		case s.ended || s.readShut:
			return s.endRead(op, 0, 0)
		case op.entry.OpFlags&ring.MsgDontWait != 0:
			return s.endRead(op, -int32(syscall.EAGAIN), 0)
		}
		return false
	}
	if op.memory == nil {
		return s.receiveProvided(op)
	}
	n := s.portion(min(len(s.unread), op.memory.left()), waitAll)
	op.memory.put(s.read(n))
	op.moved += n
	if !waitAll || op.memory.left() == 0 {
		return s.endRead(op, int32(op.moved), 0)
	}
	return true
}

// receiveProvided receives into a buffer of a group.
func (s *socket) receiveProvided(op *operation) bool {
	g := op.queue.groups[op.entry.BufGroup]
	p := g.next()
	if p == nil {
		return s.endRead(op, -int32(syscall.ENOBUFS), 0)
	}
	n := min(len(s.unread), len(p))
	if limit := int(op.entry.Len); limit > 0 {
		n = min(n, limit)
	}
	n = s.portion(n, false)
	flags := op.queue.consume(g, op, s.read(n))
	if len(s.unread) > 0 {
		flags |= ring.CQEFSockNonEmpty
	}
	if !op.multishot || chance(s.random, s.net.conditions.Endings) {
		return s.endRead(op, int32(n), flags)
	}
	op.queue.post(op, int32(n), flags|ring.CQEFMore)
	return true
}

// portion is how much of n bytes are moved.
func (s *socket) portion(n int, all bool) int {
	if all || n < 2 || !chance(s.random, s.net.conditions.Short) {
		return n
	}
	return 1 + s.random.IntN(n)
}

// read takes bytes from what has come, which makes room for the peer.
func (s *socket) read(n int) []byte {
	p := bytes.Clone(s.unread[:n])
	s.unread = s.unread[n:]
	if peer := s.in.from; len(peer.writes)+len(peer.polls) > 0 {
		s.net.after(0, peer.advance)
	}
	return p
}

// send begins a send.
func (s *socket) send(op *operation) syscall.Errno {
	const known = ring.MsgWaitAll | ring.MsgDontWait | ring.MsgNoSignal | ring.MsgMore
	switch {
	case op.kind != ring.OpWrite && op.entry.OpFlags&^known != 0, op.header != nil && op.message.Controllen > 0:
		return s.owner.refuse(op)
	case s.kind == packets:
		return s.sendMessage(op)
	case s.kind != stream:
		return syscall.EPIPE
	}
	if op.kind == ring.OpWrite {
		op.entry.OpFlags = 0
	}
	op.order = &s.lastWritten
	s.writes = append(s.writes, op)
	s.advanceWrites()
	return 0
}

func (s *socket) advanceWrites() {
	for s.kind == stream && len(s.writes) > 0 && s.connecting == nil {
		if op := s.writes[0]; !s.sendBytes(op) {
			return
		}
	}
}

// sendBytes serves a send; false if it waits.
func (s *socket) sendBytes(op *operation) bool {
	end := func(errno syscall.Errno) bool {
		s.leave(op)
		if op.moved > 0 {
			op.finish(int32(op.moved))
			return true
		}
		op.fail(errno)
		return true
	}
	switch {
	case s.err != 0 && op.moved == 0:
		return end(s.takeErr())
	case s.broken || s.writeShut:
		return end(syscall.EPIPE)
	}
	if left := op.memory.left(); left > 0 {
		n := s.portion(min(left, s.out.room()), false)
		if n == 0 {
			if op.entry.OpFlags&ring.MsgDontWait != 0 {
				return end(syscall.EAGAIN)
			}
			return false
		}
		s.out.push(segment{data: op.memory.take(n)})
		op.moved += n
	}
	if op.memory.left() == 0 || op.entry.OpFlags&ring.MsgWaitAll == 0 {
		s.leave(op)
		op.finish(int32(op.moved))
	}
	return true
}

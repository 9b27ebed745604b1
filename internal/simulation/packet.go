package simulation

import (
	"bytes"
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// datagram is a message that has arrived.
type datagram struct {
	from netip.AddrPort
	data []byte
}

// inboxBytes is how many bytes a socket for messages keeps; more are lost.
const inboxBytes = 200 << 10

// sendMessage sends one, which does not wait.
func (s *socket) sendMessage(op *operation) syscall.Errno {
	op.order = &s.lastWritten
	to := s.remote
	if len(op.name) > 0 {
		to = sockets.IP(op.name)
	}
	switch {
	case !to.IsValid():
		return syscall.EDESTADDRREQ
	case op.memory.left() > 65507:
		return syscall.EMSGSIZE
	}
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	from := s.local
	if from.Addr().IsUnspecified() || !from.IsValid() {
		from = netip.AddrPortFrom(to.Addr(), from.Port())
	}
	n := op.memory.left()
	d := datagram{from, op.memory.take(n)}
	c := &s.net.conditions
	copies := 1
	if chance(s.random, c.Loss) || s.net.isCut(from.Addr(), to.Addr()) {
		copies = 0
	} else if chance(s.random, c.Duplicates) {
		copies = 2
	}
	for range copies {
		s.net.after(c.Latency+upTo(s.random, c.Jitter), func() { s.net.deliver(d, to) })
	}
	op.finish(int32(n))
	return 0
}

// deliver takes a message to its socket, if there is one.
func (n *Network) deliver(d datagram, to netip.AddrPort) {
	for _, s := range n.all {
		if s.kind != packets || s.local.Port() != to.Port() || s.local.Addr() != to.Addr() && !s.local.Addr().IsUnspecified() || !s.exists() {
			continue
		}
		if s.remote.IsValid() && s.remote != d.from {
			continue
		}
		held := 0
		for _, other := range s.inbox {
			held += len(other.data)
		}
		if held+len(d.data) <= inboxBytes {
			s.inbox = append(s.inbox, d)
			s.advance()
		}
		return
	}
}

// receiveMessage serves a receive of a message; false if it waits.
func (s *socket) receiveMessage(op *operation) bool {
	if len(s.inbox) == 0 {
		if op.entry.OpFlags&ring.MsgDontWait != 0 {
			return s.endRead(op, -int32(syscall.EAGAIN), 0)
		}
		return false
	}
	d := s.inbox[0]
	if op.memory != nil {
		s.inbox = s.inbox[1:]
		return s.endRead(op, s.intoMemory(op, d), 0)
	}
	g := op.queue.groups[op.entry.BufGroup]
	p := g.next()
	if p == nil {
		return s.endRead(op, -int32(syscall.ENOBUFS), 0)
	}
	s.inbox = s.inbox[1:]
	message := d.data
	if op.kind == ring.OpRecvmsg && op.multishot {
		message = s.framed(op, d, len(p))
	}
	n := min(len(message), len(p))
	flags := op.queue.consume(g, op, message[:n])
	if len(s.inbox) > 0 {
		flags |= ring.CQEFSockNonEmpty
	}
	if !op.multishot || chance(s.random, s.net.conditions.Endings) {
		return s.endRead(op, int32(n), flags)
	}
	op.queue.post(op, int32(n), flags|ring.CQEFMore)
	return true
}

// nameFor is the sender's address, as a socket of that family has it.
func (s *socket) nameFor(from netip.AddrPort) []byte {
	var a sockets.Address
	a.SetIP(from, s.handle.inet6)
	return a.Bytes()
}

// framed is a message with what a multishot receive puts before it.
func (s *socket) framed(op *operation, d datagram, room int) []byte {
	name := s.nameFor(d.from)
	head := ring.RecvmsgOut{Namelen: uint32(len(name)), Payloadlen: uint32(len(d.data))}
	out := make([]byte, ring.SizeofRecvmsgOut+int(op.message.Namelen)+int(op.message.Controllen))
	copy(out[ring.SizeofRecvmsgOut:][:op.message.Namelen], name)
	if len(out)+len(d.data) > room {
		head.Flags = ring.MsgTrunc
		if op.entry.OpFlags&ring.MsgTrunc == 0 {
			head.Payloadlen = uint32(max(0, room-len(out)))
		}
	}
	copy(out, (*[ring.SizeofRecvmsgOut]byte)(unsafe.Pointer(&head))[:])
	return append(out, d.data...)
}

// intoMemory puts a message into the memory of a receive.
func (s *socket) intoMemory(op *operation, d datagram) int32 {
	n := min(len(d.data), op.memory.left())
	op.memory.put(bytes.Clone(d.data[:n]))
	if h := op.header; h != nil {
		name := s.nameFor(d.from)
		if h.Name != nil {
			copy(unsafe.Slice(h.Name, op.message.Namelen), name)
		}
		h.Namelen, h.Controllen, h.Flags = uint32(len(name)), 0, 0
		if n < len(d.data) {
			h.Flags = int32(ring.MsgTrunc)
		}
	}
	if op.entry.OpFlags&ring.MsgTrunc != 0 {
		return int32(len(d.data))
	}
	return int32(n)
}

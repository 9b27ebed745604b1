package simulation

import (
	"bytes"
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// pattern is what memory holds that the queue has and has not written.
const pattern = 0xc5

// memory is that of an operation in flight.
type memory struct {
	bytes []byte
	parts [][]byte // of the caller
	saved []byte   // what was in them: of a receive what it does not write over comes back
	sends bool
	out   int // bytes that were taken from it, or written into it
}

// pointer is the address in a field of an entry. The caller keeps what is there in its
// place.
func pointer(field *uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(field)) }

func bytesAt(field *uint64, n int) []byte {
	if p := pointer(field); p != nil {
		return unsafe.Slice((*byte)(p), n)
	}
	return nil
}

// copy takes what the entry points to.
func (op *operation) copy() {
	f := &op.entry
	switch op.kind {
	case ring.OpTimeout, ring.OpLinkTimeout:
		op.duration = (*ring.Timespec)(pointer(&f.Addr)).Duration()
		if f.OpFlags&ring.TimeoutAbs != 0 {
			op.queue.refuse(op)
		}
	case ring.OpConnect:
		op.name = bytes.Clone(bytesAt(&f.Addr, int(f.Off)))
	case ring.OpSend, ring.OpWrite, ring.OpSendZC:
		op.memory = sending(bytesAt(&f.Addr, int(f.Len)))
	case ring.OpRead, ring.OpRecv:
		if f.Flags&ring.SQEBufferSelect == 0 {
			op.memory = receiving(bytesAt(&f.Addr, int(f.Len)))
		}
	case ring.OpSendmsg, ring.OpRecvmsg:
		op.header = (*ring.Msghdr)(pointer(&f.Addr))
		op.message = *op.header
		switch parts := op.parts(); {
		case op.kind == ring.OpSendmsg:
			op.memory = sending(parts...)
			if h := op.message; h.Name != nil {
				op.name = bytes.Clone(unsafe.Slice(h.Name, h.Namelen))
			}
		case f.Flags&ring.SQEBufferSelect == 0:
			op.memory = receiving(parts...)
		}
	}
}

// parts are the pieces of a message.
func (op *operation) parts() (parts [][]byte) {
	if op.entry.Flags&ring.SQEBufferSelect != 0 || op.message.Iov == nil {
		return nil
	}
	for _, v := range unsafe.Slice(op.message.Iov, op.message.Iovlen) {
		parts = append(parts, unsafe.Slice(v.Base, v.Len))
	}
	return parts
}

func joined(parts [][]byte) []byte { return bytes.Join(parts, nil) }

func sending(parts ...[]byte) *memory {
	saved := joined(parts)
	return &memory{bytes: saved, parts: parts, saved: saved, sends: true}
}

func receiving(parts ...[]byte) *memory {
	m := &memory{parts: parts, saved: joined(parts)}
	if len(parts) == 1 {
		m.bytes = parts[0]
	}
	for _, p := range parts {
		fill(p)
	}
	return m
}

func fill(p []byte) {
	for i := range p {
		p[i] = pattern
	}
}

func untouched(p []byte) bool {
	for _, b := range p {
		if b != pattern {
			return false
		}
	}
	return true
}

// left is how many bytes are left to be sent, or to be received.
func (m *memory) left() int { return len(m.saved) - m.out }

// take takes the next n bytes that are to be sent.
func (m *memory) take(n int) []byte {
	p := m.saved[m.out:][:n]
	m.out += n
	return bytes.Clone(p)
}

// put writes what was received behind what was received before.
func (m *memory) put(data []byte) {
	at := m.out
	m.out += len(data)
	for _, p := range m.parts {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		n := copy(p[at:], data)
		data, at = data[n:], 0
	}
}

// giveBack looks whether somebody touched the memory while the queue had it.
func (m *memory) giveBack(n *Network, op *operation) {
	now := joined(m.parts)
	switch {
	case m.sends && !bytes.Equal(now, m.saved):
		n.violated("memory of %v was changed before its completion", op.kind)
	case !m.sends && len(now) > 0 && !untouched(now[m.out:]):
		n.violated("memory of %v was written to before its completion", op.kind)
	}
	if m.sends {
		return
	}
	rest := m.saved[m.out:]
	for i := len(m.parts) - 1; i >= 0 && len(rest) > 0; i-- {
		k := min(len(rest), len(m.parts[i]))
		copy(m.parts[i][len(m.parts[i])-k:], rest[len(rest)-k:])
		rest = rest[:len(rest)-k]
	}
}

// group is one of provided buffers.
type group struct {
	ring    *queueabi.BufferRing
	head    uint16
	watched uint16 // up to where buffers were filled with the pattern
}

// watchGroups fills buffers that were provided since the last time.
func (q *Queue) watchGroups() {
	for _, g := range q.groups {
		for end := g.head + uint16(g.ring.Available(g.head)); g.watched != end; g.watched++ {
			fill(g.at(g.watched))
		}
	}
}

func (g *group) at(position uint16) []byte {
	addr, n, _ := g.ring.At(position)
	return bytesAt(&addr, int(n))
}

// next is the buffer that the next receive takes, nil if there is none.
func (g *group) next() []byte {
	if g == nil || g.head == g.watched {
		return nil
	}
	return g.at(g.head)
}

// consume takes that buffer, and returns the flags of the completion that names it.
func (q *Queue) consume(g *group, op *operation, data []byte) (flags uint32) {
	p := g.next()
	if !untouched(p) {
		q.net.violated("a provided buffer was written to while the queue had it, before %v", op.kind)
	}
	copy(p, data)
	_, _, id := g.ring.At(g.head)
	g.head++
	return ring.CQEFBuffer | uint32(id)<<16
}

// RegisterBufferRing implements ring.Queue.
func (q *Queue) RegisterBufferRing(number uint16, r *ring.BufferRing) error {
	q.net.mu.Lock()
	defer q.net.mu.Unlock()
	abi := (*queueabi.BufferRing)(r)
	switch {
	case q.groups[number] != nil:
		return syscall.EEXIST
	case abi.Incremental:
		return notSimulated("incremental buffers")
	}
	q.groups[number] = &group{ring: abi}
	q.watchGroups()
	return nil
}

// UnregisterBufferRing implements ring.Queue.
func (q *Queue) UnregisterBufferRing(number uint16) error {
	q.net.mu.Lock()
	defer q.net.mu.Unlock()
	if q.groups[number] == nil {
		return syscall.ENOENT
	}
	delete(q.groups, number)
	return nil
}

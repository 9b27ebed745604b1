package proactor

import (
	"fmt"

	"github.com/goproactor/goproactor/ring"
)

// The groups of provided buffers of a loop's queue.
const (
	bufferGroup  = 0 // for streams
	messageGroup = 1 // for messages, once there is a PacketConn
	bulkGroup    = 2 // for streams that fill buffers of the first group
)

// bufferPool is the memory that a loop's receives choose from: blocks provided
// to the queue through a buffer ring. Idle connections hold none of it.
//
// A block is in the ring, spare, or out: consumed, with leases on it. It comes
// back when the last of them ends. When a receive finds none, the ring gets
// twice as many, and the pool grows, up to its limit; beyond that, receives
// wait for a lease to end.
//
// The queue takes blocks first in, first out, so all that are in the ring get
// their turn, and large messages in many blocks are never in the cache. So the
// ring holds no more than are needed at a time, and what it is given is what
// came back last.
type bufferPool struct {
	loop    *Loop
	ring    *ring.BufferRing
	size    int // bytes of a block
	limit   int // blocks at most
	blocks  []*block
	spare   []*block // neither in the ring nor out, the warmest last
	inRing  int
	target  int // of inRing
	least   int // inRing was, since turns began to count
	turns   int // in which the ring was not seen running low
	free    *lease
	refused bool // a receive found nothing, and went elsewhere

	starved fifo[starveling] // were refused for want of a buffer, first come first
}

// starveling is a receive that was refused.
type starveling interface{ fed() }

type block struct {
	mem      []byte
	id       uint16
	inRing   bool
	consumed int // bytes handed out of an incrementally consumed block
	leases   int
}

const (
	// slab is how many bytes the pool begins with. What no receive has filled
	// takes no memory.
	slab = 4 << 20

	// firstTarget is how many blocks the ring holds until more are needed, less
	// if a slab has not as many.
	firstTarget = 32

	// After so many turns in which half of the ring was never needed, it is
	// made smaller.
	calmTurns = 1024
)

func (p *bufferPool) open(l *Loop, group uint16, size, count int, incremental bool) error {
	r, err := ring.NewBufferRing(count)
	if err != nil {
		return err
	}
	r.Incremental = incremental
	if err := l.queue.RegisterBufferRing(group, r); err != nil {
		return fmt.Errorf("provide %d buffers of %d bytes: %w", count, size, err)
	}
	p.loop, p.ring, p.size, p.limit = l, r, size, count
	p.grow()
	p.target = min(firstTarget, len(p.blocks))
	p.publish()
	return nil
}

// grow doubles the pool, from one slab on, up to its limit.
func (p *bufferPool) grow() {
	n := min(max(slab/p.size, 1, len(p.blocks)), p.limit-len(p.blocks))
	if n <= 0 {
		return
	}
	// Blocks a power of two apart would fight for the same few sets of the
	// cache: step each by a page and a line more.
	const page, line = 4096, 64
	stride := p.size + line
	if p.size >= 4*page {
		stride += page
	}
	mem := make([]byte, n*stride)
	blocks := make([]block, n)
	for i := range blocks {
		b := &blocks[i]
		b.mem, b.id = mem[i*stride:][:p.size:p.size], uint16(len(p.blocks))
		p.blocks = append(p.blocks, b)
	}
	for i := range blocks {
		p.spare = append(p.spare, &blocks[n-1-i])
	}
}

// openBulk opens the pool of larger buffers, if it is not open: false if there
// are none, and the others have to do.
//
// The kernel's part of receiving and sending on costs about a microsecond a
// piece, whatever its size: 256 KiB in eight pieces took half as long again as
// in one. But larger buffers for everyone would never be in the cache.
func (l *Loop) openBulk() bool {
	if l.bulk.ring != nil {
		return true
	}
	o := &l.rt.options
	size, count := o.bufferSize*bulkFactor, o.bufferCount/bulkFactor
	if l.withoutBulk || size > maxBulk || count < 2 {
		return false
	}
	err := l.bulk.open(l, bulkGroup, size, count, false)
	l.withoutBulk = err != nil // for want of memory that may be locked
	return err == nil
}

const (
	bulkFactor = 8       // the larger buffers are so much larger, and so many fewer
	maxBulk    = 4 << 20 // bytes
)

func (p *bufferPool) provide(b *block) {
	b.inRing, b.consumed = true, 0
	p.inRing++
	p.ring.Add(b.mem, b.id)
}

// publish shows the queue what came back since the last time.
func (p *bufferPool) publish() {
	if p.ring == nil {
		return
	}
	starved := p.starved.len() > 0
	if starved || p.refused {
		p.refused = false
		p.widen()
	} else {
		p.narrow()
	}
	for p.inRing < p.target && len(p.spare) > 0 {
		last := len(p.spare) - 1
		p.provide(p.spare[last])
		p.spare = p.spare[:last]
	}
	if starved {
		p.feed()
	}
	p.ring.Publish()
}

// widen makes the ring, and if need be the pool, larger.
func (p *bufferPool) widen() {
	p.target = min(2*p.target, p.limit)
	p.least, p.turns = p.target, 0
	if p.target > len(p.blocks) {
		p.grow()
	}
}

// narrow makes the ring smaller when half of it has not been needed for long.
func (p *bufferPool) narrow() {
	p.least = min(p.least, p.inRing)
	if p.turns++; p.turns < calmTurns {
		return
	}
	if p.least > p.target/2 {
		p.target = max(p.target/2, min(firstTarget, p.limit))
	}
	p.least, p.turns = p.target, 0
}

// feed lets receives that were refused try again: no more of them than there
// are blocks, or they would only be refused again.
func (p *bufferPool) feed() {
	for n := min(p.inRing, p.starved.len()); n > 0; n-- {
		p.starved.pop().fed()
	}
}

// out is the number of blocks that are leased.
func (p *bufferPool) out() int { return len(p.blocks) - p.inRing - len(p.spare) }

// received makes the lease for a completion that put n bytes into block id.
func (p *bufferPool) received(id uint16, n int, flags uint32) Buffer {
	b := p.blocks[id]
	from := b.consumed
	b.consumed += n
	b.leases++
	if flags&ring.CQEFBufMore == 0 {
		b.inRing = false
		p.inRing--
	}
	data := b.mem[from : from+n : from+n]
	raceWrote(data)
	return p.lease(data, b)
}

// unused takes back a block that a completion named without filling it.
func (p *bufferPool) unused(id uint16, flags uint32) {
	if b := p.blocks[id]; flags&ring.CQEFBufMore == 0 && b.inRing {
		b.inRing = false
		p.inRing--
		p.settle(b)
	}
}

// scarce says that blocks run low, so that data nobody reads yet should not
// sit on them.
func (p *bufferPool) scarce() bool { return p.out() > len(p.blocks)/4*3 }

// copied moves a lease's data to memory of its own and frees its block.
func (p *bufferPool) copied(b Buffer) Buffer {
	data, whole := append([]byte(nil), b.Bytes()...), b.lease.whole
	p.release(b.lease)
	b = p.lease(data, nil)
	b.lease.whole = whole
	return b
}

func (p *bufferPool) lease(data []byte, b *block) Buffer {
	l := p.free
	if l == nil {
		l = &lease{pool: p}
	} else {
		p.free = l.next
	}
	l.data, l.block, l.next = data, b, nil
	return Buffer{l, l.generation.Load()}
}

// release ends a lease. Only the loop calls it.
func (p *bufferPool) release(l *lease) {
	b := l.block
	l.generation.Add(1)
	poison(l.data)
	l.data, l.block, l.whole = nil, nil, 0
	l.next, p.free = p.free, l
	if b != nil {
		b.leases--
		p.settle(b)
	}
}

// settle takes a block back once the queue and all holders are done with it.
func (p *bufferPool) settle(b *block) {
	if b.leases == 0 && !b.inRing {
		p.spare = append(p.spare, b)
	}
}

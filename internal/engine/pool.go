package engine

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/ring"
)

// Pool is memory that a loop's receives choose from: blocks provided to the
// queue through a buffer ring. Idle connections hold none of it.
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
type Pool struct {
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
	free    *Lease
	refused bool // a receive found nothing, and went elsewhere

	waiters fifo.Queue[BufferWaiter] // found no buffer, first come first
}

// BufferWaiter is a receive that found no buffer.
type BufferWaiter interface {
	// BuffersBack is called once when there are some.
	BuffersBack()
}

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

// Open provides buffers of size bytes, count at most, as a group of the queue.
func (p *Pool) Open(l *Loop, group uint16, size, count int) error {
	r, err := ring.NewBufferRing(count)
	if err != nil {
		return err
	}
	if err := l.queue.RegisterBufferRing(group, r); err != nil {
		return fmt.Errorf("provide %d buffers of %d bytes: %w", count, size, err)
	}
	p.loop, p.ring, p.size, p.limit = l, r, size, count
	p.grow()
	p.target = min(firstTarget, len(p.blocks))
	p.Publish()
	return nil
}

// Opened says that the pool is open.
func (p *Pool) Opened() bool { return p.ring != nil }

// Size is the length of a buffer in bytes.
func (p *Pool) Size() int { return p.size }

// Buffers counts the buffers allocated.
func (p *Pool) Buffers() int { return len(p.blocks) }

// grow doubles the pool, from one slab on, up to its limit.
func (p *Pool) grow() {
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

func (p *Pool) provide(b *block) {
	b.inRing, b.consumed = true, 0
	p.inRing++
	p.ring.Add(b.mem, b.id)
}

// Publish shows the queue what came back since the last time.
func (p *Pool) Publish() {
	if p.ring == nil {
		return
	}
	waiting := p.waiters.Len() > 0
	if waiting || p.refused {
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
	if waiting {
		p.wakeWaiters()
	}
	p.ring.Publish()
}

// widen makes the ring, and if need be the pool, larger.
func (p *Pool) widen() {
	p.target = min(2*p.target, p.limit)
	p.least, p.turns = p.target, 0
	if p.target > len(p.blocks) {
		p.grow()
	}
}

// narrow makes the ring smaller when half of it has not been needed for long.
func (p *Pool) narrow() {
	p.least = min(p.least, p.inRing)
	if p.turns++; p.turns < calmTurns {
		return
	}
	if p.least > p.target/2 {
		p.target = max(p.target/2, min(firstTarget, p.limit))
	}
	p.least, p.turns = p.target, 0
}

// Wait makes w wait for buffers.
func (p *Pool) Wait(w BufferWaiter) { p.waiters.Push(w) }

// Refused notes that a receive found no buffer, and does without this pool.
func (p *Pool) Refused() { p.refused = true }

// wakeWaiters lets receives that found no buffer try again: no more of them than
// there are blocks, or they would only be refused again.
func (p *Pool) wakeWaiters() {
	for n := min(p.inRing, p.waiters.Len()); n > 0; n-- {
		p.waiters.Pop().BuffersBack()
	}
}

// Out is the number of buffers that are leased.
func (p *Pool) Out() int { return len(p.blocks) - p.inRing - len(p.spare) }

// Received makes the lease for a completion that put n bytes into a buffer, with
// the flags that it had.
func (p *Pool) Received(n int, flags uint32) *Lease {
	b := p.blocks[flags>>16]
	from := b.consumed
	b.consumed += n
	b.leases++
	if flags&ring.CQEFBufMore == 0 {
		b.inRing = false
		p.inRing--
	}
	data := b.mem[from : from+n : from+n]
	RaceWrote(data)
	return p.lease(data, b)
}

// Unused takes back a buffer that a completion named without filling it.
func (p *Pool) Unused(flags uint32) {
	if b := p.blocks[flags>>16]; flags&ring.CQEFBufMore == 0 && b.inRing {
		b.inRing = false
		p.inRing--
		p.settle(b)
	}
}

// Scarce says that buffers run low, so that data nobody reads yet should not sit
// on them.
func (p *Pool) Scarce() bool { return p.Out() > len(p.blocks)/4*3 }

// Copied moves a lease's data to memory of its own and frees its buffer.
func (p *Pool) Copied(l *Lease) *Lease {
	data, whole := append([]byte(nil), l.data...), l.whole
	p.release(l)
	l = p.lease(data, nil)
	l.whole = whole
	return l
}

// Own makes a lease on memory that is not the pool's.
func (p *Pool) Own(data []byte) *Lease { return p.lease(data, nil) }

func (p *Pool) lease(data []byte, b *block) *Lease {
	l := p.free
	if l == nil {
		l = &Lease{pool: p}
	} else {
		p.free = l.next
	}
	l.data, l.block, l.next = data, b, nil
	return l
}

// release ends a lease.
func (p *Pool) release(l *Lease) {
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
func (p *Pool) settle(b *block) {
	if b.leases == 0 && !b.inRing {
		p.spare = append(p.spare, b)
	}
}

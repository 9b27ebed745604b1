package engine

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/ring"
)

// Pool is memory that a loop's receives choose from: blocks provided to the
// queue through a buffer ring. Idle connections hold none of it.
//
// A block is in the ring, spare, or lent: filled, with a lease on it. How many of
// them one connection may hold, and what happens beyond: account.go. A receive that
// finds none waits until there are some again.
//
// The queue takes blocks first in, first out, so all that are in the ring get
// their turn, and large messages in many blocks are never in the cache. So the
// ring holds no more than are needed at a time, and what it is given is what
// came back last. When receives find none, it gets twice as many; but not when
// those that were there have brought as much at a time as stays in the cache: then
// more would have all of it go through memory. When there is nothing left to give it
// the pool grows, up to its limit.
type Pool struct {
	loop   *Loop
	ring   *ring.BufferRing
	size   int // bytes of a block
	limit  int // blocks at most
	bytes  int // of memory for them, with the gaps between
	blocks []*block
	spare  []*block // neither in the ring nor lent, the warmest last
	inRing int
	out    int // lent
	target int // of inRing
	floor  int // of target
	filled int // bytes that receives have brought since the last turn
	least  int // inRing was, since turns began to count
	turns  int // in which the ring was not seen running low
	free   *Lease
	copied uint64
	copies copies

	waiters fifo.Queue[BufferWaiter] // found no buffer, first come first
}

// BufferWaiter is a receive that found no buffer.
type BufferWaiter interface {
	// BuffersBack is called once when there are some.
	BuffersBack()
}

type block struct {
	mem []byte
	id  uint16
}

const (
	// firstBytes is how many bytes the pool begins with. What no receive has filled
	// takes no memory.
	firstBytes = 4 << 20

	// warmBytes is how much is received at a time at most where blocks are filled: what
	// a core's own cache holds.
	warmBytes = 1 << 20

	// The ring holds no fewer blocks than those bytes are, within these bounds.
	leastFloor, mostFloor = 2, 32

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
	p.floor = min(max(leastFloor, warmBytes/size), mostFloor, count)
	p.target = p.floor
	p.grow()
	p.Publish()
	return nil
}

// Opened says that the pool is open.
func (p *Pool) Opened() bool { return p.ring != nil }

// Size is the length of a buffer in bytes.
func (p *Pool) Size() int { return p.size }

// Buffers counts the buffers allocated.
func (p *Pool) Buffers() int { return len(p.blocks) }

// Bytes is how much memory is allocated for them.
func (p *Pool) Bytes() int { return p.bytes }

// grow doubles the pool, from firstBytes on, up to its limit.
func (p *Pool) grow() {
	n := min(max(firstBytes/p.size, 1, len(p.blocks)), p.limit-len(p.blocks))
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
	p.bytes += len(mem)
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
	p.inRing++
	p.ring.Add(b.mem, b.id)
}

// Publish shows the queue what came back since the last time.
func (p *Pool) Publish() {
	if p.ring == nil {
		return
	}
	waiting := p.waiters.Len() > 0
	switch {
	case p.filled >= warmBytes:
		p.halve()
	case waiting:
		p.widen()
	default:
		p.narrow()
	}
	p.filled = 0
	for p.inRing < p.target && p.hasSpare() {
		last := len(p.spare) - 1
		p.provide(p.spare[last])
		p.spare = p.spare[:last]
	}
	if waiting {
		p.wakeWaiters()
	}
	p.ring.Publish()
}

// hasSpare says that there is a block for the ring. The pool grows when the ring is
// running low, before it is dry: one that is dry when the loop goes to sleep stays dry
// until something wakes the loop, and that may be never.
func (p *Pool) hasSpare() bool {
	if len(p.spare) == 0 && p.inRing < p.floor/2+1 {
		p.grow()
	}
	return len(p.spare) > 0
}

// widen makes the ring larger, and the pool if it has not as many blocks.
func (p *Pool) widen() {
	p.aim(min(2*p.target, p.limit))
	if p.target > len(p.blocks) {
		p.grow()
	}
}

// narrow makes the ring smaller when half of it has not been needed for long.
func (p *Pool) narrow() {
	p.least = min(p.least, p.inRing)
	switch p.turns++; {
	case p.turns < calmTurns:
	case p.least > p.target/2:
		p.halve()
	default:
		p.aim(p.target)
	}
}

// halve makes the ring smaller.
func (p *Pool) halve() { p.aim(max(p.target/2, p.floor)) }

// aim sets how many blocks the ring is to hold, and begins to count turns.
func (p *Pool) aim(target int) { p.target, p.least, p.turns = target, target, 0 }

// Wait makes w wait for buffers.
func (p *Pool) Wait(w BufferWaiter) { p.waiters.Push(w) }

// AtLimit says that the ring cannot hold more blocks: when receives find none then, the
// pool is too small.
func (p *Pool) AtLimit() bool { return p.target == p.limit }

// wakeWaiters lets receives that found no buffer try again: no more of them than
// there are blocks, or they would only be refused again.
func (p *Pool) wakeWaiters() {
	for n := min(p.inRing, p.waiters.Len()); n > 0; n-- {
		p.waiters.Pop().BuffersBack()
	}
}

// Out is the number of buffers that are lent.
func (p *Pool) Out() int { return p.out }

// Copied counts what was received and copied out of a buffer at once.
func (p *Pool) Copied() uint64 { return p.copied }

// Received makes the lease for a completion that put n bytes into a buffer, with
// the flags that it had. It is charged to a.
func (p *Pool) Received(n int, flags uint32, a *Account) *Lease {
	b := p.blocks[flags>>16]
	p.inRing--
	p.filled += n
	data := b.mem[:n:n]
	RaceWrote(data)
	if p.lends(a) {
		return p.lease(data, b, a)
	}
	l := p.ownCopy(data, a)
	p.spare = append(p.spare, b)
	return l
}

// Unused takes back a buffer that a completion named without filling it.
func (p *Pool) Unused(flags uint32) {
	p.inRing--
	p.spare = append(p.spare, p.blocks[flags>>16])
}

// smallData is up to how many bytes are few, see Unwanted.
const smallData = 2 << 10

// Unwanted reports whether n bytes that nobody waits for are better copied out of
// their buffer: they are few, and many buffers are lent.
func (p *Pool) Unwanted(n int) bool { return n <= smallData && p.out >= p.limit/8 }

// Settled is the lease for data that nobody waits for.
func (p *Pool) Settled(l *Lease) *Lease {
	if l.block == nil || !p.Unwanted(len(l.data)) {
		return l
	}
	copied := p.ownCopy(l.data, l.account)
	copied.whole = l.whole
	p.release(l)
	return copied
}

// ownCopy makes a lease on a copy of data.
func (p *Pool) ownCopy(data []byte, a *Account) *Lease {
	return p.OwnMemory(len(data), a).filled(data)
}

// OwnMemory makes a lease on n bytes that are not in a buffer, for the caller to
// copy what is in one.
func (p *Pool) OwnMemory(n int, a *Account) *Lease {
	p.copied++
	l := p.lease(p.copies.memory(n), nil, a)
	l.kept = true
	return l
}

// Own makes a lease on memory that is not the pool's.
func (p *Pool) Own(data []byte, a *Account) *Lease { return p.lease(data, nil, a) }

func (p *Pool) lease(data []byte, b *block, a *Account) *Lease {
	l := p.unused()
	l.data, l.memory, l.block = data, data, b
	l.charge(a)
	p.checkBudget(a)
	return l
}

// unused is a lease on nothing.
func (p *Pool) unused() *Lease {
	l := p.free
	if l == nil {
		return &Lease{pool: p}
	}
	p.free, l.next = l.next, nil
	return l
}

// checkBudget tells the host when more is held than may be.
func (p *Pool) checkBudget(a *Account) {
	if budget := p.loop.config.Budget; p.loop.held > budget || a.held > budget/AccountShare {
		p.loop.host.OverBudget()
	}
}

// release ends a lease.
func (p *Pool) release(l *Lease) {
	l.hook.Remove()
	l.credit()
	l.generation.Add(1)
	if l.attached != nil {
		l.Attached().LeaseEnded()
	}
	root := l.root
	if root == nil {
		poison(l.data)
	}
	switch {
	case l.block != nil:
		p.spare = append(p.spare, l.block)
	case l.kept:
		p.copies.keep(l.memory)
	}
	l.data, l.memory, l.block, l.root, l.whole, l.kept = nil, nil, nil, nil, 0, false
	l.uncharged.Store(false)
	l.next, p.free = p.free, l
	if root != nil {
		root.EndAnywhere()
	}
}

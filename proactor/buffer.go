package proactor

import "sync/atomic"

// Buffer is a lease on received data. The bytes are the holder's, to read and
// to change, until Release, or until they are given away with Conn.Send or
// Conn.Queue. The zero Buffer is empty, and releasing it does nothing.
//
// A Buffer is a small value; all copies stand for the one lease.
type Buffer struct {
	lease      *lease
	generation uint32
}

// lease is what a Buffer stands for. A pool's leases are used over and over;
// the generation tells a Buffer of an earlier use.
type lease struct {
	data       []byte
	block      *block // nil when data is memory of its own
	whole      int    // of a message of which data is only a part: its length
	pool       *bufferPool
	next       *lease // in the pool's list of free leases
	generation atomic.Uint32
	trace      leaseTrace
}

// Bytes is the data. It panics if the lease is over: those bytes belong to
// another receive by now.
func (b Buffer) Bytes() []byte {
	if b.lease == nil {
		return nil
	}
	b.check("Bytes")
	return b.lease.data
}

// Len is the number of bytes.
func (b Buffer) Len() int { return len(b.Bytes()) }

// Release ends the lease; the memory serves other receives. Any goroutine may
// call it. Each lease is released once: a second Release by the same holder
// panics, because the lease may be somebody else's by then. With the debug build
// tag the panic shows where the lease ended, and released memory is overwritten.
func (b Buffer) Release() {
	if b.lease == nil {
		return
	}
	b = b.take("Release")
	l := b.lease.pool.loop
	if l.Inside() {
		b.lease.end()
		return
	}
	// When the loop has ended its buffers are garbage, not to be given back.
	l.Post((*releaseElsewhere)(b.lease))
}

func (b Buffer) check(what string) {
	if b.lease.generation.Load() != b.generation {
		b.misused(what)
	}
}

//go:noinline
func (b Buffer) misused(what string) {
	panic("proactor: Buffer." + what + " after the lease has ended: it was released, or given away with Send or Queue" + b.lease.trace.where(b.generation))
}

// giveBack ends a lease that the library holds, on loop l; the lease may be
// another loop's.
func (b Buffer) giveBack(l *Loop) {
	if b.lease.pool.loop == l {
		b.lease.end()
		return
	}
	b.lease.pool.loop.Post((*releaseElsewhere)(b.lease))
}

// releaseElsewhere is a lease on its way home from another goroutine.
type releaseElsewhere lease

func (r *releaseElsewhere) Run() { (*lease)(r).end() }

// end gives the memory back. Only the loop calls it.
func (l *lease) end() { l.pool.release(l) }

// take moves the lease to a new holder: Buffers of the old one are over. Of
// several goroutines that try, one succeeds.
func (b Buffer) take(how string) Buffer {
	if b.lease == nil {
		return b
	}
	b.check(how) // before the trace, which is the holder's to write
	b.lease.trace.ended(b.generation, how)
	if !b.lease.generation.CompareAndSwap(b.generation, b.generation+1) {
		b.misused(how)
	}
	return Buffer{b.lease, b.generation + 1}
}

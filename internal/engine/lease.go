package engine

import "sync/atomic"

// Lease is a share in a pool's memory. A pool's leases are used over and over:
// the generation tells the holder of an earlier use, whose lease is over.
type Lease struct {
	data       []byte
	block      *block // nil when data is memory of its own
	whole      int    // of a message of which data is only a part: its length
	pool       *Pool
	next       *Lease // in the pool's list of free leases
	generation atomic.Uint32
	trace      leaseTrace
}

// Generation identifies the present use.
func (l *Lease) Generation() uint32 { return l.generation.Load() }

// Data is the leased memory, for the library: Bytes checks who asks.
func (l *Lease) Data() []byte { return l.data }

// SetData leaves a part of the data to the lease.
func (l *Lease) SetData(data []byte) { l.data = data }

// Whole is the length of a message of which the data is only a part, else zero.
func (l *Lease) Whole() int { return l.whole }

// SetWhole: see Whole.
func (l *Lease) SetWhole(n int) { l.whole = n }

// Shared says that the data is in a buffer of the pool, not in memory of its
// own.
func (l *Lease) Shared() bool { return l.block != nil }

// Bytes is the data for a holder of that generation. It panics if that use is
// over, with what names the call.
func (l *Lease) Bytes(generation uint32, what string) []byte {
	if l.generation.Load() != generation {
		l.misused(generation, what)
	}
	return l.data
}

//go:noinline
func (l *Lease) misused(generation uint32, what string) {
	panic("proactor: Buffer." + what + " after the lease has ended: it was released, or given away with Send or Queue" + l.trace.where(generation))
}

// Take moves the lease to a new holder, whose generation it returns; the old
// one's use is over. Of several goroutines that try, one succeeds and the others
// panic. how names the call. Any goroutine may call it.
func (l *Lease) Take(generation uint32, how string) uint32 {
	if l.generation.Load() != generation { // before the trace, which is the holder's to write
		l.misused(generation, how)
	}
	l.trace.ended(generation, how)
	if !l.generation.CompareAndSwap(generation, generation+1) {
		l.misused(generation, how)
	}
	return generation + 1
}

// End gives the memory back. Only the lease's loop calls it.
func (l *Lease) End() { l.pool.release(l) }

// EndAnywhere is End from any goroutine. When the loop has ended its buffers are
// garbage, not to be given back.
func (l *Lease) EndAnywhere() {
	if on := l.pool.loop; on.Inside() {
		l.End()
	} else {
		on.Post((*returningLease)(l))
	}
}

// returningLease is a lease on its way home from another goroutine.
type returningLease Lease

func (r *returningLease) Run() { (*Lease)(r).End() }

// Pool is the pool that the lease is of.
func (l *Lease) Pool() *Pool { return l.pool }

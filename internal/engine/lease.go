package engine

import (
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
)

// Lease is a share in a pool's memory, or memory of its own. A pool's leases are
// used over and over: the generation tells the holder of an earlier use, whose
// lease is over.
type Lease struct {
	data       []byte
	memory     []byte   // of which data is what is left
	kept       bool     // memory goes back to the pool's copies
	block      *block   // nil when data is memory of its own
	account    *Account // that it is charged to
	size       int64    // bytes charged
	pool       *Pool
	next       *Lease // in the pool's list of free leases
	generation atomic.Uint32
	uncharged  atomic.Bool // the charge is still on its way to the loop, see charge
	whole      int         // of a message of which data is only a part: its length
	attached   Attachment

	root   *Lease       // whose memory it shares, see Retain
	others atomic.Int32 // holders besides one

	hook     futures.EndHook // in the list of the task that has it
	outlives atomic.Uint64   // the generation that Keep was called for elsewhere, and wasKept
	granted  uint32          // generation that the task has
	trace    leaseTrace
}

// Generation identifies the present use.
func (l *Lease) Generation() uint32 { return l.generation.Load() }

// Data is the leased memory, for the library: Bytes checks who asks.
func (l *Lease) Data() []byte { return l.data }

// SetData leaves a part of the data to the lease.
func (l *Lease) SetData(data []byte) { l.data = data }

// filled copies data into the lease.
func (l *Lease) filled(data []byte) *Lease {
	copy(l.data, data)
	return l
}

// Whole is the length of a message of which the data is only a part, else zero.
func (l *Lease) Whole() int { return l.whole }

// SetWhole: see Whole.
func (l *Lease) SetWhole(n int) { l.whole = n }

// Attachment is what came with the data and is given back with the memory, such as
// descriptors.
type Attachment interface{ LeaseEnded() }

// Attach ties a to the lease.
func (l *Lease) Attach(a Attachment) { l.attached = a }

// HasAttachment says that something is tied to the lease.
func (l *Lease) HasAttachment() bool { return l.attached != nil }

// Attached is what is tied to the lease, which is not any more; nil is nothing.
func (l *Lease) Attached() (a Attachment) {
	a, l.attached = l.attached, nil
	return a
}

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
	panic("proactor: Buffer." + what + " after the lease has ended: it was released, given away with Send or Queue, or its task has returned (see Buffer.Keep)" + l.trace.where(generation))
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

// Grant makes the lease end when t does, unless its holder has released it or
// given it away before. Until the lease is taken, e is told instead of it.
func (l *Lease) Grant(t *futures.Task, e futures.TaskEnder) {
	l.granted = l.generation.Load()
	t.AddEndHook(&l.hook, e)
}

// Taken notes that the task t has taken the lease; nil is none, and then the lease
// stays with the task it was granted to, if to any.
func (l *Lease) Taken(t *futures.Task) {
	if t != nil {
		l.hook.Remove()
		l.Grant(t, l)
	} else if l.hook.Added() {
		l.hook.Hand(l)
	}
}

// wasKept tells a generation in outlives from none.
const wasKept = 1 << 32

// Keep makes the use of that generation, the present one, outlive its task. Any goroutine
// may call it. Elsewhere it must not be left to the loop: the task may end first, or the
// lease serve another task by then.
func (l *Lease) Keep(generation uint32) {
	if l.pool.loop.Inside() {
		l.hook.Remove()
	} else {
		l.outlives.Store(wasKept | uint64(generation))
	}
}

// TaskEnded implements futures.TaskEnder: it ends the lease of a task that has
// ended, unless its holder has released it, given it away or kept it.
func (l *Lease) TaskEnded(*futures.Task) {
	if l.outlives.Load() == wasKept|uint64(l.granted) {
		return
	}
	if l.generation.CompareAndSwap(l.granted, l.granted+1) {
		l.trace.ended(l.granted, "return of its task")
		l.End()
	}
}

// End gives the memory back, if nobody else holds it. Only the lease's loop calls
// it.
func (l *Lease) End() {
	if l.isLast() {
		l.pool.release(l)
	}
}

// EndAnywhere is End from any goroutine. When the loop has ended its buffers are
// garbage, not to be given back, and the end is only counted.
func (l *Lease) EndAnywhere() {
	if !l.isLast() {
		return
	}
	on := l.pool.loop
	if on.Inside() {
		l.pool.release(l)
		return
	}
	if !on.Post((*returningLease)(l)) {
		on.ended.note(l)
	}
}

// endedLeases counts leases that ended when their loop had ended.
type endedLeases struct{ buffers, bytes atomic.Int64 }

// note counts l, which nobody else holds.
func (e *endedLeases) note(l *Lease) {
	if root := l.root; root != nil {
		root.EndAnywhere()
		return
	}
	if a := l.Attached(); a != nil {
		a.LeaseEnded()
	}
	if l.uncharged.CompareAndSwap(true, false) {
		return
	}
	if l.block != nil {
		e.buffers.Add(1)
	}
	e.bytes.Add(l.size)
}

// EndedLate is how many of the buffers that were lent when the loop ended, and of the
// bytes held, have been given back since. Any goroutine may call it.
func (l *Loop) EndedLate() (buffers int, bytes int64) {
	return int(l.ended.buffers.Load()), l.ended.bytes.Load()
}

// returningLease is a lease on its way home from another goroutine. Nobody else
// holds it.
type returningLease Lease

func (r *returningLease) Run() {
	l := (*Lease)(r)
	l.pool.release(l)
}

// Lent says that the data is in a buffer of the pool, not in memory of its own.
func (l *Lease) Lent() bool { return l.block != nil }

// Pool is the pool that the lease is of.
func (l *Lease) Pool() *Pool { return l.pool }

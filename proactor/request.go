package proactor

import (
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/slab"
)

// request is a call whose result is still to come, or still to be taken. Those
// made on the loop come from a pool and go back when their result was taken; one
// from another goroutine is used once.
type request[T any] struct {
	futures.Promise[T]
	pool  *requestPool[T]
	owner requestOwner[T] // nil while a call of another goroutine is on its way to the loop

	// Of those whose result holds a lease, which has to be given back when nobody
	// ever takes the result:
	task       *futures.Task // that made the call, if one did
	lease      *engine.Lease // of the result, if there is one
	prev, next *request[T]   // in its owner's list
}

// requestOwner is what a request was made of.
type requestOwner[T any] interface {
	// withdraw ends a request that is canceled. It runs on the loop.
	withdraw(r *request[T])
	// untaken lists the requests whose result nobody has taken; nil where results
	// hold nothing.
	untaken() *requestList[T]
}

// requestPool keeps requests that are over. What was used last is used first, for
// it is in the cache.
type requestPool[T any] struct {
	loop *Loop
	free []*request[T]
	slab slab.Slab[request[T]]
}

// requestSlab is how many new requests are allocated at a time. A task makes the first of
// its own, and the allocator's slow way, which is taken when it needs a new page, does
// not fit on the smallest stack: each such task would keep a larger one.
const requestSlab = 512

// begin makes a request on the loop, to which the caller gives its result.
func (p *requestPool[T]) begin(owner requestOwner[T]) (*request[T], futures.Future[T]) {
	for last := len(p.free) - 1; last >= 0; last-- {
		r := p.free[last]
		p.free = p.free[:last]
		if f, ok := r.Renew(); ok {
			r.owner = owner
			return r, f
		}
	}
	r := p.slab.New(requestSlab)
	r.pool, r.owner = p, owner
	r.Bind(&p.loop.engine, r)
	f, _ := r.Renew()
	return r, f
}

// elsewhere makes a request of a goroutine that is not on the loop. It has no owner
// until the call gets there.
func (p *requestPool[T]) elsewhere() *request[T] {
	r := &request[T]{pool: p}
	r.SetCanceler(r)
	return r
}

// Recycle implements futures.Recycler: somebody takes the result.
func (r *request[T]) Recycle() {
	if r.next != nil {
		r.owner.untaken().remove(r)
	}
	if r.lease != nil {
		r.lease.Taken(r.pool.loop.engine.Tasks().Current())
	}
	r.owner, r.task, r.lease = nil, nil, nil
	r.pool.free = append(r.pool.free, r)
}

// Cancel implements futures.Canceler.
func (r *request[T]) Cancel() {
	if r.Bound() {
		r.owner.withdraw(r)
	} else {
		r.pool.loop.engine.Do(r.withdraw)
	}
}

// Recancel implements futures.Recanceler.
func (r *request[T]) Recancel() { r.Cancel() }

// withdraw ends a request that is canceled, and may not have reached the loop.
func (r *request[T]) withdraw() {
	switch {
	case !r.Pending():
	case r.owner == nil:
		r.Fail(futures.ErrCanceled)
	default:
		r.owner.withdraw(r)
	}
}

// fail ends the request in a turn of its own: what led here may be in the middle
// of a list that the program's callback may change.
func (r *request[T]) fail(err error) { r.pool.loop.engine.Later(func() { r.Fail(err) }) }

// track has the result given back when the connection ends, or the task that makes
// the call, if nobody has taken it.
func (r *request[T]) track() {
	r.task = r.pool.loop.engine.Tasks().Current()
	r.owner.untaken().add(r)
}

// resolve gives the request a result that holds a lease.
func (r *request[T]) resolve(v T, l *engine.Lease) {
	r.lease = l
	if r.task != nil && !r.task.Ended() {
		l.Grant(r.task, r)
	}
	r.Resolve(v)
	if r.task != nil && r.task.Ended() { // nobody took it, and nobody will
		r.reclaim()
	}
}

// TaskEnded implements futures.TaskEnder. The result may have been taken all the
// same: of one that another goroutine has asked for, Recycle does not tell.
func (r *request[T]) TaskEnded(t *futures.Task) {
	if !r.reclaim() && r.lease != nil {
		r.lease.TaskEnded(t)
	}
}

// reclaim gives back what nobody has taken, false if there is nothing such.
func (r *request[T]) reclaim() bool {
	lease := r.lease
	_, ok := r.takeBack()
	if ok {
		lease.End()
	}
	return ok
}

// takeBack takes the result if nobody has, false if there is nothing such.
func (r *request[T]) takeBack() (v T, ok bool) {
	if r.next != nil {
		r.owner.untaken().remove(r)
	}
	if r.lease == nil {
		return v, false // it failed, and whoever asks may know why
	}
	if v, ok = r.Reclaim(); ok {
		r.lease = nil
	}
	return v, ok
}

// requestList is the requests of one connection whose result nobody has taken,
// first come first. It is circular, so that it takes one word.
type requestList[T any] struct{ first *request[T] }

// add appends r. A request of another goroutine leaves when a later one is added:
// no word of its result being taken reaches the loop.
func (s *requestList[T]) add(r *request[T]) {
	for s.first != nil && s.first.Taken() {
		s.remove(s.first)
	}
	if s.first == nil {
		s.first, r.prev, r.next = r, r, r
		return
	}
	last := s.first.prev
	r.prev, r.next = last, s.first
	last.next, s.first.prev = r, r
}

func (s *requestList[T]) remove(r *request[T]) {
	if r.next == r {
		s.first = nil
	} else {
		r.prev.next, r.next.prev = r.next, r.prev
		if s.first == r {
			s.first = r.next
		}
	}
	r.prev, r.next = nil, nil
}

// reclaim gives back what nobody has taken of all of them.
func (s *requestList[T]) reclaim() {
	for s.first != nil {
		s.first.reclaim()
	}
}

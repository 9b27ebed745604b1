package epollfallback

import "math/bits"

// registry finds waiting operations by their user data, for cancels. It is a
// hash table whose chains run through the operations: an operation enters and
// leaves it without an allocation.
//
// Which of several a cancel finds first is nobody's right. It is the one that
// the kernel finds, because the table is as the kernel's, with the newest first
// in each chain, until it grows.
type registry struct {
	buckets []*operation
	shift   int
	used    int
}

func newRegistry(completions int) registry {
	n := min(max(bits.Len(uint(completions))-1-5, 1), 8)
	return registry{buckets: make([]*operation, 1<<n), shift: 64 - n}
}

func (r *registry) bucket(userData uint64) **operation {
	const goldenRatio = 0x61c8864680b583eb
	return &r.buckets[userData*goldenRatio>>r.shift]
}

func (r *registry) add(op *operation) {
	if r.used >= 4*len(r.buckets) {
		r.grow()
	}
	op.registered = true
	r.used++
	r.insert(op)
}

func (r *registry) insert(op *operation) {
	b := r.bucket(op.userData)
	op.hashPrev, op.hashNext = nil, *b
	if op.hashNext != nil {
		op.hashNext.hashPrev = op
	}
	*b = op
}

func (r *registry) remove(op *operation) {
	if op.hashPrev != nil {
		op.hashPrev.hashNext = op.hashNext
	} else {
		*r.bucket(op.userData) = op.hashNext
	}
	if op.hashNext != nil {
		op.hashNext.hashPrev = op.hashPrev
	}
	op.registered = false
	r.used--
}

// grow quadruples the table. Chains keep their order, newest first, because each
// is walked from its oldest.
func (r *registry) grow() {
	old := r.buckets
	r.buckets = make([]*operation, 4*len(old))
	r.shift -= 2
	for _, op := range old {
		if op == nil {
			continue
		}
		for op.hashNext != nil {
			op = op.hashNext
		}
		for op != nil {
			newer := op.hashPrev
			r.insert(op)
			op = newer
		}
	}
}

// find returns the newest operation with that user data that matches.
func (r *registry) find(userData uint64, match func(*operation) bool) *operation {
	for op := *r.bucket(userData); op != nil; op = op.hashNext {
		if op.userData == userData && match(op) {
			return op
		}
	}
	return nil
}

// findOldest returns the oldest one.
func (r *registry) findOldest(userData uint64, match func(*operation) bool) (oldest *operation) {
	for op := *r.bucket(userData); op != nil; op = op.hashNext {
		if op.userData == userData && match(op) {
			oldest = op
		}
	}
	return oldest
}

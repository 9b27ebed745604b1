package engine

import (
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/slab"
)

// Loan is a queue that is empty most of the time, as those of a connection are.
// It takes one word then: its memory belongs to a Lender, and is on loan while
// something is in it.
type Loan[T any] struct{ queue *fifo.Queue[T] }

// Lender keeps the memory that is not on loan. What is given back last is lent
// first, for it is in the cache.
type Lender[T any] struct {
	idle  []*fifo.Queue[T]
	large []*fifo.Queue[T] // have memory for a burst
	slab  slab.Slab[fifo.Queue[T]]
}

// A lender keeps so many: enough that a server with as many busy connections
// allocates nothing.
const (
	lenderKeeps = 16 << 10
	largeKept   = 64
	largeItems  = 4 // more than these make a queue large
	lenderSlab  = 256
)

func (l *Lender[T]) lend() *fifo.Queue[T] {
	if len(l.large) > 0 {
		return popLast(&l.large)
	}
	if len(l.idle) > 0 {
		return popLast(&l.idle)
	}
	return l.slab.New(lenderSlab)
}

func popLast[E any](list *[]E) E {
	last := len(*list) - 1
	e := (*list)[last]
	*list = (*list)[:last]
	return e
}

func (l *Lender[T]) takeBack(f *fifo.Queue[T]) {
	if f.Cap() > largeItems && len(l.large) < largeKept {
		l.large = append(l.large, f)
		return
	}
	f.Trim(largeItems)
	if len(l.idle) < lenderKeeps {
		l.idle = append(l.idle, f)
	}
}

// Len counts the items.
func (q *Loan[T]) Len() int {
	if q.queue == nil {
		return 0
	}
	return q.queue.Len()
}

// At is the i-th from the front.
func (q *Loan[T]) At(i int) *T { return q.queue.At(i) }

// Push puts v at the end.
func (q *Loan[T]) Push(from *Lender[T], v T) {
	if q.queue == nil {
		q.queue = from.lend()
	}
	q.queue.Push(v)
}

// Unpop puts v before the front.
func (q *Loan[T]) Unpop(from *Lender[T], v T) {
	if q.queue == nil {
		q.queue = from.lend()
	}
	q.queue.Unpop(v)
}

// Pop takes the first item.
func (q *Loan[T]) Pop(to *Lender[T]) T {
	v := q.queue.Take()
	q.settle(to)
	return v
}

// Cut removes the i-th and everything behind it, and returns that in order.
func (q *Loan[T]) Cut(to *Lender[T], i int) []T {
	if q.queue == nil {
		return nil
	}
	tail := q.queue.Cut(i)
	q.settle(to)
	return tail
}

// settle gives the memory back when nothing is in it.
func (q *Loan[T]) settle(to *Lender[T]) {
	if q.queue.Len() == 0 {
		to.takeBack(q.queue)
		q.queue = nil
	}
}

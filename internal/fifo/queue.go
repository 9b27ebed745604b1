// Package fifo has the queue that loops, connections and futures are made of.
package fifo

// Queue is a first-in first-out queue. It is a ring that doubles when full. Once it
// has served a burst it gives its memory up when it runs empty, so that an idle
// connection holds none.
type Queue[T any] struct {
	items []T // a power of two
	head  uint32
	count uint32
}

// popKeeps is the size up to which an empty queue keeps its memory.
const popKeeps = 4

// Len counts the items.
func (q *Queue[T]) Len() int { return int(q.count) }

// At is the i-th from the front.
func (q *Queue[T]) At(i int) *T {
	return &q.items[(q.head+uint32(i))&uint32(len(q.items)-1)]
}

// Push puts v at the end.
func (q *Queue[T]) Push(v T) {
	if int(q.count) == len(q.items) {
		q.grow()
	}
	q.count++
	*q.At(int(q.count) - 1) = v
}

// Pop takes the first item. A queue that runs empty gives up the memory of a
// burst.
func (q *Queue[T]) Pop() T {
	v := q.Take()
	q.Trim(popKeeps)
	return v
}

// Take is Pop of a queue that keeps its memory: one that is seldom idle.
func (q *Queue[T]) Take() T {
	p := q.At(0)
	v := *p
	var zero T
	*p = zero
	q.head++
	q.count--
	return v
}

// Trim gives up the memory of an empty queue that a rare burst has made larger
// than so many items.
func (q *Queue[T]) Trim(items int) {
	if q.count == 0 && len(q.items) > items {
		q.items, q.head = nil, 0
	}
}

// Unpop puts v before the front.
func (q *Queue[T]) Unpop(v T) {
	if int(q.count) == len(q.items) {
		q.grow()
	}
	q.head--
	q.count++
	*q.At(0) = v
}

func (q *Queue[T]) grow() {
	items := make([]T, max(1, 2*len(q.items)))
	for i := range int(q.count) {
		items[i] = *q.At(i)
	}
	q.items, q.head = items, 0
}

// Cut removes the i-th and everything behind it, and returns that in order.
func (q *Queue[T]) Cut(i int) []T {
	var tail []T
	var zero T
	for j := i; j < int(q.count); j++ {
		p := q.At(j)
		tail = append(tail, *p)
		*p = zero
	}
	q.count = uint32(min(i, int(q.count)))
	return tail
}

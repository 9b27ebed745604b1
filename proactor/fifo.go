package proactor

// fifo is a queue that owns its memory: a ring that doubles when full and, once
// it has served a burst, goes back to nothing when it runs empty, so that an
// idle connection holds none.
type fifo[T any] struct {
	items []T // a power of two
	head  uint32
	count uint32
}

// fifoKeeps is the size up to which an empty queue keeps its memory.
const fifoKeeps = 4

func (q *fifo[T]) len() int { return int(q.count) }

// at is the i-th from the front.
func (q *fifo[T]) at(i int) *T {
	return &q.items[(q.head+uint32(i))&uint32(len(q.items)-1)]
}

func (q *fifo[T]) push(v T) {
	if int(q.count) == len(q.items) {
		q.grow()
	}
	q.count++
	*q.at(int(q.count) - 1) = v
}

func (q *fifo[T]) pop() T {
	v := q.take()
	q.trim(fifoKeeps)
	return v
}

// take is pop of a queue that keeps its memory: one that is seldom idle.
func (q *fifo[T]) take() T {
	p := q.at(0)
	v := *p
	var zero T
	*p = zero
	q.head++
	q.count--
	return v
}

// trim gives up the memory of an empty queue that a rare burst has made larger
// than so many items.
func (q *fifo[T]) trim(items int) {
	if q.count == 0 && len(q.items) > items {
		q.items, q.head = nil, 0
	}
}

// unpop puts v before the front.
func (q *fifo[T]) unpop(v T) {
	if int(q.count) == len(q.items) {
		q.grow()
	}
	q.head--
	q.count++
	*q.at(0) = v
}

func (q *fifo[T]) grow() {
	items := make([]T, max(1, 2*len(q.items)))
	for i := range int(q.count) {
		items[i] = *q.at(i)
	}
	q.items, q.head = items, 0
}

// cut removes the i-th and everything behind it, and returns that in order.
func (q *fifo[T]) cut(i int) []T {
	var tail []T
	var zero T
	for j := i; j < int(q.count); j++ {
		p := q.at(j)
		tail = append(tail, *p)
		*p = zero
	}
	q.count = uint32(min(i, int(q.count)))
	return tail
}

package proactor

// loan is a fifo that is empty most of the time, as those of a connection are:
// one word while it is, for its memory is the loop's, on loan while something
// is in it.
type loan[T any] struct{ fifo *fifo[T] }

// lender is where a loop keeps what is not on loan. What is given back last is
// lent first, for it is in the cache.
type lender[T any] struct{ idle []*fifo[T] }

// lenderKeeps is how many a lender keeps: enough that a server with as many
// busy connections allocates nothing.
const lenderKeeps = 16 << 10

func (l *lender[T]) lend() *fifo[T] {
	last := len(l.idle) - 1
	if last < 0 {
		return new(fifo[T])
	}
	f := l.idle[last]
	l.idle = l.idle[:last]
	return f
}

func (l *lender[T]) takeBack(f *fifo[T]) {
	if len(l.idle) < lenderKeeps {
		l.idle = append(l.idle, f)
	}
}

func (q *loan[T]) len() int {
	if q.fifo == nil {
		return 0
	}
	return q.fifo.len()
}

// at is the i-th from the front.
func (q *loan[T]) at(i int) *T { return q.fifo.at(i) }

func (q *loan[T]) push(from *lender[T], v T) {
	if q.fifo == nil {
		q.fifo = from.lend()
	}
	q.fifo.push(v)
}

// unpop puts v before the front.
func (q *loan[T]) unpop(from *lender[T], v T) {
	if q.fifo == nil {
		q.fifo = from.lend()
	}
	q.fifo.unpop(v)
}

func (q *loan[T]) pop(to *lender[T]) T {
	v := q.fifo.pop()
	q.settle(to)
	return v
}

// cut removes the i-th and everything behind it, and returns that in order.
func (q *loan[T]) cut(to *lender[T], i int) []T {
	if q.fifo == nil {
		return nil
	}
	tail := q.fifo.cut(i)
	q.settle(to)
	return tail
}

// settle gives the memory back when nothing is in it.
func (q *loan[T]) settle(to *lender[T]) {
	if q.fifo.len() == 0 {
		to.takeBack(q.fifo)
		q.fifo = nil
	}
}

package ring

// backlog holds, in order, completions taken out of a full completion queue.
// They are older than all that is still in it.
type backlog struct {
	cqes []CQE
	head int // of those, already popped
}

func (b *backlog) empty() bool { return b.head == len(b.cqes) }

func (b *backlog) push(c CQE) {
	if b.head > 0 {
		b.cqes = b.cqes[:copy(b.cqes, b.cqes[b.head:])]
		b.head = 0
	}
	b.cqes = append(b.cqes, c)
}

// pop moves up to len(dst) of the oldest into dst.
func (b *backlog) pop(dst []CQE) int {
	if b.empty() {
		return 0
	}
	n := copy(dst, b.cqes[b.head:])
	if b.head += n; b.empty() {
		b.cqes, b.head = b.cqes[:0], 0
	}
	return n
}

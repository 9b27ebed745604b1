package ring

import (
	"sync/atomic"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// The completions of a ring that can receive without copying are twice as large
// (IORING_SETUP_CQE32, Linux 5.19): the second half says where in the area a piece is.
// They become completions like others here, with a number for the piece.
//
// Linux 6.18 has rings with completions of both sizes as well (IORING_SETUP_CQE_MIXED).
// They are not used. Where a large one does not fit before the end of the queue, a filler
// goes there; if there is no room behind it either, the kernel puts the next completion
// in the filler's place, and counts one behind it: what was there before comes again, and
// one is lost (seen on 6.18.44, with nops).

// noteReceives notes which of the entries not noted yet bring pieces. A completion does not say.
func (r *Ring) noteReceives() {
	for i := r.noted; i != r.tail; i++ {
		if e := r.m.sqes[i&r.sqMask].entry(); Op(e.Opcode) == OpRecvZC {
			r.receivers.add(e.UserData, 0)
		}
	}
}

// largeCompletion is one of 32 bytes.
type largeCompletion struct {
	CQE
	offset uint64 // of the piece that it brings, if it does (struct io_uring_zcrx_cqe)
}

// collectLarge is the part of collect that takes from the completion queue. While the
// program has so many pieces that there is no number for one more, what receives bring is
// set aside, and the others pass: it may be for them that the program keeps the pieces.
func (r *Ring) collectLarge(dst []CQE) (n int) {
	for ; n < len(dst) && r.hasNamed(); n++ {
		dst[n] = r.named(r.unnamed.Take())
	}
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail && n < len(dst); head++ {
		place := head & r.cqMask * 2
		c := largeCompletion{r.m.cqes[place], r.m.cqes[place+1].UserData()}
		switch {
		case r.receivers.at(c.UserData()) == nil:
			dst[n] = c.CQE
			n++
		case r.unnamed.Len() > 0 || !r.canName(&c):
			r.unnamed.Push(c)
		default:
			dst[n] = r.named(c)
			n++
		}
	}
	atomic.StoreUint32(r.m.cqHead, head)
	return n
}

// hasNamed reports whether what was set aside first has a number by now.
func (r *Ring) hasNamed() bool { return r.unnamed.Len() > 0 && r.canName(r.unnamed.At(0)) }

// brings reports whether the completion of a receive brings a piece.
func (r *Ring) brings(c *largeCompletion) bool { return c.Result() > 0 && r.area != nil }

func (r *Ring) canName(c *largeCompletion) bool { return !r.brings(c) || r.area.HasNumber() }

// named is the completion of a receive as the program sees it.
func (r *Ring) named(c largeCompletion) CQE {
	if !c.More() {
		r.receivers.remove(c.UserData())
	}
	if !r.brings(&c) {
		return c.CQE
	}
	piece, _ := r.area.Name(c.offset, uint32(c.Result()))
	return CQE(queueabi.NewCQE(c.UserData(), c.Result(), c.Flags()|CQEFBuffer|uint32(piece)<<16))
}

// spillLarge is spill.
func (r *Ring) spillLarge() {
	var some [64]CQE
	for n := r.collectLarge(some[:]); n > 0; n = r.collectLarge(some[:]) {
		for _, c := range some[:n] {
			r.backlog.Push(c)
		}
	}
}

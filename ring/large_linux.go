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

// largeAt is the completion at a place. It has to stay there if that is not ok: then the
// program has so many pieces that there is no number for one more.
func (r *Ring) largeAt(head uint32) (c CQE, ok bool) {
	place := head & r.cqMask * 2
	c = r.m.cqes[place]
	if r.receivers.at(c.UserData()) == nil {
		return c, true
	}
	if c.Result() > 0 && r.area != nil {
		offset := r.m.cqes[place+1].UserData() // struct io_uring_zcrx_cqe: it comes first
		piece, ok := r.area.Name(offset, uint32(c.Result()))
		if !ok {
			return c, false
		}
		c = CQE(queueabi.NewCQE(c.UserData(), c.Result(), c.Flags()|CQEFBuffer|uint32(piece)<<16))
	}
	if !c.More() {
		r.receivers.remove(c.UserData())
	}
	return c, true
}

// collectLarge is the part of collect that takes from the completion queue.
func (r *Ring) collectLarge(dst []CQE) (n int) {
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail && n < len(dst); head++ {
		c, ok := r.largeAt(head)
		if !ok {
			break
		}
		dst[n] = c
		n++
	}
	atomic.StoreUint32(r.m.cqHead, head)
	return n
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

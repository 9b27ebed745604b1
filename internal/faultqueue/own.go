package faultqueue

import "github.com/goproactor/goproactor/ring"

// own is the entries that the queue submits itself, besides those of the caller.
type own struct {
	inFlight  int
	cancels   int // of them
	submitted uint64
}

// What all ones in the upper half of user data stand for is for queues, see package
// engine.
const (
	cancelData uint64 = 1<<64 - 0xfa + iota
	floodData
)

// floods is how many entries overflow a completion queue of the size that package ring
// gives it: four times that of the submission queue, which package proactor makes 1024.
// The last ones meet the overflow.
const floods = (4+1)*1024 + 1

// is reports whether a completion is of such an entry, and notes it.
func (o *own) is(c ring.CQE) bool {
	switch c.UserData() {
	case cancelData:
		o.cancels--
	case floodData:
	default:
		return false
	}
	o.inFlight--
	return true
}

func (q *Queue) nextOwn(userData uint64, prepare func(*ring.SQE)) {
	q.own.inFlight++
	q.own.submitted++
	sqe := q.inner.Next()
	prepare(sqe)
	sqe.SetUserData(userData)
}

// submitOwn begins what the queue has to do itself. The caller is about to submit: no
// chain is left open.
//
// A cancel may miss a multishot that has more to do than its turn allows: so there is
// another one until all have ended.
func (q *Queue) submitOwn() {
	if q.own.cancels == 0 {
		for userData := range q.ending {
			q.own.cancels++
			q.nextOwn(cancelData, func(sqe *ring.SQE) { sqe.PrepCancel(userData, 0) })
		}
	}
	if !q.overflow {
		return
	}
	q.overflow = false
	for range floods {
		q.nextOwn(floodData, (*ring.SQE).PrepNop)
	}
}

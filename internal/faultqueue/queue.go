package faultqueue

import (
	"sort"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// Queue is a ring.Queue above another.
type Queue struct {
	inner   ring.Queue
	plan    Plan
	counts  map[counted]int   // entries so far
	entries map[uint64]*entry // in flight, by user data
	filling *ring.SQE         // that Next gave last: it is filled at the next call
	chain   *order            // that the next entry belongs to, if any
	undo    []func()          // of what was changed in the caller's memory until Enter

	held     []completion // not reaped, the first to come first
	finals   int          // of them
	round    int
	posted   uint64          // completions so far
	ending   map[uint64]bool // multishots that are being canceled
	overflow bool            // the completion queue is to overflow
	own      own
}

var _ ring.Queue = (*Queue)(nil)

// New makes one above inner, which belongs to it from then on.
func New(inner ring.Queue, plan Plan) *Queue {
	return &Queue{inner: inner, plan: plan, counts: map[counted]int{}, entries: map[uint64]*entry{}, ending: map[uint64]bool{}}
}

// counted is what entries are counted by. A loop's reads of its eventfd, whose number
// depends on time, are so counted apart from those of files.
type counted struct {
	kind   ring.Op
	target Kind
}

// entry is a submission entry in flight.
type entry struct {
	userData uint64
	kind     ring.Op
	fault    Fault
	order    *order

	replaced bool // another entry that does nothing stands for it
	failing  bool // that other one fails, which is to break a link
	fails    bool // it is performed, and fails all the same

	multishot bool
	shots     int        // completions so far
	ends      bool       // its cancel is under way
	last      []ring.CQE // completions since then

	brings int     // descriptors of a success
	pipe   uintptr // where those of a pipe are written
}

// order keeps the completions of an entry, or of a chain, in their order.
type order struct{ due int }

// completion is one that the caller has not reaped.
type completion struct {
	cqe   ring.CQE
	entry *entry
	due   int    // round in which it comes
	nth   uint64 // of all
}

// Next implements ring.Queue.
func (q *Queue) Next() *ring.SQE {
	q.filled()
	q.filling = q.inner.Next()
	return q.filling
}

// filled takes the entry that Next gave last, and which is filled by now.
func (q *Queue) filled() {
	if q.filling == nil {
		return
	}
	f := (*queueabi.SQE)(q.filling).Entry()
	q.filling = nil
	o := describe(f)
	of := counted{o.Kind, o.Target}
	o.Nth, o.Chained = q.counts[of], o.Linked || q.chain != nil
	q.counts[of]++
	e := &entry{userData: f.UserData, kind: o.Kind, order: q.chain, fault: q.plan(o), multishot: o.Multishot}
	if e.order == nil {
		e.order = new(order)
	}
	if q.chain = nil; o.Linked {
		q.chain = e.order
	}
	e.expect(f)
	q.entries[e.userData] = e
	q.apply(e, f, o)
}

// apply makes the entry go wrong.
func (q *Queue) apply(e *entry, f *queueabi.Entry, o Operation) {
	q.overflow = q.overflow || e.fault.Overflow
	switch fault := &e.fault; {
	case !o.Multishot:
		fault.Ends = 0
	case fault.Ends > 0:
		return
	}
	switch {
	case e.fault.Errno == 0:
		q.shorten(f, o, e.fault.Limit)
	case o.Kind == ring.OpClose, o.Kind == ring.OpAsyncCancel:
		e.fails = true
	default:
		e.replace(f)
	}
}

// replace puts an entry that does nothing in the place of e. Where e's failure breaks a
// link, it fails.
func (e *entry) replace(f *queueabi.Entry) {
	const kept = ring.SQELink | ring.SQEHardLink | ring.SQEDrain
	e.replaced = true
	nothing := queueabi.Entry{Opcode: uint8(ring.OpNop), Flags: f.Flags & kept, FD: -1, UserData: f.UserData}
	if f.Flags&ring.SQELink != 0 && e.kind.BreaksLink() {
		e.failing = true
		nothing.Opcode = uint8(ring.OpRead) // of no descriptor
	}
	*f = nothing
	e.brings = 0
}

// Reserve implements ring.Queue.
func (q *Queue) Reserve(n int) error {
	q.filled()
	return q.inner.Reserve(n)
}

// pause is for how long Enter waits for what may overtake completions that are late.
const pause = 20 * time.Microsecond

// Enter implements ring.Queue.
func (q *Queue) Enter(wait time.Duration) error {
	q.filled()
	begun := time.Now()
	for {
		q.submitOwn()
		err := q.inner.Enter(q.patience(wait, begun))
		for _, undo := range q.undo {
			undo()
		}
		q.undo = q.undo[:0]
		own := q.collect()
		q.round++
		switch {
		case err != nil || q.ready() || wait == 0 || wait > 0 && time.Since(begun) >= wait:
			return err
		case len(q.held) == 0 && len(q.ending) == 0 && own == 0:
			return nil // a signal
		}
	}
}

// patience is for how long the queue below is to wait.
func (q *Queue) patience(wait time.Duration, begun time.Time) time.Duration {
	switch {
	case wait == 0 || q.ready():
		return 0
	case len(q.held) > 0 && wait < 0:
		return pause
	case wait < 0:
		return wait
	}
	wait = max(0, wait-time.Since(begun))
	if len(q.held) > 0 {
		wait = min(wait, pause)
	}
	return wait
}

// ready reports whether there is something to reap.
func (q *Queue) ready() bool { return len(q.held) > 0 && q.held[0].due <= q.round }

// collect takes completions from the queue below. It returns how many of them were the
// queue's own.
func (q *Queue) collect() (own int) {
	var some [64]ring.CQE
	for n := q.inner.Reap(some[:]); n > 0; n = q.inner.Reap(some[:]) {
		for _, c := range some[:n] {
			if q.own.is(c) {
				own++
				continue
			}
			q.take(c)
		}
	}
	return own
}

// take takes one completion.
func (q *Queue) take(c ring.CQE) {
	e := q.entries[c.UserData()]
	if e == nil { // there is no such entry; the caller finds out, too
		e = &entry{userData: c.UserData(), order: new(order)}
	}
	c = e.answer(c)
	if e.ends {
		e.last = append(e.last, c)
		if !c.More() {
			delete(q.ending, e.userData)
			for _, c := range e.lastOnes() {
				q.hold(e, c)
			}
		}
		return
	}
	e.shots++
	if c.More() && e.shots == e.fault.Ends {
		e.ends, e.last = true, append(e.last, c)
		q.ending[e.userData] = true
		return
	}
	q.hold(e, c)
}

// answer is what the caller gets of a completion.
func (e *entry) answer(c ring.CQE) ring.CQE {
	switch {
	case c.Result() == -int32(syscall.ECANCELED):
	case e.replaced, e.fails && c.Result() >= 0:
		return result(c, -int32(e.fault.Errno), c.Flags())
	}
	return c
}

func result(c ring.CQE, n int32, flags uint32) ring.CQE {
	return ring.CQE(queueabi.NewCQE(c.UserData(), n, flags))
}

// lastOnes is what is told of the completions since the multishot was canceled. That it
// was canceled is nobody's business: it ends with the completion before, as the kernel
// ends one, or with the errno of the fault.
func (e *entry) lastOnes() []ring.CQE {
	n := len(e.last)
	last := e.last[n-1]
	if last.Result() != -int32(syscall.ECANCELED) {
		return e.last
	}
	if e.fault.Errno != 0 {
		e.last[n-1] = result(last, -int32(e.fault.Errno), last.Flags())
		return e.last
	}
	before := &e.last[n-2]
	*before = result(*before, before.Result(), before.Flags()&^ring.CQEFMore)
	return e.last[:n-1]
}

// hold keeps a completion until its round has come.
func (q *Queue) hold(e *entry, c ring.CQE) {
	h := completion{cqe: c, entry: e, due: max(q.round+e.fault.Delay, e.order.due), nth: q.posted}
	e.order.due = h.due
	q.posted++
	if !c.More() {
		q.finals++
	}
	at := sort.Search(len(q.held), func(i int) bool { return q.held[i].due > h.due })
	q.held = append(q.held, completion{})
	copy(q.held[at+1:], q.held[at:])
	q.held[at] = h
}

// Reap implements ring.Queue.
func (q *Queue) Reap(dst []ring.CQE) (n int) {
	q.filled()
	for ; n < len(dst) && q.ready(); n++ {
		h := q.held[0]
		q.held = q.held[1:]
		dst[n] = h.cqe
		if !h.cqe.More() {
			q.finals--
			if q.entries[h.entry.userData] == h.entry {
				delete(q.entries, h.entry.userData)
			}
		}
	}
	return n
}

// InFlight implements ring.Queue.
func (q *Queue) InFlight() int { return q.inner.InFlight() - q.own.inFlight + q.finals }

// Stats implements ring.Queue: the counters of the queue below, without what is the
// queue's own.
func (q *Queue) Stats() ring.Stats {
	s := q.inner.Stats()
	s.Submitted -= q.own.submitted
	s.Completed -= q.own.submitted - uint64(q.own.inFlight)
	return s
}

// Close implements ring.Queue.
func (q *Queue) Close() error {
	q.filled()
	q.collect()
	for _, h := range q.held {
		h.entry.discard(h.cqe)
	}
	for _, e := range q.entries {
		for _, c := range e.last {
			e.discard(c)
		}
	}
	q.held, q.finals, q.entries = nil, 0, map[uint64]*entry{}
	return q.inner.Close()
}

// The rest of ring.Queue.

func (q *Queue) Hold(hold bool) { q.inner.Hold(hold) }

func (q *Queue) RegisterBufferRing(group uint16, r *ring.BufferRing) error {
	q.filled()
	return q.inner.RegisterBufferRing(group, r)
}

func (q *Queue) UnregisterBufferRing(group uint16) error {
	q.filled()
	return q.inner.UnregisterBufferRing(group)
}

func (q *Queue) RegisterBuffers(n int) error {
	q.filled()
	return q.inner.RegisterBuffers(n)
}

func (q *Queue) UpdateBuffer(index int, p []byte) error {
	q.filled()
	return q.inner.UpdateBuffer(index, p)
}

func (q *Queue) UnregisterBuffers() error {
	q.filled()
	return q.inner.UnregisterBuffers()
}

func (q *Queue) RegisterFiles(n int) error {
	q.filled()
	return q.inner.RegisterFiles(n)
}

func (q *Queue) UpdateFiles(first int, fds []int32) (int, error) {
	q.filled()
	return q.inner.UpdateFiles(first, fds)
}

func (q *Queue) UnregisterFiles() error {
	q.filled()
	return q.inner.UnregisterFiles()
}

func (q *Queue) RegisterReceiveArea(device string, queue int, a *ring.ReceiveArea) error {
	q.filled()
	return q.inner.RegisterReceiveArea(device, queue, a)
}

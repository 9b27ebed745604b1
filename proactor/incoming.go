package proactor

import (
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// received is a Buffer or a Message.
type received interface {
	Buffer | Message
	Len() int
	held() *engine.Lease
}

// incoming is the part that the receivers of connections and of messages share. What
// is received goes to the handler if there is one, else to the call that has waited
// longest, else it stays unread.
type incoming[T received] struct {
	handler  func(T, error)
	line     engine.Loan[demand[T]] // calls that wait, first come first
	unread   engine.Loan[T]
	results  requestList[T] // results that nobody has taken
	bytes    int32          // in unread
	isHeld   bool           // the handler is not called until resume
	draining bool           // resume is running
}

// demand is a call that waits for data: a Recv or a RecvInto.
type demand[T received] interface {
	give(v T)       // ends it with data
	fail(err error) // ends it with an error, later
}

// recvDemand is a Recv as a demand.
type recvDemand[T received] request[T]

func (d *recvDemand[T]) give(v T) {
	q, l := (*request[T])(d), v.held()
	if l.Whole() > 0 { // a message that did not fit its buffer
		l.End()
		q.fail(q.owner.(receiving[T]).cut())
		return
	}
	q.resolve(v, l)
}

func (d *recvDemand[T]) fail(err error) { (*request[T])(d).fail(err) }

// lenders provides the memory of the queues of a loop's incomings.
type lenders[T received] struct {
	requests requestPool[T]
	demands  engine.Lender[demand[T]]
	unread   engine.Lender[T]
}

// receiving is a receiver as its incoming sees it.
type receiving[T received] interface {
	requestOwner[T]
	engine.Operation
	on() *Loop
	lenders() *lenders[T]
	incoming() *incoming[T]
	open() bool     // data is still delivered
	refuses() error // why no call may wait, nil if one may
	hand(v T)       // calls the handler
	cut() error     // of a message that does not fit a buffer
	arm()           // starts the next receive, if it is wanted
	closedError(op string) error
}

// recv begins a Recv, on the loop or from elsewhere.
func recv[T received](r receiving[T]) futures.Future[T] {
	l := r.on()
	if !l.engine.Inside() {
		return recvElsewhere(r)
	}
	q, f := r.lenders().requests.begin(r)
	q.track()
	serve(r, (*recvDemand[T])(q))
	return f
}

func recvElsewhere[T received](r receiving[T]) futures.Future[T] {
	l := r.on()
	q := r.lenders().requests.elsewhere()
	ok := l.engine.Do(func() {
		if q.Pending() { // else it was canceled before it reached the loop
			q.owner = r
			q.track()
			serve(r, (*recvDemand[T])(q))
		}
	})
	if !ok {
		q.Fail(r.closedError("read"))
	}
	return q.Future()
}

// serve gives a demand unread data, or appends it to the line.
func serve[T received](r receiving[T], d demand[T]) {
	in := r.incoming()
	if err := r.refuses(); err != nil {
		d.fail(err)
		return
	}
	if in.unread.Len() > 0 {
		d.give(in.pop(r.lenders()))
		return
	}
	in.line.Push(&r.lenders().demands, d)
	r.arm()
}

// deliver gives v to the handler or to the first demand. It reports whether there was
// none: then v is unread.
func deliver[T received](r receiving[T], v T) (kept bool) {
	in := r.incoming()
	switch {
	case in.unread.Len() > 0 || in.handler != nil && in.isHeld:
	case in.handler != nil:
		r.hand(v)
		return false
	case in.line.Len() > 0:
		in.line.Pop(&r.lenders().demands).give(v)
		for in.line.Len() > 0 && in.unread.Len() > 0 { // what the first has left
			in.line.Pop(&r.lenders().demands).give(in.pop(r.lenders()))
		}
		return false
	}
	in.unread.Push(&r.lenders().unread, v)
	in.bytes += int32(v.Len())
	return true
}

// pop takes the first of what is unread.
func (in *incoming[T]) pop(from *lenders[T]) T {
	v := in.unread.Pop(&from.unread)
	in.bytes -= int32(v.Len())
	return v
}

// unpop puts back what a demand has not taken.
func (in *incoming[T]) unpop(from *lenders[T], v T) {
	in.unread.Unpop(&from.unread, v)
	in.bytes += int32(v.Len())
}

// takeBack makes results that nobody has taken unread again, before all else.
func takeBack[T received](r receiving[T]) {
	in := r.incoming()
	for in.results.first != nil {
		last := in.results.first.prev
		if v, ok := last.takeBack(); ok {
			lease := v.held()
			lease.Keep(lease.Generation())
			in.unpop(r.lenders(), v)
		}
	}
}

// wanted reports whether a call waits.
func (in *incoming[T]) wanted() bool {
	return in.line.Len() > 0 || in.handler != nil && !in.isHeld
}

// withdraw takes a demand out of the line and fails it. It returns false if the demand
// was not in the line.
func withdraw[T received](r receiving[T], gone demand[T], err error) (found bool) {
	in := r.incoming()
	for _, d := range in.line.Cut(&r.lenders().demands, 0) {
		if d == gone {
			found = true
			continue
		}
		in.line.Push(&r.lenders().demands, d)
	}
	if found {
		gone.fail(err)
	}
	return found
}

// expire fails the calls that wait, and gives the error to the handler.
func expire[T received](r receiving[T], err error) {
	failLine(r, err)
	notify(r, err)
}

// end is expire for good: that is the handler's last call.
func end[T received](r receiving[T], err error) {
	failLine(r, err)
	in := r.incoming()
	if in.handler != nil {
		tell(r, in.handler, err)
		in.handler = nil
	}
}

func failLine[T received](r receiving[T], err error) {
	for _, d := range r.incoming().line.Cut(&r.lenders().demands, 0) {
		d.fail(err)
	}
}

// notify calls the handler, if there is one, with an error behind which more calls follow:
// later, unless it has had its last call by then.
func notify[T received](r receiving[T], err error) {
	in := r.incoming()
	if in.handler == nil {
		return
	}
	r.on().engine.Later(func() {
		if in.handler != nil {
			in.handler(*new(T), err)
		}
	})
}

// tell calls a handler for the last time, later: the caller may be the handler itself.
func tell[T received](r receiving[T], fn func(T, error), err error) {
	r.on().engine.Later(func() { fn(*new(T), err) })
}

// holdHandler stops calling the handler, if there is one, until resume.
func (in *incoming[T]) holdHandler() {
	if in.handler != nil {
		in.isHeld = true
	}
}

// resume calls the handler with what is unread. It does nothing, and returns false, in
// a call of resume by the handler itself.
func resume[T received](r receiving[T]) bool {
	in := r.incoming()
	in.isHeld = false
	if in.draining {
		return false
	}
	in.draining = true
	defer func() { in.draining = false }()
	l := r.on()
	before := l.engine.Serving()
	l.engine.SetServing(r) // a panic of the handler ends r's connection
	for in.unread.Len() > 0 && in.handler != nil && !in.isHeld && r.open() {
		r.hand(in.pop(r.lenders()))
	}
	l.engine.SetServing(before)
	return true
}

// drop releases everything unread.
func drop[T received](r receiving[T]) {
	in := r.incoming()
	for in.unread.Len() > 0 {
		in.pop(r.lenders()).held().End()
	}
}

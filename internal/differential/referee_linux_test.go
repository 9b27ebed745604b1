package differential

import (
	"slices"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// referee passes over chains whose outcome the kernel leaves open. It looks
// only at what both queues agree on, so both runs pass over the same.
type referee struct{ situation *situation }

func newReferee(m *machine, batch []Entry) *referee { return &referee{newSituation(m, batch)} }

// admits decides on a chain.
func (r *referee) admits(c []Entry) bool {
	for i := range c {
		for _, open := range undefined {
			if open(r.situation, &c[i], c[:i]) {
				return false
			}
		}
	}
	r.situation.admit(c)
	return true
}

// undefined are the rules: each says whether the outcome of e is open; before
// is what precedes it in its chain.
var undefined = []func(s *situation, e *Entry, before []Entry) bool{
	waitsBesideAnother, afterSomethingAsynchronous, asynchronousBesidePutOff, closesOtherEnd, reusesNumber,
	waitsOnHalfClosed, leavesHalfClosed, consumesWhatIsPolled, linkedWrites,
	closesWhatIsExpected, acceptsDialed, sharesError, cancelsInAMelee, linkedBesideLinked, cancelsOneOfMany, countsInAMelee, ticksTwice, closesDialed,
}

// waitsBesideAnother: of two that wait on the same side the kernel wakes the
// youngest first, the fallback the oldest.
func waitsBesideAnother(s *situation, e *Entry, _ []Entry) bool {
	return e.hasObject() && !s.passes(e) && s.busy[e.Object]&e.sides() != 0
}

// afterSomethingAsynchronous: a worker or the network is at work on it, or an
// entry before it is put off until Enter is about to return.
func afterSomethingAsynchronous(s *situation, e *Entry, _ []Entry) bool {
	return e.hasObject() && s.raced[e.Object] || e.Kind == Connect && e.To == ToListener && s.raced[Listener]
}

// asynchronousBesidePutOff is the same the other way round.
func asynchronousBesidePutOff(s *situation, e *Entry, _ []Entry) bool {
	return e.asynchronous() && (s.later[e.Object] || s.expects(e.Object))
}

// closesOtherEnd: the kernel puts off the end of a file until Enter returns, or
// what was in flight on it is gone.
func closesOtherEnd(s *situation, e *Entry, before []Entry) bool {
	o, paired := e.Object.partner()
	switch {
	case e.Kind == Close:
		return paired && s.count[e.Object]+s.count[o] > 0
	case e.Kind == Connect:
		return closes(before, Listener)
	}
	return e.hasObject() && paired && closes(before, o)
}

func closes(list []Entry, o Object) bool {
	return slices.ContainsFunc(list, func(e Entry) bool { return e.Kind == Close && e.Object == o })
}

// reusesNumber: a number closed in this batch, and maybe taken for the
// fallback's duplicate of what is closed in use.
func reusesNumber(s *situation, e *Entry, before []Entry) bool {
	if e.Kind == Close && s.moves && s.later[e.Object] {
		return true // what is put off finds another file there
	}
	return s.moves && e.hasObject() && (s.closed[e.Object] || closes(before, e.Object))
}

// waitsOnHalfClosed: a send that waits on a socket with POLLRDHUP. The kernel
// polls for that whatever it waits for: it tries such a send again in every
// turn, 128 times, and then leaves it to a worker.
func waitsOnHalfClosed(s *situation, e *Entry, _ []Entry) bool {
	return e.sides() == writeSide && s.ended[e.Object] && !s.passes(e)
}

// leavesHalfClosed: a shutdown that brings about the same; or, where it shuts
// the other end's sending side, one of which epoll has no event to report.
func leavesHalfClosed(s *situation, e *Entry, before []Entry) bool {
	if e.sides() == writeSide && e.Size > smallSend && slices.ContainsFunc(before, func(e Entry) bool { return e.Kind == Shutdown }) {
		return true
	}
	if e.Kind != Shutdown || e.Flags == unix.SHUT_RDWR {
		return false
	}
	o, paired := e.Object.partner()
	return e.Flags == unix.SHUT_RD && s.busy[e.Object]&writeSide != 0 || paired && (s.busy[o]&writeSide != 0 || s.m.waitsForBuffer(o))
}

// consumesWhatIsPolled: of what comes and goes in one turn a poll learns by
// being woken, but not from epoll, which looks later.
func consumesWhatIsPolled(s *situation, e *Entry, _ []Entry) bool {
	o, paired := e.Object.partner()
	switch {
	case !e.hasObject():
		return false
	case e.polls():
		return (s.fed(e.Object) || s.isShut(e.Object)) && s.busy[e.Object]&readSide != 0
	case e.sides() == readSide:
		return (s.fed(e.Object) || s.isShut(e.Object)) && s.polled[e.Object]
	}
	return e.sides() == writeSide && s.polled[e.Object] && (e.Size > smallSend || paired && s.reading[o])
}

// linkedWrites: several linked writes to what an entry reads: whether it gets
// them one by one depends on whose turn comes first.
func linkedWrites(s *situation, e *Entry, before []Entry) bool {
	if len(before) == 0 || e.sides() != writeSide || s.writes < 2 {
		return false
	}
	reader, paired := e.Object.partner()
	if e.Object == Event {
		reader, paired = Event, true
	}
	return paired && (s.busy[reader]&readSide != 0 || s.reading[reader])
}

// closesWhatIsExpected: an entry behind a link names a number; what file that is
// is decided when its turn comes.
func closesWhatIsExpected(s *situation, e *Entry, before []Entry) bool {
	if e.Kind == Close {
		return s.expects(e.Object) || len(before) > 0 && s.later[e.Object]
	}
	return e.hasObject() && s.expectsClose(e.Object)
}

// acceptsDialed: the connection may be there already or not.
func acceptsDialed(s *situation, e *Entry, _ []Entry) bool {
	return (e.Kind == Accept || e.Kind == AcceptMultishot) && s.dialed
}

// sharesError: an error that is pending goes to whoever comes first.
func sharesError(s *situation, e *Entry, before []Entry) bool {
	return e.sides() != 0 && s.failed[e.Object] && (s.count[e.Object] > 0 || names(before, e.Object))
}

// cancelsInAMelee: a cancel in one batch with what happens when it happens, or
// behind a link when the batch may wake what it looks for; or one of a multishot
// poll in one batch with what makes it report.
func cancelsInAMelee(s *situation, e *Entry, before []Entry) bool {
	return e.cancels() && (s.async || len(before) > 0 && s.paired) || e.Kind == PollRemove && s.reports(e.Target)
}

// linkedBesideLinked: a cancel or a timeout that counts waits behind a link. What it
// finds depends on the order in which unrelated chains go on.
func linkedBesideLinked(s *situation, e *Entry, _ []Entry) bool {
	return len(s.chains[e.ID]) > 1 && s.expectsMelee()
}

// cancelsOneOfMany: a cancel by descriptor finds them in an order that is the
// kernel's own.
func cancelsOneOfMany(s *situation, e *Entry, before []Entry) bool {
	return e.Kind == CancelFD && e.Flags&ring.CancelAll == 0 && (s.count[e.Object] > 1 || len(before) > 0)
}

// countsInAMelee: what is counted depends on the order in which unrelated
// entries end, and an entry that a worker gets ends when that gets to it; and
// polls may report more often than the kernel's.
func countsInAMelee(s *situation, e *Entry, before []Entry) bool {
	switch {
	case e.Kind == PollMultishot, e.asynchronous():
		return s.counting
	case !e.counts():
		return false
	case s.counting || s.watching || s.async:
		return true
	}
	linked := len(s.chains[e.ID]) > 1
	return linked && (!s.alone || len(s.m.live) > 0 || slices.ContainsFunc(before, func(e Entry) bool { return e.counts() || e.Kind == LinkTimeout }))
}

// ticksTwice: two timeouts of the same moment.
func ticksTwice(s *situation, e *Entry, before []Entry) bool {
	return e.Short && (s.ticking || slices.ContainsFunc(before, func(e Entry) bool { return e.Short }))
}

// closesDialed: the listener goes while somebody connects to it.
func closesDialed(s *situation, e *Entry, _ []Entry) bool {
	return e.hasObject() && e.Object == Listener && s.dialed && (e.Kind == Close || e.Kind == Shutdown)
}

package differential

import (
	"slices"

	"golang.org/x/sys/unix"
)

// situation is what the referee knows of a batch: of the whole of it, of what
// is in flight already, and of the chains admitted so far.
type situation struct {
	m *machine

	// The whole batch.
	alone   bool            // it is one chain
	async   bool            // it has asynchronous or deferred entries
	paired  bool            // it has entries for pairs of which entries have both ends
	moves   bool            // it closes something that is in use: that goes on under another number
	writes  int             // how many entries write
	writing [objects]bool   // to what
	reading [objects]bool   // and which are read from
	roomy   [objects]bool   // small sends go through at once
	failed  [objects]bool   // it has hung up, or an error is pending
	ended   [objects]bool   // its peer has shut down
	chains  map[int][]Entry // by the ID of any member

	// In flight or admitted.
	busy     [objects]side // sides they wait in
	count    [objects]int  // how many
	polled   [objects]bool // by a poll
	counting bool          // a timeout that counts
	watching bool          // a multishot poll
	ticking  bool          // a short timeout
	dialed   bool          // a connect to the program's listener

	// Admitted.
	raced  [objects]bool // a worker, the network or the end of Enter is at work on it
	later  [objects]bool // has an entry that is put off: behind a link, or a multishot poll
	closed [objects]bool
}

func newSituation(m *machine, batch []Entry) *situation {
	s := &situation{m: m, chains: map[int][]Entry{}}
	for _, f := range m.live {
		s.engage(&f.entry)
	}
	all := chains(batch)
	s.alone = len(all) == 1
	for _, c := range all {
		for _, e := range c {
			s.chains[e.ID] = c
		}
	}
	for i := range batch {
		s.survey(&batch[i], batch[:i])
	}
	return s
}

// survey notes an entry of the batch, whether it will be admitted or not.
func (s *situation) survey(e *Entry, before []Entry) {
	s.async = s.async || e.asynchronous() || e.deferred()
	if !e.hasObject() {
		return
	}
	// The kernel polls a named pipe first, and what is ready comes past others.
	s.async = s.async || s.m.world.named && e.pipes() && e.sides() != 0
	o := e.Object
	// What accepts takes the number that was freed.
	s.moves = s.moves || e.Kind == Accept || e.Kind == AcceptMultishot || s.count[Listener] > 0
	_, paired := o.partner()
	s.paired = s.paired || paired
	s.moves = s.moves || e.Kind == Close && (s.count[o] > 0 || names(before, o))
	if fd := s.m.world.ends[o].ours; fd >= 0 && e.sides() != 0 {
		s.failed[o] = !wouldBlock(fd, 0)
		s.ended[o] = !wouldBlock(fd, unix.POLLRDHUP)
		s.async = s.async || s.ended[o] // part of a WAITALL may be there, the rest never comes
	}
	switch e.sides() {
	case readSide:
		s.reading[o] = true
	case writeSide:
		s.writing[o] = true
		s.writes++
		if fd := s.m.world.ends[o].ours; fd >= 0 {
			s.roomy[o] = o != Event && s.busy[o]&writeSide == 0 && !wouldBlock(fd, unix.POLLOUT)
		}
	}
}

// names says that one of the entries is for an object.
func names(list []Entry, o Object) bool {
	return slices.ContainsFunc(list, func(e Entry) bool { return e.hasObject() && e.Object == o })
}

// engage notes an entry that is in flight or will be.
func (s *situation) engage(e *Entry) {
	s.counting = s.counting || e.counts()
	s.watching = s.watching || e.Kind == PollMultishot
	s.ticking = s.ticking || e.Short
	s.dialed = s.dialed || e.Kind == Connect && e.To == ToListener
	if !e.hasObject() {
		return
	}
	s.count[e.Object]++
	s.polled[e.Object] = s.polled[e.Object] || e.polls()
	if !s.passes(e) {
		s.busy[e.Object] |= e.sides()
	}
}

// admit notes a chain that will be submitted.
func (s *situation) admit(c []Entry) {
	for i := range c {
		e := &c[i]
		if e.hasObject() && e.sides() == writeSide && (len(c) > 1 || e.Size > smallSend) {
			s.roomy[e.Object] = false
		}
		s.engage(e)
		if !e.hasObject() {
			continue
		}
		s.later[e.Object] = s.later[e.Object] || i > 0 || e.Kind == PollMultishot
		s.closed[e.Object] = s.closed[e.Object] || e.Kind == Close
		s.race(e)
	}
}

// race notes what others must not touch after e.
func (s *situation) race(e *Entry) {
	unordered := e.asynchronous() || e.Ioprio != 0
	if unordered || e.Kind == Close && e.Object == Listener {
		s.raced[e.Object] = true
	}
	if o, ok := e.Object.partner(); ok && (unordered || e.Kind == Close) {
		s.raced[o] = true
	}
}

// smallSend is what goes through if the descriptor is writable, a few times.
const smallSend = 100

// passes says that an entry writes so little that it does not wait.
func (s *situation) passes(e *Entry) bool {
	return e.sides() == writeSide && e.Size <= smallSend && s.roomy[e.Object]
}

// fed says that the batch makes readable what is read in the same turn.
func (s *situation) fed(o Object) bool {
	p, paired := o.partner()
	return o == Event && s.writing[o] || paired && s.writing[p]
}

// expectsClose says that what closes the object waits behind a link.
func (s *situation) expectsClose(o Object) bool {
	for _, f := range s.m.live {
		if f.entry.Kind == Close && f.entry.Object == o {
			return true
		}
	}
	return false
}

// expects says that an entry for the object waits behind a link.
func (s *situation) expects(o Object) bool {
	for _, f := range s.m.live {
		if f.entry.hasObject() && f.entry.Object == o && !s.m.started(f) {
			return true
		}
	}
	return false
}

// expectsMelee says that a cancel or a timeout that counts waits behind a link.
func (s *situation) expectsMelee() bool {
	for _, f := range s.m.live {
		if (f.entry.cancels() || f.entry.counts()) && !s.m.started(f) {
			return true
		}
	}
	return false
}

// reports says that a multishot poll in flight may report in this batch.
func (s *situation) reports(id int) bool {
	f := s.m.live[id]
	return f != nil && f.entry.Kind == PollMultishot && s.fed(f.entry.Object)
}

// isShut says that our side of a TCP connection was shut down for sending.
func (s *situation) isShut(o Object) bool {
	if !o.tcp() {
		return false
	}
	info, err := unix.GetsockoptTCPInfo(s.m.world.ends[o].ours, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && (info.State == tcpFinWait1 || info.State == tcpFinWait2)
}

package library

import "slices"

// roomy is how many bytes a socket takes for certain while the peer does not read, large
// how many it does not take for certain.
const (
	roomy = 8 << 10
	large = 16 << 20
)

// streamEnd is one end of a connection as the plan sees it, with what was sent by it.
type streamEnd struct {
	closed, shut, shutRead bool
	readsOver, writesOver  bool // deadlines
	abrupt                 bool // it was aborted
	sent, read             int  // bytes that it wrote; of the other's that it read
	uncertain              bool // it may be told of a reset, or not
	failed                 bool // one of its writes has failed: the library ends its sending
	reading                *waiting
	writing                []waiting // the first is under way
	late                   []int
}

type streamPlan struct {
	medium Medium
	plan   []planned
	ends   [2]streamEnd
	now    *planned
	steps  []Step

	// wrecked says that a large send was ended in the middle. What either end is told from
	// then on depends on how much went out, and a SendZeroCopy resets the connection.
	wrecked bool
}

func planStreams(p *Program) []planned {
	s := &streamPlan{medium: p.Medium, plan: make([]planned, len(p.Steps)), steps: p.Steps}
	if s.medium == Pipe {
		s.ends[0].shutRead, s.ends[1].shut = true, true
	}
	for i := range p.Steps {
		s.now = &s.plan[i]
		s.step(i, &p.Steps[i])
	}
	for e := range s.ends {
		awaitAtEnd(s.plan, s.ends[e].late)
	}
	return s.plan
}

func (s *streamPlan) step(i int, step *Step) {
	me, peer := &s.ends[step.On], &s.ends[1-step.On]
	// What was left to go on is waited for, unless more of it follows. The library sends
	// what is queued together, and all of it ends when the last has: a small send with a
	// large one behind it, for which there is no room, waits for that.
	for e := range s.ends {
		if step.Verb != Write || !step.Late || e != step.On || step.N > roomy {
			s.now.before = append(s.now.before, s.ends[e].late...)
			s.ends[e].late = nil
		}
	}
	s.now.skip = !s.perform(i, step, me, peer)
	if !s.now.skip {
		s.settle()
	}
}

// ends now is the result of the step itself.
func (s *streamPlan) done(step *Step, r *rule) bool {
	s.now.after = append(s.now.after, step.ID)
	s.now.rule = r
	return true
}

func (s *streamPlan) perform(i int, step *Step, me, peer *streamEnd) bool {
	if s.wrecked {
		return s.wreckedStep(step, me)
	}
	switch step.Verb {
	case Read:
		return s.readStep(i, step, me, peer)
	case Write:
		return s.writeStep(i, step, me, peer)
	case CloseWrite:
		return s.shutStep(i, step, me, peer)
	case CloseRead:
		if s.medium == Pipe || me.shutRead || len(peer.writing) > 0 || s.medium == Proxy {
			return false
		}
		var r *rule
		if !me.closed && (peer.closed || me.uncertain) {
			r = shutToTheGone
		}
		if !me.closed {
			me.shutRead = true
		}
		return s.done(step, r)
	case Close:
		return s.closeStep(step, me, peer)
	case Abort:
		return s.abortStep(step, me, peer)
	case EndReads, EndWrites, MoveDeadlines:
		return s.deadlineStep(step, me)
	case Cancel:
		return s.cancelStep(step)
	case Move, Detach:
		if me.closed || me.reading != nil || len(me.writing) > 0 || me.uncertain || peer.closed ||
			me.readsOver || me.writesOver || s.medium == Pipe && step.Verb == Detach {
			return false
		}
		return s.done(step, nil)
	}
	return false
}

// wreckedStep closes what is left of a connection.
func (s *streamPlan) wreckedStep(step *Step, me *streamEnd) bool {
	if step.Verb != Close && step.Verb != Abort || len(me.writing) > 0 {
		return false
	}
	me.closed = true
	return s.done(step, closeAgain)
}

// unread is how many bytes are on their way to an end.
func unread(me, peer *streamEnd) int { return peer.sent - me.read }

// over says that nothing more comes to an end.
func over(peer *streamEnd) bool { return peer.closed || peer.shut && !peer.shutting() }

func (e *streamEnd) shutting() bool {
	return slices.ContainsFunc(e.writing, func(w waiting) bool { return w.shuts })
}

// readable says that a read of n bytes ends by itself, and with which rule.
func (s *streamPlan) readable(n int, ended bool, me, peer *streamEnd) (bool, *rule) {
	var r *rule
	switch {
	case me.uncertain:
		r = fromTheGone
	case peer.abrupt && (ended || unread(me, peer) > 0) && unread(me, peer) < n:
		r = partBeforeReset
	}
	switch {
	case me.closed || me.readsOver:
		return true, nil
	case unread(me, peer) >= n || over(peer) || me.shutRead:
		me.read += min(n, unread(me, peer))
		return true, r
	}
	return false, nil
}

func (s *streamPlan) readStep(i int, step *Step, me, peer *streamEnd) bool {
	if me.reading != nil || s.medium == Pipe && step.On == 0 || me.uncertain && step.Ended {
		return false
	}
	ready, r := s.readable(step.N, step.Ended, me, peer)
	switch {
	case ready:
		return s.done(step, r)
	case step.Ended:
		s.now.ended = true
		return s.done(step, nil)
	}
	me.reading = &waiting{index: i, id: step.ID, n: step.N}
	return true
}

func (s *streamPlan) writeStep(i int, step *Step, me, peer *streamEnd) bool {
	s.now.from = me.sent
	switch {
	case s.medium == Pipe && step.On == 1, me.shutting():
		return false
	case me.closed, me.shut, me.writesOver:
		var r *rule
		switch {
		case me.closed:
		case me.uncertain || peer.closed || me.failed:
			r = lateToTheGone
		case me.shut && me.writesOver:
			r = twoReasons
		}
		return !step.Ended && s.done(step, r)
	case peer.closed || me.uncertain:
		if step.Ended || step.N > roomy || s.medium == Proxy {
			return false
		}
		me.uncertain = true
		if s.medium == Unix || s.medium == Pipe {
			return s.done(step, sendingToTheGone)
		}
		return s.done(step, toTheGone)
	case peer.shutRead:
		if s.medium != Unix || step.Ended || step.N > roomy {
			return false
		}
		me.failed = true
		return s.done(step, nil)
	}
	fits := len(me.writing) == 0 && unread(peer, me)+step.N <= roomy
	if !fits && step.Ended {
		return false
	}
	me.sent += step.N
	switch {
	case !fits:
		me.writing = append(me.writing, waiting{index: i, id: step.ID, n: step.N, from: s.now.from})
	case step.Late && !step.Ended:
		me.late = append(me.late, step.ID)
	default:
		return s.done(step, nil)
	}
	return true
}

func (s *streamPlan) shutStep(i int, step *Step, me, peer *streamEnd) bool {
	switch {
	case s.medium == Pipe, me.shutting():
		return false
	case me.closed:
		return s.done(step, nil)
	case peer.closed || me.uncertain || me.shut || me.failed:
		me.shut = true
		me.uncertain = me.uncertain || peer.closed
		return s.done(step, shutToTheGone)
	}
	me.shut = true
	if len(me.writing) > 0 {
		me.writing = append(me.writing, waiting{index: i, id: step.ID, shuts: true})
		return true
	}
	return s.done(step, nil)
}

func (s *streamPlan) closeStep(step *Step, me, peer *streamEnd) bool {
	// A third does not pass on a reset: its other connection stays.
	if len(me.writing) > 0 || s.medium == Proxy && !me.closed && (len(peer.writing) > 0 || unread(me, peer) > 0) {
		return false
	}
	if me.closed {
		return s.done(step, closeAgain)
	}
	if unread(me, peer) > 0 || len(peer.writing) > 0 {
		peer.uncertain = true
	}
	me.closed = true
	return s.done(step, nil)
}

func (s *streamPlan) abortStep(step *Step, me, peer *streamEnd) bool {
	if s.medium == Proxy && !me.closed { // which connection is reset, and when, is the third's affair
		return false
	}
	if me.closed {
		return s.done(step, closeAgain)
	}
	if me.shut || peer.shut || unread(me, peer) > 0 || len(peer.writing) > 0 || s.medium != TCP || peer.shutRead || me.shutRead {
		peer.uncertain = true
	}
	me.closed, me.abrupt = true, true
	if len(me.writing) > 0 {
		s.wrecked = true
		for i := range me.writing {
			s.finish(&me.writing[i], endedInTheMiddle)
		}
		me.writing = nil
	}
	return s.done(step, nil)
}

func (s *streamPlan) deadlineStep(step *Step, me *streamEnd) bool {
	if s.medium == Pipe && (step.On == 0) == (step.Verb == EndReads) && step.Verb != MoveDeadlines {
		return false
	}
	if !me.closed {
		switch step.Verb {
		case EndReads:
			me.readsOver = true
		case EndWrites:
			me.writesOver = true
		case MoveDeadlines:
			me.readsOver, me.writesOver = false, false
		}
	}
	return s.done(step, nil)
}

func (s *streamPlan) cancelStep(step *Step) bool {
	for e := range s.ends {
		me := &s.ends[e]
		if me.reading != nil && me.reading.id == step.Target {
			s.now.after = append(s.now.after, step.Target)
			me.reading = nil
			return s.done(step, nil)
		}
		// The one under way; of those behind it nothing has gone out.
		if len(me.writing) > 0 && me.writing[0].id == step.Target && len(me.writing) == 1 {
			s.plan[me.writing[0].index].rule = endedInTheMiddle
			s.now.after = append(s.now.after, step.Target)
			me.writing, s.wrecked = nil, true
			return s.done(step, nil)
		}
	}
	return false
}

// settle finds what the step has ended.
func (s *streamPlan) settle() {
	if s.wrecked {
		for e := range s.ends {
			if me := &s.ends[e]; me.closed && me.reading != nil {
				s.finish(me.reading, endOfTheWrecked)
				me.reading = nil
			}
		}
		return
	}
	for e := range s.ends {
		me, peer := &s.ends[e], &s.ends[1-e]
		if w := me.reading; w != nil {
			if ready, r := s.readable(w.n, false, me, peer); ready {
				s.finish(w, r)
				me.reading = nil
			}
		}
	}
	for e := range s.ends {
		s.settleWrites(&s.ends[e], &s.ends[1-e])
	}
	// What was written while a shutdown waited is read to its end.
	for e := range s.ends {
		me, peer := &s.ends[e], &s.ends[1-e]
		if w := me.reading; w != nil {
			if ready, r := s.readable(w.n, false, me, peer); ready {
				s.finish(w, r)
				me.reading = nil
			}
		}
		// A peer that was reset is told so once.
		if peer.abrupt && me.read == peer.sent && s.readEnded(me) {
			me.uncertain = true
		}
	}
}

func (s *streamPlan) readEnded(me *streamEnd) bool {
	// After this step a read has met the end, if there was one that asked for more.
	for _, id := range s.now.after {
		for i := range s.steps {
			if s.steps[i].ID == id && s.steps[i].Verb == Read && &s.ends[s.steps[i].On] == me {
				return true
			}
		}
	}
	return false
}

func (s *streamPlan) settleWrites(me, peer *streamEnd) {
	var r *rule
	switch {
	case len(me.writing) == 0:
		return
	case me.closed:
	case me.writesOver:
		r, s.wrecked = endedInTheMiddle, true
	case peer.closed || me.uncertain:
		r, s.wrecked = sendingToTheGone, true
	case unread(peer, me) == 0:
	default:
		return
	}
	for i := range me.writing {
		w := &me.writing[i]
		switch {
		case r == sendingToTheGone && w.shuts:
			s.finish(w, shutToTheGone)
		case r == endedInTheMiddle && w.shuts:
			s.finish(w, shutBehindTheEnded)
		default:
			s.finish(w, r)
		}
	}
	me.writing = nil
}

func (s *streamPlan) finish(w *waiting, r *rule) {
	s.plan[w.index].rule = r
	s.now.after = append(s.now.after, w.id)
}

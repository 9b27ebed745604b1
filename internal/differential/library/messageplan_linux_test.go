package library

// A socket holds this many messages for certain while nobody receives
// (net.unix.max_dgram_qlen is 10 by default).
const messagesHeld = 6

// messageEnd is a socket for messages as the plan sees it.
type messageEnd struct {
	closed, shut          bool
	readsOver, writesOver bool
	uncertain             bool // it may be told of the end of its peer, or not
	queue                 int  // messages that it has not read
	reading               []waiting
}

type messagePlan struct {
	medium Medium
	plan   []planned
	ends   [2]messageEnd
	now    *planned
}

func planMessages(p *Program) []planned {
	m := &messagePlan{medium: p.Medium, plan: make([]planned, len(p.Steps))}
	for i := range p.Steps {
		m.now = &m.plan[i]
		s := &p.Steps[i]
		m.now.from = s.ID * 31
		m.now.skip = !m.perform(i, s, &m.ends[s.On], &m.ends[1-s.On])
		if !m.now.skip {
			m.settle()
		}
	}
	return m.plan
}

func (m *messagePlan) done(s *Step, r *rule) bool {
	m.now.after, m.now.rule = append(m.now.after, s.ID), r
	return true
}

func (m *messagePlan) perform(i int, s *Step, me, peer *messageEnd) bool {
	switch s.Verb {
	case Read:
		return m.readStep(i, s, me, peer)
	case Write:
		return m.writeStep(s, me, peer)
	case EndReads, EndWrites, MoveDeadlines:
		if !me.closed {
			me.readsOver = s.Verb == EndReads || s.Verb != MoveDeadlines && me.readsOver
			me.writesOver = s.Verb == EndWrites || s.Verb != MoveDeadlines && me.writesOver
		}
		return m.done(s, nil)
	case Cancel:
		for e := range m.ends {
			me := &m.ends[e]
			if len(me.reading) > 0 && me.reading[0].id == s.Target {
				m.now.after = append(m.now.after, s.Target)
				me.reading = me.reading[1:]
				return m.done(s, nil)
			}
		}
		return false
	case CloseWrite:
		if m.medium != Unixpacket || peer.closed && !me.closed {
			return false
		}
		me.shut = me.shut || !me.closed
		return m.done(s, nil)
	case Close:
		if me.closed {
			return m.done(s, closeAgain)
		}
		peer.uncertain = peer.uncertain || me.queue > 0 && m.medium == Unixpacket
		me.closed = true
		return m.done(s, nil)
	}
	return false
}

func (m *messagePlan) readStep(i int, s *Step, me, peer *messageEnd) bool {
	if me.uncertain && !me.closed {
		return false
	}
	ready := m.readable(me, peer)
	switch {
	case ready && len(me.reading) == 0:
		return m.done(s, nil)
	case s.Ended:
		m.now.ended = true
		return len(me.reading) == 0 && m.done(s, nil)
	}
	me.reading = append(me.reading, waiting{index: i, id: s.ID})
	return true
}

// readable says that a receive ends by itself, and takes what it gets.
func (m *messagePlan) readable(me, peer *messageEnd) bool {
	switch {
	case me.closed || me.readsOver:
		return true
	case me.queue > 0:
		me.queue--
		return true
	}
	return m.medium == Unixpacket && (peer.closed || peer.shut)
}

func (m *messagePlan) writeStep(s *Step, me, peer *messageEnd) bool {
	tooLarge := s.N > m.medium.largest()
	switch {
	case me.closed, me.shut, me.writesOver:
		var r *rule
		if !me.closed && me.shut && me.writesOver {
			r = twoReasons
		}
		return !tooLarge && !s.Ended && !(me.uncertain && !me.closed) && m.done(s, r)
	case peer.closed || me.uncertain:
		if tooLarge || s.Ended || len(me.reading) > 0 {
			return false
		}
		me.uncertain = true
		return m.done(s, toNobody)
	case tooLarge:
		return !s.Ended && m.done(s, nil)
	case s.N == 0 && m.medium == Unixpacket, peer.queue == messagesHeld:
		return false
	}
	peer.queue++
	return m.done(s, nil)
}

// largest is the size of the largest message that a program sends, and which arrives.
func (m Medium) largest() int {
	if m == UDP {
		return 65507
	}
	return 20000 // less than a receive buffer of the library
}

// settle finds what the step has ended.
func (m *messagePlan) settle() {
	for e := range m.ends {
		me, peer := &m.ends[e], &m.ends[1-e]
		for len(me.reading) > 0 && (me.uncertain && peer.closed || m.readable(me, peer)) {
			w := me.reading[0]
			me.reading = me.reading[1:]
			m.now.after = append(m.now.after, w.id)
			if me.uncertain && !me.closed {
				m.plan[w.index].rule = fromTheGone
			}
		}
	}
}

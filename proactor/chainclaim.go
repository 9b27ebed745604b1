package proactor

import "errors"

var (
	errChainUnread  = errors.New("a chain receives, but data or an end of the stream is unread: receive that first")
	errChainWaiting = errors.New("a chain receives, but another receive is waiting already")
)

// claim is a chain's claim to one side of a connection.
type claim struct {
	chain  *chain
	conn   *Conn
	sends  bool
	queued bool
	has    bool
}

// refusal returns the error if the chain cannot have that side now, else nil.
func (m *claim) refusal() error {
	if m.sends {
		return m.conn.send.refusal()
	}
	r := &m.conn.recv
	switch {
	case m.conn.state != connOpen:
		return m.conn.closedError("read")
	case m.conn.readExpired():
		return m.conn.timedOut("read")
	case r.in.handler != nil:
		return m.conn.misused("read", errHandlerReceives)
	case r.in.line.Len() > 0 || r.direct != nil || r.claim != nil:
		return m.conn.misused("read", errChainWaiting)
	case r.in.unread.Len() > 0 || r.err != nil:
		return m.conn.misused("read", errChainUnread)
	}
	return nil
}

// queue waits for the claim to be granted.
func (m *claim) queue() {
	m.queued = true
	if m.sends {
		s := &m.conn.send
		s.queue.Push(&s.conn.loop.segments, segment{turn: m})
		s.start()
		return
	}
	r := &m.conn.recv
	r.claim = m
	if r.armed && !r.pausing {
		r.pausing = true
		r.halt()
	}
	r.arm()
}

func (m *claim) grant() {
	if !m.has {
		m.has = true
		m.chain.granted()
	}
}

// end implements turn.
func (m *claim) end(reason error) { m.chain.end(reason) }

// refuse implements turn.
func (m *claim) refuse(err error) {
	m.queued = false
	if !m.chain.started {
		m.chain.refuse(err)
	}
}

// quiet is called when no receive is armed.
func (m *claim) quiet() {
	r := &m.conn.recv
	switch {
	case m.has || m.chain.ended:
	case m.conn.state >= connEnding:
		m.chain.refuse(m.conn.closedError("read"))
	case r.in.unread.Len() > 0 || r.err != nil:
		m.chain.refuse(m.conn.misused("read", errChainUnread))
	default:
		m.grant()
	}
}

// release ends the claim: other sends or receives go on.
func (m *claim) release() {
	switch {
	case !m.queued:
	case m.sends:
		m.queued = false
		m.conn.send.unclaim(m)
	default:
		m.queued = false
		m.conn.recv.claim = nil
		m.conn.recv.arm()
	}
}

// claim notes which sides of which connections the chain needs.
func (c *chain) claim(s *Step) {
	for _, has := range c.claims {
		if has.conn == s.conn && has.sends == s.sends() {
			return
		}
	}
	c.claims = append(c.claims, &claim{chain: c, conn: s.conn, sends: s.sends()})
	c.waiting++
}

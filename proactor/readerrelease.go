package proactor

// Release releases the memory that the Reader holds. Unread bytes are received again by
// the next receive on the connection: a Recv, a Forward, a NetConn. The Reader
// may be used again. A task need not call Release, but when the task returns, unread bytes
// are lost. Call it before Move: afterwards unread bytes are lost, too.
func (r *Reader) Release() {
	r.settle()
	head, tail := r.head.giveUp(), r.tail.giveUp()
	if head.lease == nil && tail.lease == nil {
		return
	}
	c := r.conn
	ok := c.loop.engine.Perform(func() {
		c.recv.putBack(tail)
		c.recv.putBack(head)
		c.recv.serveUnread()
	})
	if !ok {
		head.end()
		tail.end()
	}
}

// end ends the lease, which the caller has taken.
func (b Buffer) end() {
	if b.lease != nil {
		b.lease.EndAnywhere()
	}
}

// putBack makes data the first that is to be received.
func (r *receiver) putBack(b Buffer) {
	switch {
	case b.lease == nil:
	case !r.open():
		b.lease.End()
	default:
		b.lease.Keep(b.generation)
		r.in.unpop(r.lenders(), b)
	}
}

// serveUnread gives unread data to the calls that wait.
func (r *receiver) serveUnread() {
	for r.in.line.Len() > 0 && r.in.unread.Len() > 0 {
		r.in.line.Pop(&r.lenders().demands).give(r.in.pop(r.lenders()))
	}
	if r.in.handler != nil && !r.in.isHeld {
		r.conn.loop.engine.Later(r.resume)
	}
}

// giveUp takes the lease away from the piece.
func (p *piece) giveUp() Buffer {
	b := p.lease
	if b.lease == nil {
		return b
	}
	b = b.take("Release")
	b.lease.SetData(p.data)
	*p = piece{}
	return b
}

package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// zeroCopy is a segment that is sent without copying. Each send has two
// completions: the result, upon which the next send may go, and the notification
// that its memory is free. The segment ends when all of it is sent and all
// notifications are there.
type zeroCopy struct {
	conn    *Conn
	sending bool // a result is still to come
	unfree  int  // notifications still to come
	refused bool // this socket cannot: it goes out like any other
	over    bool // all is sent, or failed
	segment segment
	err     error
	next    *zeroCopy // in sender.waiting
}

// sendsUncopied says whether a segment is to be sent without copying.
func (s *sender) sendsUncopied(g *segment) bool {
	if s.conn.medium == file || len(g.data) == 0 || g.rights != nil || g.copied {
		return false
	}
	least := s.conn.loop.rt.options.zeroCopy
	return g.noCopy || least > 0 && len(g.data) >= least
}

// idle says that nothing is queued, and nothing that was sent is read any more.
func (s *sender) idle() bool { return s.queue.Len() == 0 && s.unnotified == 0 }

func (l *Loop) newZeroCopy(c *Conn) *zeroCopy {
	n := len(l.zeroCopies)
	if n == 0 {
		return &zeroCopy{conn: c}
	}
	z := l.zeroCopies[n-1]
	l.zeroCopies = l.zeroCopies[:n-1]
	z.conn = c
	return z
}

func (z *zeroCopy) submit(p []byte) (userData uint64) {
	c := z.conn
	sqe := c.loop.engine.Next()
	sqe.PrepSendZC(c.fd, p, ring.MsgWaitAll|ring.MsgNoSignal)
	z.sending = true
	z.unfree++
	c.send.unnotified++
	return c.loop.engine.Submit(sqe, z)
}

// complete implements engine.Operation. What has no notification to follow is result
// and notification in one.
func (z *zeroCopy) Complete(result int32, flags uint32) {
	c := z.conn
	last := flags&ring.CQEFMore == 0
	if last {
		z.unfree--
		c.send.unnotified--
	}
	if flags&ring.CQEFNotif == 0 && z.sending {
		z.sending = false
		z.sent(result)
	} else {
		z.settle()
	}
	if last {
		c.settled()
	}
}

// sent takes the result. A socket that cannot, or a limit of pinned memory that
// is reached, makes it a send like any other.
func (z *zeroCopy) sent(result int32) {
	s := &z.conn.send
	switch syscall.Errno(-result) {
	case syscall.EOPNOTSUPP, syscall.ENOMEM, syscall.ENOBUFS:
		z.refused = true
		if s.reason == nil {
			s.inFlight = 0
			s.start()
			return
		}
	}
	reason := s.reason
	s.Complete(result, 0)
	if reason != nil && result > 0 { // the kernel has part of it, see giveUp
		z.conn.abort(reason)
	}
}

// conclude is called when nothing more of the segment will be sent.
func (z *zeroCopy) conclude(g segment, err error) {
	z.over, z.segment, z.err = true, g, err
	if z.unfree > 0 {
		z.next, z.conn.send.waiting = z.conn.send.waiting, z
		return
	}
	z.settle()
}

// giveUp ends the wait for the notification. What the socket has not sent, or the
// peer not acknowledged, it reads until it is told to forget it: nothing less
// than a reset does.
func (z *zeroCopy) giveUp(reason error) {
	if z.err == nil {
		z.err = reason
		z.conn.abort(reason)
	}
}

// settle ends the segment once its memory is free.
func (z *zeroCopy) settle() {
	if !z.over || z.unfree > 0 {
		return
	}
	s, l, g, err := &z.conn.send, z.conn.loop, z.segment, z.err
	for at := &s.waiting; *at != nil; at = &(*at).next {
		if *at == z {
			*at = z.next
			break
		}
	}
	*z = zeroCopy{}
	l.zeroCopies = append(l.zeroCopies, z)
	s.conclude(g, err)
}

// Unfound implements engine.Unfound: of a send that waits for its notification
// only a cancel finds nothing.
func (z *zeroCopy) Unfound() bool { return !z.sending }

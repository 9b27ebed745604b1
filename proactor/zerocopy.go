package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// zeroCopy is a segment that is sent without copying. Each send has two
// completions: the result, after which the next send may begin, and the notification
// that its memory is free. The segment ends when all of it is sent and all
// notifications have come.
type zeroCopy struct {
	conn    *Conn
	sending bool // a result is still to come
	unfree  int  // notifications still to come
	refused bool // the socket cannot: it is sent with a copy
	over    bool // all is sent, or the send has failed
	givenUp bool // the connection was reset for it
	segment segment
	err     error
	next    *zeroCopy // in ending.waiting
}

// sendsUncopied reports whether a segment is sent without copying.
func (s *sender) sendsUncopied(g *segment) bool {
	if s.conn.medium == file || len(g.data) == 0 || g.rights != nil || g.copied {
		return false
	}
	least := s.conn.loop.rt.options.zeroCopy
	return g.noCopy || least > 0 && len(g.data) >= least
}

// idle reports whether nothing is queued, and the kernel reads no memory of sends.
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

// Complete implements engine.Operation. A completion without a notification to follow is
// both result and notification.
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

// sent handles the result. If the socket cannot send without copying, or the limit of
// pinned memory is reached, the segment is sent with a copy.
func (z *zeroCopy) sent(result int32) {
	s := &z.conn.send
	switch syscall.Errno(-result) {
	case syscall.EOPNOTSUPP, syscall.ENOMEM, syscall.ENOBUFS:
		z.refused = true
		if s.ending().reason == nil {
			s.inFlight = 0
			s.start()
			return
		}
	}
	reason := s.ending().reason
	s.Complete(result, 0)
	if reason != nil && result > 0 { // the kernel has taken part of it, see giveUp
		s.conn.abort(reason) // z may serve another by now
	}
}

// conclude is called when nothing more of the segment is sent.
func (z *zeroCopy) conclude(g segment, err error) {
	z.over, z.segment, z.err = true, g, err
	if z.unfree > 0 {
		e := &z.conn.limited().ending
		z.next, e.waiting = e.waiting, z
		return
	}
	z.settle()
}

// earlier reports whether the kernel still reads memory of sends before the one under way.
func (z *zeroCopy) earlier() bool {
	if z.sending {
		return z.unfree > 1
	}
	return z.unfree > 0
}

// giveUp ends the wait for the notification by a reset. The kernel reads the memory until
// the data is sent and acknowledged, and only a reset makes it drop the data.
func (z *zeroCopy) giveUp(reason error) {
	if z.err == nil {
		z.err = reason
	}
	if !z.givenUp { // one that has failed waits for the peer, too
		z.givenUp = true
		z.conn.abort(reason)
	}
	z.conn.loop.engine.AwaitEndOf(z)
}

// Hasten implements engine.Lingering. The reset is that of giveUp; sent, to which the
// result is still to come, does the rest.
func (z *zeroCopy) Hasten(result int32) {
	if z.sending && result > 0 {
		z.conn.remember()
		sockets.Reset(z.conn.fd)
	}
}

// settle ends the segment once its memory is free.
func (z *zeroCopy) settle() {
	if !z.over || z.unfree > 0 {
		return
	}
	s, l, g, err := &z.conn.send, z.conn.loop, z.segment, z.err
	if b := z.conn.limits; b != nil {
		for at := &b.ending.waiting; *at != nil; at = &(*at).next {
			if *at == z {
				*at = z.next
				break
			}
		}
	}
	*z = zeroCopy{}
	l.zeroCopies = append(l.zeroCopies, z)
	s.conclude(g, err)
}

// Unfound implements engine.Unfound: a cancel does not find a send that waits only for
// its notification.
func (z *zeroCopy) Unfound() bool { return !z.sending }

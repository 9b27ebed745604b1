package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// pipeSend sends what a pipe holds, in its place among the connection's sends.
type pipeSend struct {
	conn    *Conn
	pipe    *pipe
	sent    int
	starter starter
	promise *futures.Promise[int]

	userData uint64 // of the poll for room
	live     bool
	begun    bool
	over     bool
	reason   error // why it is to end
}

// sendPipe sends what p holds. The pipe is the caller's again when the future resolves,
// with the number of bytes that the socket has taken.
func (c *Conn) sendPipe(p *pipe) futures.Future[int] {
	s := &pipeSend{conn: c, pipe: p, promise: futures.NewPromise[int]()}
	s.promise.SetCanceler(&s.starter)
	if !s.starter.start(c.loop, s) {
		s.promise.Fail(c.closedError("write"))
	}
	return s.promise.Future()
}

func (s *pipeSend) begin() {
	out := &s.conn.send
	if err := out.refusal(); err != nil {
		s.refuse(err)
		return
	}
	out.queue.Push(&s.conn.loop.segments, segment{turn: s})
	out.start()
}

// grant implements turn.
func (s *pipeSend) grant() {
	if !s.begun {
		s.begun = true
		s.drain()
	}
}

// drain sends what the socket takes, until it has all or has to be waited for.
func (s *pipeSend) drain() {
	c := s.conn
	for s.pipe.held > 0 {
		n, errno := s.pipe.drain(c)
		switch {
		case n > 0:
			s.sent += n
			c.touch()
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			sqe := c.loop.engine.Next()
			sqe.PrepPoll(c.fd, ring.PollOut)
			s.live = true
			c.others++
			s.userData = c.loop.engine.Submit(sqe, s)
			return
		case errno == 0:
			s.fail(c.failed("write", syscall.EPIPE))
			return
		default:
			s.fail(c.failed("write", errno))
			return
		}
	}
	s.finish(nil)
}

// Complete implements engine.Operation: there is room, or the poll was canceled.
func (s *pipeSend) Complete(result int32, _ uint32) {
	s.live = false
	s.conn.others--
	switch {
	case s.over: // abandoned
	case s.reason != nil:
		s.stop()
	case result < 0 && syscall.Errno(-result) == syscall.ECANCELED:
		s.fail(s.conn.closedError("write"))
	case result < 0:
		s.fail(s.conn.failed("write", syscall.Errno(-result)))
	default:
		s.drain()
	}
	s.conn.settled()
}

// fail is finish with an error after which nothing can be sent any more.
func (s *pipeSend) fail(err error) {
	if s.conn.send.err == nil {
		s.conn.send.err = err
	}
	s.finish(err)
}

// stop ends what was canceled. A stream of which part was sent cannot go on.
func (s *pipeSend) stop() {
	if s.sent > 0 {
		s.fail(s.conn.opError("write", s.reason))
		return
	}
	s.finish(s.reason)
}

func (s *pipeSend) finish(err error) {
	s.refuse(err)
	s.conn.send.unclaim(s)
}

// refuse implements turn: it is over, or never began.
func (s *pipeSend) refuse(err error) {
	if s.over {
		return
	}
	s.over = true
	l := s.conn.loop
	if !l.engine.Inside() {
		s.promise.Settle(s.sent, err)
		return
	}
	l.engine.Later(func() { s.promise.Settle(s.sent, err) })
}

// end implements turn.
func (s *pipeSend) end(reason error) {
	if s.over || s.reason != nil {
		return
	}
	s.reason = reason
	if s.live {
		s.conn.loop.engine.Cancel(s.userData)
	}
}

// cancel implements startable.
func (s *pipeSend) cancel() {
	switch {
	case s.over:
	case s.begun:
		s.end(futures.ErrCanceled)
	default:
		s.finish(futures.ErrCanceled)
	}
}

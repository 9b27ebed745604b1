package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// pipeSend sends what a pipe holds, in its place among the connection's sends.
type pipeSend struct {
	longSend
	pipe *pipe
}

// sendPipe sends what p holds. The pipe is the caller's again when the future resolves,
// with the number of bytes that the socket has taken.
func (c *Conn) sendPipe(p *pipe) futures.Future[int64] {
	s := &pipeSend{longSend{conn: c}, p}
	return s.start(s)
}

// proceed implements longSender.
func (s *pipeSend) proceed() { s.drain() }

// free implements longSender.
func (s *pipeSend) free() {}

// drain sends what the socket takes, until it has all or has to be waited for.
func (s *pipeSend) drain() {
	c := s.conn
	for s.pipe.held > 0 {
		n, errno := s.pipe.drain(c)
		switch {
		case n > 0:
			s.sent += int64(n)
			c.touch(int(n))
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			sqe := c.loop.engine.Next()
			sqe.PrepPoll(c.fd, ring.PollOut)
			s.submit(sqe)
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
	switch s.ended(); {
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

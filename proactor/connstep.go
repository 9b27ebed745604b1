package proactor

import (
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// SendStep sends all of p in a chain; an error in the middle fails it with
// io.ErrShortWrite and that error. p belongs to the library until the chain has
// ended.
func (c *Conn) SendStep(p []byte) Step {
	s := c.step(stepWrites, p)
	s.flags = ring.MsgWaitAll | ring.MsgNoSignal
	return s.whole()
}

// RecvStep receives into p what comes first, a byte at least (or an empty message,
// see Conn.Recv); the end of the stream is io.EOF. p belongs to the library until
// the chain has ended. What follows it in the chain is submitted when it has ended:
// the kernel takes the end of a stream for a success.
func (c *Conn) RecvStep(p []byte) Step {
	return c.step(stepReads, p).some()
}

// RecvFullStep receives exactly len(p) bytes; if the stream ends before that,
// the error is io.ErrUnexpectedEOF. So it is after a reset that comes behind a part of
// them; the next receive has the error of the reset then. p belongs to the library until
// the chain has ended.
func (c *Conn) RecvFullStep(p []byte) Step {
	s := c.step(stepReads, p)
	s.flags = ring.MsgWaitAll
	return s.whole()
}

func (c *Conn) step(action stepAction, p []byte) Step {
	s := Step{conn: c, action: action, memory: p}
	s.invalid = s.checkLength()
	return s
}

// prepareStep fills the entry of a step, which has moved the first n bytes.
func (c *Conn) prepareStep(sqe *ring.SQE, s *Step, n int) {
	p := s.memory[n:]
	if s.action == stepWrites {
		engine.RaceRead(p)
	}
	switch {
	case s.action == stepConnects:
		sqe.PrepConnect(c.fd, s.remote.Bytes())
	case s.action == stepReads && c.medium == file:
		sqe.PrepRead(c.fd, p)
	case s.action == stepReads:
		sqe.PrepRecv(c.fd, p, s.flags)
	case c.medium == file:
		sqe.PrepWrite(c.fd, p)
	default:
		sqe.PrepSend(c.fd, p, s.flags)
	}
}

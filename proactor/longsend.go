package proactor

import (
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// longSend is what sends of several operations have in common: a place in the
// connection's queue, which they keep until they end.
type longSend struct {
	conn    *Conn
	self    longSender
	promise *futures.Promise[int64]
	starter starter
	sent    int64 // bytes

	userData uint64
	live     bool // with the queue
	begun    bool // it is its turn
	over     bool
	reason   error // why it must end
}

// longSender is a longSend with what it sends. All methods run on the loop, except free
// after the end of the loop.
type longSender interface {
	turn
	startable
	engine.Operation
	proceed() // sends, when its turn has come; ends with finish or fail
	free()    // gives back what it holds, when it is over
}

// start starts it, from any goroutine.
func (s *longSend) start(self longSender) futures.Future[int64] {
	s.self, s.promise = self, futures.NewPromise[int64]()
	s.promise.SetCanceler(&s.starter)
	if !s.starter.start(s.conn.loop, self) {
		s.refuse(s.conn.closedError("write"))
	}
	return s.promise.Future()
}

// begin implements startable.
func (s *longSend) begin() {
	out := &s.conn.send
	if err := out.refusal(); err != nil {
		s.refuse(err)
		return
	}
	out.queue.Push(&s.conn.loop.segments, segment{turn: s.self})
	out.start()
}

// grant implements turn.
func (s *longSend) grant() {
	if !s.begun {
		s.begun = true
		s.self.proceed()
	}
}

func (s *longSend) submit(sqe *ring.SQE) {
	s.live = true
	s.conn.others++
	s.userData = s.conn.loop.engine.Submit(sqe, s.self)
}

// ended notes that the operation has completed.
func (s *longSend) ended() {
	s.live = false
	s.conn.others--
}

// fail is finish with an error that ends the connection's sending.
func (s *longSend) fail(err error) {
	if s.conn.send.err == nil {
		s.conn.send.err = err
	}
	s.finish(err)
}

// stop ends a canceled one. If a part was sent, the connection cannot send any more.
func (s *longSend) stop() {
	if s.sent > 0 {
		s.fail(s.conn.opError("write", s.reason))
		return
	}
	s.finish(s.reason)
}

func (s *longSend) finish(err error) {
	s.refuse(err)
	s.conn.send.unclaim(s.self)
}

// refuse implements turn and startable.
func (s *longSend) refuse(err error) {
	if s.over {
		return
	}
	s.over = true
	s.self.free()
	sent, p, l := s.sent, s.promise, s.conn.loop
	if !l.engine.Inside() {
		p.Settle(sent, err)
		return
	}
	l.engine.Later(func() { p.Settle(sent, err) })
}

// end implements turn.
func (s *longSend) end(reason error) {
	if s.over || s.reason != nil {
		return
	}
	s.reason = reason
	if s.live {
		s.conn.loop.engine.Cancel(s.userData)
	}
}

// cancel implements startable.
func (s *longSend) cancel() {
	switch {
	case s.over:
	case s.begun:
		s.end(futures.ErrCanceled)
	default:
		s.finish(futures.ErrCanceled)
	}
}

func (s *longSend) subject() any { return s.conn }

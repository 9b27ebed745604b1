package main

import (
	"context"
	"net"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/valyala/fasthttp"
)

// session is a connection while fasthttp serves it: for handlers, which get it as
// RequestCtx.Conn, and with timeouts that cost less than fasthttp's, which sets two
// deadlines for each request. Silence is the connection's SetIdleTimeout, which costs no
// more than a store; and a deadline is set only for a request that does not come at once.
type session struct {
	net.Conn // of the task, with TLS if secured
	task     context.Context
	conn     *proactor.Conn
	secured  bool
	timeout  time.Duration
	reads    int // since the last Write
	limited  bool
	ahead    bool // the next Write is in front of a file
}

// Read implements net.Conn. The second one in a row waits for the rest of a request.
func (s *session) Read(p []byte) (int, error) {
	if s.reads++; s.reads == 2 {
		s.limit()
	}
	return s.Conn.Read(p)
}

// limit begins the timeout, unless it runs.
func (s *session) limit() {
	if !s.limited {
		s.limited = true
		s.Conn.SetReadDeadline(time.Now().Add(s.timeout))
	}
}

// Write implements net.Conn.
func (s *session) Write(p []byte) (int, error) {
	s.reads = 0
	if s.limited {
		s.limited = false
		s.Conn.SetReadDeadline(time.Time{})
	}
	if s.ahead {
		s.ahead = false
		return s.queue(p)
	}
	return s.Conn.Write(p)
}

// queue writes p without waiting. An error is the next operation's.
func (s *session) queue(p []byte) (int, error) {
	b := s.conn.Loop().Buffer(len(p))
	copy(b.Bytes(), p)
	s.conn.Queue(b)
	return len(p), nil
}

func sessionOf(ctx *fasthttp.RequestCtx) *session { return ctx.Conn().(*session) }

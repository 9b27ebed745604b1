package library

import (
	"context"

	"github.com/goproactor/goproactor/proactor"
)

// netConnEnd is the net.Conn of a Conn, with the calls that are made on one of package net.
type netConnEnd struct {
	*standardEnd
	conn *libraryEnd
}

func newNetConnEnd(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) *netConnEnd {
	return &netConnEnd{newStandardEnd(c.NetConn(ctx)), newLibraryEnd(ctx, rt, c)}
}

func (e *netConnEnd) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Close:
		await := e.standardEnd.begin(s, p)
		return func() Outcome { e.conn.awaitClosed(); return await() }
	case Abort: // a net.Conn has none
		e.closed.Store(true)
		return e.conn.begin(s, p)
	}
	return e.standardEnd.begin(s, p)
}

func (e *netConnEnd) close() {
	e.conn.close()
	e.standardEnd.close()
}

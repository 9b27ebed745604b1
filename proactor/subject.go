package proactor

import "github.com/goproactor/goproactor/internal/engine"

// belonging is an operation that belongs to something that a program knows: what a
// Tracer is told, and what is named when a callback panics.
type belonging interface {
	engine.Operation
	subject() any
}

// subjectOf is what an operation belongs to, nil if to nothing that a program knows.
func subjectOf(op engine.Operation) any {
	if b, ok := op.(belonging); ok {
		return b.subject()
	}
	return nil
}

func (r *receiver) subject() any      { return r.conn }
func (h *hangup) subject() any        { return h.conn }
func (w *readable) subject() any      { return w.conn }
func (o *into) subject() any          { return o.conn }
func (s *sender) subject() any        { return s.conn }
func (w *sendable) subject() any      { return w.conn }
func (z *zeroCopy) subject() any      { return z.conn }
func (h *halfClose) subject() any     { return h.conn }
func (r *closeRead) subject() any     { return r.conn }
func (r *readShutdown) subject() any  { return (*Conn)(r) }
func (s *endShutdown) subject() any   { return (*Conn)(s) }
func (r *release) subject() any       { return (*Conn)(r) }
func (o *optionCall[T]) subject() any { return o.conn }

func (r *packetReceiver) subject() any { return r.conn }
func (t *transmission) subject() any   { return t.conn }
func (r *packetRoom) subject() any     { return r.conn }
func (r *packetRelease) subject() any  { return (*PacketConn)(r) }

func (a *acceptor) subject() any   { return a.listener }
func (w *acceptable) subject() any { return w.listener }

func (o *transfer) subject() any      { return o.file }
func (w *readyTransfer) subject() any { return w.file }
func (r *fileRelease) subject() any   { return (*File)(r) }
func (f *scopedFile) subject() any    { return f.file }

func (c *call[T]) subject() any {
	if c.file == nil { // it is on a name
		return nil
	}
	return c.file
}

func (o *chainOp) subject() any {
	switch s := &o.chain.steps[o.step]; {
	case s.conn != nil:
		return s.conn
	case s.file != nil:
		return s.file
	case s.chainFile != nil:
		return s.chainFile
	}
	return nil
}

var _ = []belonging{
	(*receiver)(nil), (*hangup)(nil), (*readable)(nil), (*into)(nil), (*sender)(nil), (*sendable)(nil), (*zeroCopy)(nil),
	(*halfClose)(nil), (*fileSend)(nil), (*pipeSend)(nil), (*closeRead)(nil), (*readShutdown)(nil), (*endShutdown)(nil), (*release)(nil),
	(*optionCall[int])(nil), (*packetReceiver)(nil), (*transmission)(nil), (*packetRoom)(nil), (*packetRelease)(nil),
	(*acceptor)(nil), (*acceptable)(nil), (*transfer)(nil), (*fileRelease)(nil), (*scopedFile)(nil), (*call[int])(nil), (*chainOp)(nil),
}

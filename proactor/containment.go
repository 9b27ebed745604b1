package proactor

import "runtime/debug"

// A callback that panics loses its connection and nothing else: the turn it
// was called in ends there, and the next one goes on with what was left.

// recovered is deferred by a turn.
func (l *Loop) recovered() {
	if value := recover(); value != nil {
		l.Panicked(value, debug.Stack())
		l.contain()
	}
}

// contain ends the connection whose callback did not return.
func (l *Loop) contain() {
	op := l.serving
	l.serving = nil
	var c *Conn
	switch op := op.(type) {
	case *receiver:
		c = op.conn
	case *sender:
		op.inFlight = 0 // its completion was being taken in
		c = op.conn
	case *into:
		c = op.conn
	case *halfClose:
		c = op.conn
	case *packetReceiver:
		op.conn.abort(op.conn.closedError("write"))
	case *transmission:
		op.conn.abort(op.conn.closedError("write"))
	}
	if c != nil {
		c.abort(c.closedError("read"))
	}
}

// Panicked implements what package futures calls when a callback of Then
// panics: it logs.
func (l *Loop) Panicked(value any, stack []byte) {
	if log := l.rt.options.logger; log != nil {
		log.Error("callback panicked", "loop", l.index, "panic", value, "stack", string(stack))
	}
}

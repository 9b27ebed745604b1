package proactor

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// The lines of the log have the same attributes for the same things: loop (its number),
// peer, local and listener (addresses), file (its name), op (of the error), err, panic
// and stack. docs/observability.md lists the lines.

// attributesOf are the attributes that say what something is.
func attributesOf(subject any) []any {
	switch s := subject.(type) {
	case *Conn:
		attributes := []any{"peer", s.RemoteAddr(), "local", s.LocalAddr()}
		if a := s.acceptor; a != nil {
			attributes = append(attributes, "listener", a.listener.Addr())
		}
		return attributes
	case *PacketConn:
		if s.RemoteAddr() == nil {
			return []any{"local", s.LocalAddr()}
		}
		return []any{"peer", s.RemoteAddr(), "local", s.LocalAddr()}
	case *Listener:
		return []any{"listener", s.Addr()}
	case *File:
		return []any{"file", s.Name()}
	}
	return nil
}

// attributesOfError are those of an error, with the operation if it tells.
func attributesOfError(err error) []any {
	op := ""
	var ofNet *net.OpError
	var ofFile *fs.PathError
	switch {
	case errors.As(err, &ofNet):
		op = ofNet.Op
	case errors.As(err, &ofFile):
		op = ofFile.Op
	}
	if op == "" {
		return []any{"err", err}
	}
	return []any{"op", op, "err", err}
}

// Describe implements engine.Host.
func (h *host) Describe(op engine.Operation) []any { return attributesOf(subjectOf(op)) }

// handlerEnded reports what a handler returned, if it is worth a line.
func (c *Conn) handlerEnded(err error) {
	if err == nil {
		return
	}
	log := c.loop.rt.options.logger
	var panicked *futures.PanicError
	switch {
	case errors.As(err, &panicked): // nobody may miss it
		cmp.Or(log, slog.Default()).Error("handler panicked", append(c.attributes(), "panic", panicked.Value, "stack", string(panicked.Stack))...)
	case log == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed): // its proper end
	default:
		level := slog.LevelError
		if c.isLost(err) {
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "handler failed", append(c.attributes(), attributesOfError(err)...)...)
	}
}

// attributes are those of a line about its handler.
func (c *Conn) attributes() []any {
	return append([]any{"loop", c.loop.index()}, attributesOf(c)...)
}

// isLost says that the peer has reset the connection, or is gone: everyday, and
// nothing that the program could mend. Of another connection, such as one that the
// handler has dialed, the same error says more.
func (c *Conn) isLost(err error) bool {
	var e *net.OpError
	if errors.As(err, &e) && e.Addr != nil && e.Addr.String() != c.RemoteAddr().String() {
		return false
	}
	for _, errno := range []syscall.Errno{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

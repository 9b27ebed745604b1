package proactor

import (
	"errors"
	"net"

	"github.com/goproactor/goproactor/internal/engine"
)

// ErrOverBudget is what ends a connection that holds more received data than it
// may, see WithMemoryBudget.
var ErrOverBudget = errors.New("proactor: the connection holds too much received data: release buffers, await sends, or raise WithMemoryBudget")

// budget is how many bytes of received data may be held on one loop.
func (o *options) budget() int64 { return max(1, o.memoryBudget/int64(o.loops)) }

// holder is a connection, of either kind, that holds received data.
type holder interface {
	heldBytes() int64
	isEnding() bool
	exceeds() // ends the connection
	RemoteAddr() net.Addr
	LocalAddr() net.Addr
}

func (c *Conn) heldBytes() int64       { return c.account.Held() }
func (c *Conn) isEnding() bool         { return c.state >= connEnding }
func (c *PacketConn) heldBytes() int64 { return c.account.Held() }
func (c *PacketConn) isEnding() bool   { return c.state >= connEnding }

func (c *Conn) exceeds() {
	c.shut.exceed(overBudget)
	c.abort(c.closedError("write"))
}

func (c *PacketConn) exceeds() {
	c.overBudget.Store(true)
	c.abort(c.closedError("write"))
}

// enforceBudget ends the connections that hold most until the others are within the
// budget. What a connection holds is released when its handler has returned.
func (l *Loop) enforceBudget() {
	l.overBudget = false
	budget := l.rt.options.budget()
	for {
		worst, held := l.worstHolder()
		if worst == nil || held <= budget && worst.heldBytes() <= budget/engine.AccountShare {
			return
		}
		l.counts.overBudget++
		bytes := worst.heldBytes()
		worst.exceeds()
		if log := l.notice(memoryScarce); log != nil {
			log.Warn("connection closed over the memory budget", append(attributesOf(worst),
				"held", bytes, "held_by_loop", l.engine.Held(), "budget", budget)...)
		}
	}
}

// worstHolder is the connection that holds most, and the bytes that all connections hold
// that are not ending.
func (l *Loop) worstHolder() (worst holder, held int64) {
	look := func(h holder) {
		if h.isEnding() {
			return
		}
		held += h.heldBytes()
		if worst == nil || h.heldBytes() > worst.heldBytes() {
			worst = h
		}
	}
	for _, c := range l.conns {
		look(c)
	}
	l.residents.Each(func(r resident) {
		if c, ok := r.(*PacketConn); ok {
			look(c)
		}
	})
	return worst, held
}

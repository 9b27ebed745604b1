package proactor

import (
	"errors"
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// limits are what few connections have, made when the first of it is needed: what a program
// has set for one (its deadlines, its idle timeout, its queue limit, that it may be moved),
// and the state of one that moves or ends.
type limits struct {
	read, write deadline
	drain       engine.Timer
	idle        idleTimeout
	queue       int // bytes that may wait to be sent; 0 is no limit
	policy      QueuePolicy
	closed      *futures.Promise[struct{}]
	movable     *movable // rebalancing may move the connection
	work        int64    // what it has received and sent, see workOfOperation
	rest        rest
	ending      ending
	move        *move // the one under way, or the one that brought the connection here
}

// limited returns the connection's limits, which it makes if there are none.
func (c *Conn) limited() *limits {
	if c.limits == nil {
		c.limits = new(limits)
	}
	return c.limits
}

func (b *limits) stop(l *Loop) {
	if b == nil {
		return
	}
	l.engine.StopTimer(&b.read.timer)
	l.engine.StopTimer(&b.write.timer)
	l.engine.StopTimer(&b.drain)
	l.engine.StopTimer(&b.idle.timer)
}

// connClosed tells those who wait for the end of the connection.
func (b *limits) connClosed() {
	b.read.end(ErrClosed)
	b.write.end(ErrClosed)
	if b.closed != nil {
		b.closed.Resolve(struct{}{})
	}
}

// endsBy ends the connection because of a limit. Operations that wait, and later ones,
// fail with that reason. A peer that has received everything reads the end of the
// stream, as after Close; others are sent a reset.
func (c *Conn) endsBy(l limit) {
	if c.state >= connEnding {
		return
	}
	c.shut.exceed(l)
	if c.send.idle() {
		c.remember()
		c.beginEnd()
		return
	}
	c.abort(c.closedError("write"))
}

// endedBy is the reason why the connection was closed. Any goroutine may call it.
func (c *Conn) endedBy() error {
	if l := c.shut.exceeded(); l != 0 {
		return limitError{limitErrors[l]}
	}
	return ErrClosed
}

// limit is one that ends a connection.
type limit uint32

const (
	idle limit = iota + 1
	slowConsumer
	overBudget
)

var limitErrors = [...]error{idle: ErrIdle, slowConsumer: ErrSlowConsumer, overBudget: ErrOverBudget}

// shut says whether a connection was closed, by the program or by a limit, and by which. Any
// goroutine may call its methods.
type shut struct{ state atomic.Uint32 }

const (
	shutClosed = 1 // Close or Abort was called
	shutLimit  = 8 // behind this bit is the limit
)

// Load reports whether the connection was closed.
func (s *shut) Load() bool { return s.state.Load() != 0 }

// close notes a Close, and reports whether there was one before.
func (s *shut) close() (again bool) { return s.state.Or(shutClosed)&shutClosed != 0 }

// exceed notes the limit that ends the connection: the first one counts.
func (s *shut) exceed(l limit) {
	for before := s.state.Load(); before>>shutLimit == 0; before = s.state.Load() {
		if s.state.CompareAndSwap(before, before|uint32(l)<<shutLimit) {
			return
		}
	}
}

func (s *shut) exceeded() limit { return limit(s.state.Load() >> shutLimit) }

// limitError is the reason why a connection was ended, and ErrClosed.
type limitError struct{ error }

func (e limitError) Unwrap() error        { return e.error }
func (e limitError) Is(target error) bool { return errors.Is(ErrClosed, target) }

// Timeout implements net.Error, by way of net.OpError.
func (e limitError) Timeout() bool { return errors.Is(e.error, ErrIdle) }

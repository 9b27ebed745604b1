package proactor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// limits are what a program has set for a connection: its deadlines, its idle timeout
// and its queue limit. Most connections have none of them, so they are made when the
// first is set.
type limits struct {
	read, write deadline
	drain       engine.Timer
	idle        idleTimeout
	queue       int // bytes that may wait to be sent; 0 is no limit
	policy      QueuePolicy
	exceeded    error // the limit that ended the connection, if one has
}

// limited is the connection's limits, to set one.
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

// endsBy ends the connection because of a limit. What waits, and operations from now
// on, fail with that reason. A peer that has taken everything is told by an end of the
// stream, as by Close, others by a reset.
func (c *Conn) endsBy(reason error) {
	if c.state >= connEnding {
		return
	}
	c.limited().exceeded = limitError{reason}
	if c.send.idle() {
		c.remember()
		c.beginEnd()
		return
	}
	c.abort(c.closedError("write"))
}

// endedBy is why the connection is closed, as far as its loop knows.
func (c *Conn) endedBy() error {
	if c.loop.engine.Inside() && c.limits != nil && c.limits.exceeded != nil {
		return c.limits.exceeded
	}
	return ErrClosed
}

// limitError is the reason why a connection was ended, and ErrClosed.
type limitError struct{ error }

func (e limitError) Unwrap() error        { return e.error }
func (e limitError) Is(target error) bool { return errors.Is(ErrClosed, target) }

// Timeout implements net.Error, by way of net.OpError.
func (e limitError) Timeout() bool { return errors.Is(e.error, ErrIdle) }

// ErrSlowConsumer says that a peer takes its data more slowly than the program sends
// it, and that more waits than SetQueueLimit allows.
var ErrSlowConsumer = errors.New("proactor: the peer does not keep up and the queue limit is reached: send less, await Queue, or raise SetQueueLimit")

// QueuePolicy is what happens to a connection whose queue limit is reached.
type QueuePolicy uint8

const (
	// QueueRefuse fails the Send or Queue that would exceed the limit, with
	// ErrSlowConsumer. The connection and what it has queued stay.
	QueueRefuse QueuePolicy = iota
	// QueueDrop ends the connection: what is queued is dropped, the peer is sent a
	// reset, and all that waits on the connection fails with ErrSlowConsumer.
	QueueDrop
)

// SetQueueLimit limits how many bytes may wait to be sent, for peers that read too
// slowly. It concerns every Send, Queue and Broadcast from then on; files and chains
// are not counted. A single one that is larger than the limit is taken if nothing else
// waits. 0 means no limit, which is how a connection begins. Any goroutine may call it. It holds
// until Move.
//
// Errors satisfy errors.Is with ErrSlowConsumer; of a connection that was dropped also
// with ErrClosed.
func (c *Conn) SetQueueLimit(bytes int, policy QueuePolicy) {
	if bytes < 0 || policy > QueueDrop {
		panic(fmt.Sprintf("proactor: SetQueueLimit(%d, %d) wants no negative number of bytes and QueueRefuse or QueueDrop", bytes, policy))
	}
	c.loop.engine.Perform(func() {
		b := c.limited()
		b.queue, b.policy = bytes, policy
	})
}

// Queued is how many bytes wait to be sent: Send or Queue has them, and the kernel has
// not. What another goroutine sends counts once it has come to the connection's loop.
// Any goroutine may call it.
func (c *Conn) Queued() int { return int(c.send.pending.Load()) }

// accepts is why n more bytes cannot be queued, nil if they can.
func (s *sender) accepts(n int) error {
	if err := s.refusal(); err != nil {
		return err
	}
	b := s.conn.limits
	if b == nil || b.queue == 0 {
		return nil
	}
	if waiting := s.bytes(); waiting == 0 || n <= b.queue-waiting {
		return nil
	}
	if b.policy == QueueDrop {
		s.conn.endsBy(ErrSlowConsumer)
		return s.err
	}
	return s.conn.opError("write", fmt.Errorf("%w (%d bytes)", ErrSlowConsumer, b.queue))
}

// ErrIdle is what an idle timeout ends things with. It is a timeout:
// errors.Is finds os.ErrDeadlineExceeded, and Timeout of a net.Error reports true.
var ErrIdle error = idleError{}

type idleError struct{}

func (idleError) Error() string {
	return "proactor: idle: nothing was received or sent for the idle timeout"
}
func (idleError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
func (idleError) Timeout() bool        { return true }
func (idleError) Temporary() bool      { return true }

// idleTimeout notices that nothing happens. Whatever happens is noted with the time of
// the loop's turn, and costs no timer: one that fires too early is armed again.
type idleTimeout struct {
	timer engine.Timer
	after time.Duration // 0 is never
	last  time.Duration // something happened, on the loop's clock
}

// set begins a timeout. idle is called when nothing has happened for that long.
func (t *idleTimeout) set(l *Loop, after time.Duration, idle func()) {
	l.engine.StopTimer(&t.timer)
	t.after = max(0, after)
	if t.after == 0 {
		return
	}
	t.last = l.engine.Now()
	t.timer.Expired = func(err error) {
		if err != nil {
			return
		}
		if l.engine.Now()-t.last >= t.after {
			idle()
			return
		}
		t.arm(l)
	}
	t.arm(l)
}

func (t *idleTimeout) arm(l *Loop) {
	l.engine.SetTimer(&t.timer, l.engine.After(t.last+t.after-l.engine.Now()))
}

// touch notes that something happens.
func (t *idleTimeout) touch(l *Loop) {
	if t.after > 0 {
		t.last = l.engine.TurnTime()
	}
}

// touch notes that the connection receives or sends.
func (c *Conn) touch() {
	if c.limits != nil {
		c.limits.idle.touch(c.loop)
	}
}

// SetIdleTimeout ends the connection when no byte was received or sent for d, with
// ErrIdle for all that waits on it and for operations from then on, which is also
// ErrClosed. What counts is what the library receives and what the kernel takes: a
// program that does not receive for d lets its connection be idle. Zero, with which a
// connection begins, or less means never. Any goroutine may call it; each call begins
// anew. Messages on the connection cost no timer operation.
//
// It holds until Move.
func (c *Conn) SetIdleTimeout(d time.Duration) {
	c.loop.engine.Perform(func() {
		if c.state < connEnding && (d > 0 || c.limits != nil) {
			c.limited().idle.set(c.loop, d, func() { c.endsBy(ErrIdle) })
		}
	})
}

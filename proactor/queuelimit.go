package proactor

import (
	"errors"
	"fmt"
)

// ErrSlowConsumer is the error when a peer reads more slowly than the program sends, so
// that more bytes wait to be sent than SetQueueLimit allows.
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
// slowly. It applies to every Send, Queue and Broadcast from then on; files and chains
// do not count. One that is larger than the limit is accepted if nothing else
// waits. 0 means no limit, which is the default. Any goroutine may call it. A Move ends
// the limit.
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

// Queued is how many bytes wait to be sent: given to Send or Queue, and not taken by the
// kernel yet. A send from another goroutine counts once it has reached the connection's
// loop.
// Any goroutine may call it.
func (c *Conn) Queued() int { return int(c.send.pending.Load()) }

// accepts returns the error if n more bytes cannot be queued, nil if they can.
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
		s.conn.endsBy(slowConsumer)
		return s.err
	}
	return s.conn.opError("write", fmt.Errorf("%w (%d bytes)", ErrSlowConsumer, b.queue))
}

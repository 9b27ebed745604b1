package futures

import "context"

// Cond lets tasks of any loops and ordinary goroutines wait until something has
// changed that a lock guards. A task that waits gives way to its loop. It must not
// be copied after first use.
//
// As with sync.Cond, whoever was told looks again, in a loop, whether what it waits
// for holds. Signals go to those who wait in the order in which they came.
type Cond struct {
	// L guards what is waited for. It must be set before Cond is used.
	L Locker

	queue waitQueue
}

// NewCond makes a Cond whose lock is l.
func NewCond(l Locker) *Cond { return &Cond{L: l} }

// Wait unlocks L, which the caller has locked, waits for Signal or Broadcast, and
// locks L again. L is locked when Wait returns, whatever the error: Wait waits for
// that even if ctx has ended.
//
// If ctx ends before the caller is told, the error is ctx's, and no signal is lost
// by it: one that came at the same time makes Wait return nil. In a callback of a
// loop, which cannot wait, it is ErrNoTask.
func (c *Cond) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	e, err := c.queue.entry(ctx)
	if err != nil {
		return err
	}
	c.queue.mu.Lock()
	c.queue.push(e)
	c.queue.mu.Unlock()
	c.L.Unlock()
	err = c.queue.await(ctx, e, noneLeft)
	if lockErr := c.L.Lock(context.Background()); lockErr != nil {
		panic("futures: Wait of a Cond cannot lock L again: " + lockErr.Error())
	}
	return err
}

func noneLeft() *waitEntry { return nil }

// Signal tells the one who has waited longest, if there is one. It does not wait.
// The caller may have L locked, and need not.
func (c *Cond) Signal() {
	c.queue.mu.Lock()
	e := c.queue.first
	if e != nil {
		c.queue.remove(e)
	}
	c.queue.mu.Unlock()
	tellAll(e)
}

// Broadcast tells all who wait. It does not wait. The caller may have L locked, and
// need not.
func (c *Cond) Broadcast() {
	c.queue.mu.Lock()
	all := c.queue.removeAll()
	c.queue.mu.Unlock()
	tellAll(all)
}

package proactor

import (
	"os"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

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

package proactor

import (
	"os"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// ErrIdle is the error after an idle timeout: errors.Is finds os.ErrDeadlineExceeded,
// and Timeout of a net.Error reports true.
var ErrIdle error = idleError{}

type idleError struct{}

func (idleError) Error() string {
	return "proactor: idle: nothing was received or sent for the idle timeout"
}
func (idleError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
func (idleError) Timeout() bool        { return true }
func (idleError) Temporary() bool      { return true }

// idleTimeout calls a function when nothing was received or sent for some time. Each
// receive and send stores the time of the loop's turn; the timer is not changed. When
// the timer fires too early it is armed again.
type idleTimeout struct {
	timer engine.Timer
	after time.Duration // 0 is never
	last  time.Duration // time of the last receive or send, on the loop's clock
}

// set begins a timeout. idle is called when nothing was received or sent for that long.
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

// touch notes a receive or send.
func (t *idleTimeout) touch(l *Loop) {
	if t.after > 0 {
		t.last = l.engine.TurnTime()
	}
}

// touch notes that the connection has received or sent n bytes.
func (c *Conn) touch(n int) {
	if c.limits != nil {
		c.limits.idle.touch(c.loop)
		c.limits.work += int64(n) + workOfOperation
	}
}

// SetIdleTimeout ends the connection when no byte was received or sent for d.
// Operations that wait, and later ones, fail with ErrIdle, which is also ErrClosed. Bytes
// count when the library receives them and when the kernel takes them: a connection
// whose program does not receive for d is idle. Zero or less means never, which is the
// default. Any goroutine may call it; each call starts the timeout again. Receives and
// sends cost no timer operation. A Move ends the timeout.
func (c *Conn) SetIdleTimeout(d time.Duration) {
	c.loop.engine.Perform(func() {
		if c.state < connEnding && (d > 0 || c.limits != nil) {
			c.setIdleTimeout(d)
		}
	})
}

func (c *Conn) setIdleTimeout(d time.Duration) {
	c.limited().idle.set(c.loop, d, func() { c.endsBy(idle) })
}

package proactor

import (
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

type deadline struct {
	timer  engine.Timer
	passed bool
}

func (c *Conn) readExpired() bool  { return c.limits != nil && c.limits.read.passed }
func (c *Conn) writeExpired() bool { return c.limits != nil && c.limits.write.passed }

func (c *Conn) setReadDeadline(t time.Time) {
	c.limited().read.set(c.loop, c.state >= connEnding, t, func() { c.recv.expire(c.timedOut("read")) })
}

func (c *Conn) setWriteDeadline(t time.Time) {
	c.limited().write.set(c.loop, c.state >= connEnding, t, func() { c.send.expire(c.timedOut("write")) })
}

// set arms the deadline for t. pass runs when the time has come, at once if t is in
// the past, and never if the connection has ended.
func (d *deadline) set(l *Loop, over bool, t time.Time, pass func()) {
	l.engine.StopTimer(&d.timer)
	d.passed = false
	if t.IsZero() || over {
		return
	}
	expired := func(err error) {
		if err == nil {
			d.passed = true
			pass()
		}
	}
	wait := time.Until(t)
	if wait <= 0 {
		expired(nil)
		return
	}
	d.timer.Expired = expired
	l.engine.SetTimer(&d.timer, l.engine.After(wait))
}

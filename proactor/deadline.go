package proactor

import (
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// deadlines are a connection's timers, made when the first is set.
type deadlines struct {
	read, write deadline
	drain       engine.Timer
}

type deadline struct {
	timer  engine.Timer
	passed bool
}

func (c *Conn) timeouts() *deadlines {
	if c.deadlines == nil {
		c.deadlines = new(deadlines)
	}
	return c.deadlines
}

func (c *Conn) readExpired() bool  { return c.deadlines != nil && c.deadlines.read.passed }
func (c *Conn) writeExpired() bool { return c.deadlines != nil && c.deadlines.write.passed }

func (c *Conn) setReadDeadline(t time.Time) {
	c.timeouts().read.set(c.loop, c.state >= connEnding, t, func() { c.recv.expire(c.timedOut("read")) })
}

func (c *Conn) setWriteDeadline(t time.Time) {
	c.timeouts().write.set(c.loop, c.state >= connEnding, t, func() { c.send.cancel(c.timedOut("write")) })
}

// set arms the deadline for t; pass runs when it has come, at once if t is in
// the past, and never if what it is for is over.
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

func (d *deadlines) stop(l *Loop) {
	if d == nil {
		return
	}
	l.engine.StopTimer(&d.read.timer)
	l.engine.StopTimer(&d.write.timer)
	l.engine.StopTimer(&d.drain)
}

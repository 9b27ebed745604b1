package proactor

import (
	"slices"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

type deadline struct {
	timer  engine.Timer
	passed bool
	ends   []*futures.Promise[Events] // of those who wait by rawConn, see end
}

// end fails those who wait by rawConn, because the deadline has passed or the connection
// is closed.
func (d *deadline) end(reason error) {
	ends := d.ends
	d.ends = nil
	for _, p := range ends {
		p.Fail(reason)
	}
}

// leave takes p, which nobody waits for any more, from those who wait.
func (d *deadline) leave(p *futures.Promise[Events]) {
	if i := slices.Index(d.ends, p); i >= 0 {
		d.ends = slices.Delete(d.ends, i, i+1)
	}
	p.Fail(futures.ErrCanceled)
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
			d.end(errTimeout)
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

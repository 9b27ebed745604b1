package proactor

import (
	"context"
	"errors"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// relocation is the move of a connection by rebalancing. First it waits until nothing of
// the connection is in flight and its handler waits for data; the handler does not notice.
// Then the connection is moved at once, and its handler told. When that has returned, the
// connection's new Conn goes to its loop.
type relocation struct {
	conn   *Conn
	to     *Loop
	begun  bool      // what was armed is canceled
	place  *acceptor // of the listener, on the other loop
	there  *Conn     // stands for conn on the other loop; nil until it is moved
	limits keptLimits
	unread []unreadData
	movable
}

// quietIn is for how long a relocation waits for its connection to be quiet.
const quietIn = 50 * time.Millisecond

// relocate begins to move a connection, false if it cannot.
func (l *Loop) relocate(c *Conn, to *Loop) bool {
	if c.acceptor == nil || c.medium == file {
		return false
	}
	place := c.acceptor.listener.acceptorOn(to)
	if place == nil {
		return false
	}
	m := c.limits.movable
	m.leaving = &relocation{conn: c, to: to, place: place, movable: *m}
	b := &l.rebalance
	b.leaving = append(b.leaving, m.leaving)
	b.patience.Expired = func(error) { l.abandonRelocations() }
	l.engine.SetTimer(&b.patience, l.engine.After(quietIn))
	return true
}

// pursueRelocations is called at the end of each turn while there are some.
func (l *Loop) pursueRelocations() {
	b := &l.rebalance
	waiting := b.leaving[:0]
	for _, r := range b.leaving {
		if !r.proceed() {
			waiting = append(waiting, r)
		}
	}
	clear(b.leaving[len(waiting):])
	b.leaving = waiting
	if len(waiting) == 0 {
		l.engine.StopTimer(&b.patience)
	}
}

// abandonRelocations lets the connections stay that were not quiet in time.
func (l *Loop) abandonRelocations() {
	list := l.rebalance.leaving
	l.rebalance.leaving = nil
	for _, r := range list {
		r.abandon()
	}
}

// proceed reports whether the relocation has moved its connection, or has given up.
func (r *relocation) proceed() bool {
	c := r.conn
	switch {
	case c.state != connOpen || c.isMoving() || c.relocation() != r:
		r.abandon()
		return true
	case !r.begun:
		if c.recv.direct != nil || c.recv.claim != nil {
			return false
		}
		r.begun, c.recv.leaving = true, true
		c.recv.disarm()
		return false
	case !r.quiet():
		return false
	}
	if !r.leave() {
		r.abandon()
	}
	return true
}

// quiet reports whether nothing of the connection is in flight or held, and its handler
// waits for data.
func (r *relocation) quiet() bool {
	c := r.conn
	b := c.limits
	return !c.busy() && c.send.idle() && c.send.refusal() == nil && !c.readExpired() && c.account.Held() == 0 &&
		len(b.read.ends) == 0 && len(b.write.ends) == 0 && r.waitsToReceive(c)
}

// abandon lets the connection stay.
func (r *relocation) abandon() {
	c := r.conn
	c.recv.leaving = false
	if c.relocation() == r {
		c.limits.movable.leaving = nil
	}
	c.recv.arm()
}

// leave moves the connection, which is quiet. It returns false, and the handler does not
// notice, if the runtime shuts down or there is no descriptor for the duplicate.
func (r *relocation) leave() bool {
	c := r.conn
	// Announce the arrival first and look for a Shutdown second: a loop that drains
	// after that waits for the arrival.
	r.to.rebalance.arriving.Add(1)
	fd, err := -1, error(nil)
	if !c.loop.rt.draining.Load() && !c.loop.stopping() {
		fd, err = sockets.DuplicateNumber(c.fd)
	}
	if fd < 0 || err != nil {
		r.to.rebalance.arriving.Add(-1)
		return false
	}
	r.limits = c.limits.keep(c.loop)
	r.there = c.successor(r.to, fd)
	r.there.recv.short, r.there.recv.bulk, r.there.recv.oneByOne = c.recv.short, c.recv.bulk, c.recv.oneByOne
	c.recv.leaving = false
	c.loop.counts.rebalanced++
	if log := c.loop.rt.options.logger; log != nil {
		log.Debug("connection moved", append([]any{"loop", c.loop.index(), "to", r.to.index()}, attributesOf(c)...)...)
	}
	(&move{conn: c, to: r}).begin()
	return true
}

// op implements destination.
func (r *relocation) op() string           { return "move" }
func (r *relocation) departure() departure { return moved }

// prepare implements destination. The duplicate is there already.
func (r *relocation) prepare(c *Conn) (taker, error) {
	c.acceptor.conns.Add(-1)
	r.place.conns.Add(1)
	r.there.acceptor, c.acceptor = r.place, nil
	return r, nil
}

// fail implements destination: the connection stays, as leave has found it.
func (r *relocation) fail(error) {
	r.to.rebalance.arriving.Add(-1)
	sockets.Close(r.there.fd)
	r.there = nil
}

// take implements taker. A handler of Serve is told, and has to return first.
func (r *relocation) take(unread []unreadData) {
	r.unread = unread
	if r.service == nil { // behind the last call of the handler of OnRecv
		r.conn.loop.engine.Later(r.depart)
	}
}

// handlerEnded is called when the handler of Serve has returned.
func (r *relocation) handlerEnded(err error) {
	var panicked *futures.PanicError
	if errors.As(err, &panicked) || errors.Is(err, futures.ErrGoexit) {
		r.drop()
		r.service.server.running.Done()
		return
	}
	r.depart()
}

// depart sends the connection to its loop.
func (r *relocation) depart() {
	if !r.to.engine.Begin(r.arrive) {
		r.drop()
		if r.service != nil {
			r.service.server.running.Done()
		}
	}
}

// drop closes the connection, of which nothing but the socket is there.
func (r *relocation) drop() {
	r.to.rebalance.arriving.Add(-1)
	r.there.lost()
}

// arrive begins the handler, on the other loop.
func (r *relocation) arrive() {
	r.to.rebalance.arriving.Add(-1)
	c := r.there
	c.settle(r.unread)
	if c.state == connOpen {
		r.limits.restore(c)
	}
	v := r.service
	if v == nil {
		r.place.begin(c)
		return
	}
	if c.state == connOpen {
		v.server.resume(c, r.resume)
	}
	v.server.running.Done()
}

// resume starts the handler of a connection that was moved here. If Serve's context has
// ended, its handlers may have been canceled while this one was between the loops.
func (s *server) resume(c *Conn, handler func(context.Context, *Conn) error) {
	task := s.start(c, handler)
	if s.ctx.Err() != nil {
		task.Cancel(context.Cause(s.ctx))
	}
}

// keptLimits are the limits of a connection, by the clock of no loop.
type keptLimits struct {
	read, write time.Time
	idle        time.Duration // the timeout
	idled       time.Duration // of it, passed
	queue       int
	policy      QueuePolicy
	rested      time.Duration // the length of its last rest
}

// keep copies the limits, to restore them on another loop.
func (b *limits) keep(l *Loop) keptLimits {
	return keptLimits{
		read: b.read.moment(l), write: b.write.moment(l),
		idle: b.idle.after, idled: l.engine.Now() - b.idle.last,
		queue: b.queue, policy: b.policy, rested: b.rest.length,
	}
}

// moment is when the deadline passes; the zero time if it is not set.
func (d *deadline) moment(l *Loop) time.Time {
	left, armed := l.engine.Until(&d.timer)
	if !armed {
		return time.Time{}
	}
	return time.Now().Add(left)
}

func (k *keptLimits) restore(c *Conn) {
	b := c.limited()
	b.queue, b.policy = k.queue, k.policy
	b.rest.begin(c.loop, k.rested)
	c.setReadDeadline(k.read)
	c.setWriteDeadline(k.write)
	if k.idle > 0 {
		c.setIdleTimeout(k.idle)
		b.idle.last -= k.idled
		b.idle.arm(c.loop)
	}
}

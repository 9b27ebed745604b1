package proactor

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// rebalancing is what WithRebalancing has set.
type rebalancing struct {
	interval time.Duration
	portion  float64                     // of the difference between two loops, that is moved at once
	limit    int                         // moves a second
	demand   func(l *Loop) time.Duration // what each loop has wanted of a processor so far
}

// RebalancingOption changes how WithRebalancing works.
type RebalancingOption func(*rebalancing) error

// RebalanceEvery sets how often the loads of the loops are compared. The default is
// 100 ms. Connections are moved when two comparisons in a row find the same loop
// saturated.
func RebalanceEvery(d time.Duration) RebalancingOption {
	return func(r *rebalancing) error {
		if d < time.Millisecond {
			return fmt.Errorf("proactor: rebalancing every %v: want a millisecond at least", d)
		}
		r.interval = d
		return nil
	}
}

// RebalanceLimit sets how many connections may be moved in a second, in the whole
// runtime. The default is 100.
func RebalanceLimit(moves int) RebalancingOption {
	return func(r *rebalancing) error {
		if moves < 1 {
			return fmt.Errorf("proactor: %d moves a second: want at least 1", moves)
		}
		r.limit = moves
		return nil
	}
}

// WithRebalancing has a loop that is saturated give connections to one that is not, while
// another is mostly idle: those that receive and send most. A goroutine compares for how
// long each loop has wanted a processor; the loops do nothing for it while they are
// balanced.
//
// New connections of a listener with SpreadByKernel are given away at once. A connection
// that is open is moved only if its handler allows it: see WithMovableHandlers and
// Conn.AllowMove. For a coroutine cannot leave the thread that it was created on: what
// moves is the connection, and its handler begins anew on the other loop.
//
// A connection that was moved stays for ten intervals at least, and after each further move
// for twice as long, up to a minute.
//
// With WithBusyPoll a loop always wants its processor, so that all look alike and nothing
// is moved. LoopStats.Rebalanced counts the moves; the logger gets a line for each, at
// debug level. The default is off.
func WithRebalancing(opts ...RebalancingOption) Option {
	return func(o *options) error {
		r := &rebalancing{interval: 100 * time.Millisecond, limit: 100, portion: 0.5}
		r.demand = func(l *Loop) time.Duration { return l.engine.Demand() }
		for _, set := range opts {
			if err := set(r); err != nil {
				return err
			}
		}
		o.rebalancing = r
		return nil
	}
}

// WithMovableHandlers says that the handlers of this listener keep nothing between two
// receives, so that rebalancing (WithRebalancing, without which the option has no effect)
// may move their connections while they wait for data:
//
//   - A handler of Serve that waits in Recv, or in what calls it, such as a Reader, gets
//     ErrMoved and returns. Then Serve calls it again with the Conn that stands for the
//     connection on the other loop, whatever it has returned. If it has panicked or exited,
//     the connection is closed instead.
//   - A handler of OnRecv gets ErrMoved as its last call, and then the function that was
//     given to OnConn is called with the new Conn, on its loop.
//
// Nothing is lost and the order stays. A connection is moved only while nothing that was
// received is held or unread, a Reader with a part of a frame included, and everything is
// sent, and for Serve while the handler itself is the only one who waits, for one Recv
// (not RecvInto). Deadlines, the idle timeout, the queue limit and the place in the
// listener's limits go along. The context of the handler is a new one with the same parent.
//
// The old Conn is unusable, as after Move: of others that have it, sends fail with ErrMoved
// and Close does nothing. So a handler whose Conn is known elsewhere, as in a chat room,
// or that has state, such as a TLS session or a user that has logged in, must not be moved
// so: Conn.AllowMove takes such state along. Accept's connections, those of Dial and
// Adopt, and those that Runtime.Go serves are never moved.
func WithMovableHandlers() ListenOption {
	return func(ln *Listener) error { ln.movable = true; return nil }
}

// AllowMove allows rebalancing (WithRebalancing) to move the connection while its handler
// waits in Recv, under the conditions of WithMovableHandlers. The handler gets ErrMoved
// and has to return; then resume is called in its place on the other loop, as a handler of
// the same Serve with the Conn that stands for the connection there. What the handler
// knows of the connection resume gets as a closure. It begins when the handler has
// returned, so that both may use the same memory.
//
// The handler itself has to call it, and resume again if another move is to follow. A nil
// resume forbids moves again. The error wraps syscall.EINVAL if the caller is not the
// handler of Serve of this connection; it is ErrMoved once that was told. Without WithRebalancing it does nothing.
func (c *Conn) AllowMove(resume func(ctx context.Context, c *Conn) error) error {
	if c.loop.rt.rebalancer == nil {
		return nil
	}
	v := c.serviceHere()
	switch {
	case v == nil:
		return c.opError("allow move", fmt.Errorf("the caller is not the connection's handler of Serve: %w", syscall.EINVAL))
	case c.movedTo() != nil:
		return c.opError("allow move", c.movedTo())
	case resume == nil:
		c.limited().movable = nil
		return nil
	}
	c.setMovable(&movable{service: v, resume: resume})
	return nil
}

// serviceHere is the connection's handler of Serve, if that is the caller.
func (c *Conn) serviceHere() *service {
	if !c.loop.engine.Inside() {
		return nil
	}
	t := c.loop.engine.Tasks().Current()
	if t == nil {
		return nil
	}
	v, ok := t.Job().(*service)
	if !ok || v.conn != c {
		return nil
	}
	return v
}

// movable is that a connection may be moved.
type movable struct {
	service  *service // its handler of Serve; nil if it has one of OnRecv
	resume   func(ctx context.Context, c *Conn) error
	measured int64       // its work at the last measurement
	leaving  *relocation // under way
}

func (c *Conn) setMovable(m *movable) {
	if c.loop.rt.rebalancer != nil {
		c.limited().movable = m
	}
}

// relocation is the one under way, nil if there is none.
func (c *Conn) relocation() *relocation {
	if c.limits == nil || c.limits.movable == nil {
		return nil
	}
	return c.limits.movable.leaving
}

// waitsToReceive reports whether the connection's handler waits for data, and nothing
// else does.
func (m *movable) waitsToReceive(c *Conn) bool {
	in := &c.recv.in
	switch {
	case in.unread.Len() > 0 || c.recv.claim != nil || c.recv.direct != nil || c.recv.err != nil:
		return false
	case m.service == nil:
		return in.handler != nil && !in.isHeld && !in.draining && in.line.Len() == 0
	case in.line.Len() != 1:
		return false
	}
	d, ok := (*in.line.At(0)).(*recvDemand[Buffer])
	return ok && (*request[Buffer])(d).AwaitedBy(m.service.task)
}

// workOfOperation is what a receive or send costs besides its bytes, as a number of bytes:
// a small message costs as much processor time as copying about this much.
const workOfOperation = 16 << 10

// rest is for how long a connection that was moved stays where it is. It is twice as long
// after each further move, so that no connection moves to and fro for long.
type rest struct {
	length time.Duration
	until  time.Duration // on the loop's clock
}

const (
	restIntervals = 10
	longestRest   = time.Minute
)

// begin begins a rest, after one of that length.
func (r *rest) begin(l *Loop, before time.Duration) {
	r.length = min(max(2*before, restIntervals*l.rt.options.rebalancing.interval), longestRest)
	r.until = l.engine.Now() + r.length
}

// rebalance is the state of one loop for it.
type rebalance struct {
	leaving  []*relocation        // connections to be moved as soon as they are quiet
	patience engine.Timer         // until they stay
	arriving atomic.Int32         // connections on their way here
	relief   atomic.Pointer[Loop] // gets new connections instead, while this loop is saturated
}

// rebalancer compares the loads of the loops, and has saturated ones give connections
// away. It is a goroutine.
type rebalancer struct {
	rt       *Runtime
	settings *rebalancing
	done     chan struct{}
	demands  []time.Duration // at the last comparison
	loads    []float64       // since then, 1 is a processor
	balance  balance
	credit   float64      // moves that the limit allows
	moves    atomic.Int64 // made by loops since the last comparison
}

func startRebalancer(rt *Runtime) *rebalancer {
	n := len(rt.loops)
	r := &rebalancer{rt: rt, settings: rt.options.rebalancing, done: make(chan struct{}), demands: make([]time.Duration, n), loads: make([]float64, n)}
	go r.run()
	return r
}

func (r *rebalancer) stop() {
	if r != nil {
		close(r.done)
	}
}

func (r *rebalancer) run() {
	tick := time.NewTicker(r.settings.interval)
	defer tick.Stop()
	before := time.Now()
	r.measure(0)
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
		now := time.Now()
		r.measure(now.Sub(before))
		before = now
		r.compare()
	}
}

// measure updates the loads. passed is the time since the last call.
func (r *rebalancer) measure(passed time.Duration) {
	for i, l := range r.rt.loops {
		demand := r.settings.demand(l)
		r.loads[i] = float64(max(0, demand-r.demands[i])) / float64(max(1, passed))
		r.demands[i] = demand
	}
	limit := float64(r.settings.limit)
	r.credit = min(limit, r.credit-float64(r.moves.Swap(0))+limit*passed.Seconds())
}

// compare acts on the loads.
func (r *rebalancer) compare() {
	v := r.balance.judge(r.loads)
	from, to := r.rt.loops[v.from], r.rt.loops[v.to]
	for _, l := range r.rt.loops {
		if l == from && v.skewed {
			l.rebalance.relief.Store(to)
		} else {
			l.rebalance.relief.Store(nil)
		}
	}
	switch v.action {
	case observe:
		from.engine.Do(func() { from.measureWork() })
	case giveAway:
		if most := int(r.credit); most > 0 {
			from.engine.Do(func() { r.moves.Add(int64(from.giveAway(to, v, most))) })
		}
	}
}

// balance decides from the loads of successive intervals.
type balance struct {
	from  int // the loop that was found saturated
	seen  int // how many times in a row
	pause int // intervals until moves are judged by what they have changed
}

type action uint8

const (
	leaveAlone action = iota
	observe           // measure what the connections do
	giveAway          // move some of them
)

// verdict is what to do between two loops.
type verdict struct {
	action   action
	from, to int
	skewed   bool    // from is saturated, to is not
	load     float64 // of from
	gap      float64 // what it is above that of to
}

const (
	// saturated is the load from which a loop gives connections away.
	saturated = 0.7
	// leastGap is how much less loaded the other loop must be. It is large, so that
	// what was moved is not moved back for a small difference.
	leastGap = 0.3
	// settling is how many intervals after moves the loads are not judged.
	settling = 2
)

// judge finds the busiest and the idlest loop, and what to do with them.
func (b *balance) judge(loads []float64) verdict {
	v := verdict{}
	for i, load := range loads {
		if load > loads[v.from] {
			v.from = i
		}
		if load < loads[v.to] {
			v.to = i
		}
	}
	v.load, v.gap = loads[v.from], loads[v.from]-loads[v.to]
	v.skewed = v.load >= saturated && v.gap >= leastGap
	switch {
	case b.pause > 0:
		b.pause--
		return v
	case !v.skewed:
		b.seen = 0
		return v
	}
	if v.from != b.from {
		b.from, b.seen = v.from, 0
	}
	if b.seen++; b.seen == 1 {
		v.action = observe
		return v
	}
	v.action, b.seen, b.pause = giveAway, 0, settling
	return v
}

// measureWork begins a measurement of what each connection that may be moved does.
func (l *Loop) measureWork() (list []mover, total int64) {
	now := l.engine.Now()
	for _, c := range l.conns {
		if c.limits == nil || c.limits.movable == nil {
			continue
		}
		m := c.limits.movable
		work := c.limits.work - m.measured
		m.measured = c.limits.work
		total += work
		if work > 0 && now >= c.limits.rest.until {
			list = append(list, mover{c, work})
		}
	}
	return list, total
}

// mover is a connection that may be moved, and its work since the measurement began.
type mover struct {
	conn *Conn
	work int64
}

// giveAway moves connections for a part of the gap, the heaviest first. It returns how many it
// has begun to move.
func (l *Loop) giveAway(to *Loop, v verdict, most int) (n int) {
	l.abandonRelocations()
	list, total := l.measureWork()
	slices.SortFunc(list, func(a, b mover) int { return int(min(max(b.work-a.work, -1), 1)) })
	left := v.gap * l.rt.options.rebalancing.portion
	for _, c := range list {
		if n == most {
			break
		}
		// One that is more than what is left would only change the roles of the loops.
		if share := v.load * float64(c.work) / float64(total); share <= left && l.relocate(c.conn, to) {
			left -= share
			n++
		}
	}
	return n
}

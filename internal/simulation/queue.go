package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
)

// Queue is a ring.Queue of a network.
type Queue struct {
	net    *Network
	index  int
	random *rand.Rand
	used   uint64 // sockets so far

	entries  [256]queueabi.SQE
	queued   int
	chain    *operation   // that the next entry is linked behind
	live     []*operation // in flight, in the order of their submission
	coming   []completion // not seen yet, the first to come first
	ready    []completion // to be reaped
	inFlight int
	groups   map[uint16]*group
	wakeups  []*operation // reads of an eventfd
	stats    ring.Stats

	signal chan struct{}
	closed bool
}

var _ ring.Queue = (*Queue)(nil)

// completion is one on its way.
type completion struct {
	op     *operation
	due    time.Duration
	result int32
	flags  uint32
}

var errClosed = fmt.Errorf("simulation: queue: %w", os.ErrClosed)

// Open opens a queue of the network.
func (n *Network) Open() *Queue {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opened++
	if n.open++; n.open == 1 {
		n.changed, n.ended = make(chan struct{}, 1), make(chan struct{})
		go n.runEvents(n.changed, n.ended)
	}
	return &Queue{net: n, index: n.opened, random: choice(n.seed, uint64(n.opened)), groups: map[uint16]*group{}, signal: make(chan struct{}, 1)}
}

// Next implements ring.Queue.
func (q *Queue) Next() *ring.SQE {
	if q.queued == len(q.entries) {
		q.net.mu.Lock()
		q.submit()
		q.net.mu.Unlock()
	}
	e := &q.entries[q.queued]
	*e.Entry() = queueabi.Entry{}
	q.queued++
	return (*ring.SQE)(e)
}

// Reserve implements ring.Queue.
func (q *Queue) Reserve(n int) error {
	if n > len(q.entries) {
		return fmt.Errorf("simulation: room for %d entries in a queue of %d: %w", n, len(q.entries), syscall.EINVAL)
	}
	if q.queued+n > len(q.entries) {
		q.net.mu.Lock()
		defer q.net.mu.Unlock()
		q.submit()
	}
	return nil
}

// Enter implements ring.Queue.
func (q *Queue) Enter(wait time.Duration) error {
	q.net.mu.Lock()
	defer q.net.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.stats.Enters++
	q.submit()
	q.readWakeups()
	if wait == 0 || len(q.ready) > 0 {
		return nil
	}
	late := false
	var limit *event
	if wait > 0 {
		limit = q.net.after(wait, func() { late = true; q.notify() })
	}
	for len(q.ready) == 0 && !late {
		q.net.mu.Unlock()
		<-q.signal
		q.net.mu.Lock()
		q.readWakeups()
	}
	q.net.stop(limit)
	return nil
}

// notify has a waiting Enter look again.
func (q *Queue) notify() { q.net.wake = append(q.net.wake, q) }

func (q *Queue) interrupt() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// Wake implements queuehook.Waker.
func (q *Queue) Wake() { q.interrupt() }

// submit performs what is queued.
func (q *Queue) submit() {
	q.syncHandles()
	q.watchGroups()
	entries := q.entries[:q.queued]
	q.queued = 0
	q.chain = nil
	var heads []*operation
	for i := range entries {
		op := q.operation(entries[i].Entry())
		if before := q.chain; before != nil {
			before.next = op
		} else {
			heads = append(heads, op)
		}
		q.chain = nil
		if op.flags&(ring.SQELink|ring.SQEHardLink) != 0 {
			q.chain = op
		}
	}
	for _, op := range heads {
		q.start(op)
	}
}

// post makes a completion of op, which is seen after a while.
func (q *Queue) post(op *operation, result int32, flags uint32) {
	if op.done {
		q.net.violated("%v of queue %d completes after its final completion", op.kind, q.index)
		return
	}
	due := q.net.now() + 1 + upTo(q.random, q.net.conditions.Delay)
	if op.order != nil {
		due = max(due, *op.order+1)
	}
	if flags&ring.CQEFMore == 0 {
		op.done = true
		q.forget(op)
	}
	e := q.net.at(due, q.release)
	if op.order != nil {
		*op.order = e.at
	}
	c := completion{op, e.at, result, flags}
	i := sort.Search(len(q.coming), func(i int) bool { return q.coming[i].due > c.due })
	q.coming = append(q.coming, completion{})
	copy(q.coming[i+1:], q.coming[i:])
	q.coming[i] = c
}

// release has the completion that is due be seen, and perhaps some that would come soon.
func (q *Queue) release() {
	now := q.net.now()
	for len(q.coming) > 0 && (q.coming[0].due <= now || q.random.IntN(3) == 0) {
		c := q.coming[0]
		q.coming = q.coming[1:]
		q.publish(c)
	}
}

// publish has a completion be seen.
func (q *Queue) publish(c completion) {
	q.ready = append(q.ready, c)
	q.notify()
	step := Step{Time: q.net.now(), Queue: q.index, Op: c.op.kind, Result: c.result, More: c.flags&ring.CQEFMore != 0}
	if c.op.socket != nil {
		step.Socket = c.op.socket.number
	}
	if c.op.kind.Brings() > 0 && c.result > 0 {
		step.Result = 0
	}
	q.net.trace = append(q.net.trace, step)
	q.net.seen++
	if fn := q.net.moments[q.net.seen]; fn != nil {
		q.net.hooks = append(q.net.hooks, fn)
	}
}

// Reap implements ring.Queue.
func (q *Queue) Reap(dst []ring.CQE) int {
	q.net.mu.Lock()
	defer q.net.mu.Unlock()
	n := min(len(dst), len(q.ready))
	for i, c := range q.ready[:n] {
		dst[i] = ring.CQE(queueabi.NewCQE(c.op.userData, c.result, c.flags))
		if c.flags&ring.CQEFMore == 0 {
			q.inFlight--
		}
	}
	q.ready = q.ready[n:]
	q.stats.Completed += uint64(n)
	return n
}

// InFlight implements ring.Queue.
func (q *Queue) InFlight() int { return q.inFlight + q.queued }

// Stats implements ring.Queue.
func (q *Queue) Stats() ring.Stats { return q.stats }

// Hold implements ring.Queue. There is no system call that waits.
func (q *Queue) Hold(bool) {}

// Close implements ring.Queue.
func (q *Queue) Close() error {
	n := q.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if q.closed {
		return nil
	}
	q.syncHandles()
	q.closed = true
	for _, op := range append([]*operation(nil), q.live...) {
		if !op.isWakeup() {
			n.violated("%v is in flight on queue %d when that is closed", op.kind, q.index)
		}
		q.cancelOne(op)
	}
	for _, c := range append(q.coming, q.ready...) {
		if c.op.kind == ring.OpAccept && c.result >= 0 {
			n.abandon(int(c.result))
		}
	}
	q.coming, q.ready, q.inFlight, q.queued = nil, nil, 0, 0
	for _, s := range append([]*socket(nil), n.all...) {
		if s.owner == q && !s.exists() {
			s.descriptorClosed()
		}
	}
	if n.open--; n.open == 0 {
		close(n.ended)
	}
	return nil
}

// The tables of files and buffers are not simulated.

func (q *Queue) RegisterBuffers(int) error             { return notSimulated("registered buffers") }
func (q *Queue) UpdateBuffer(int, []byte) error        { return syscall.ENXIO }
func (q *Queue) UnregisterBuffers() error              { return syscall.ENXIO }
func (q *Queue) RegisterFiles(int) error               { return notSimulated("direct descriptors") }
func (q *Queue) UpdateFiles(int, []int32) (int, error) { return 0, syscall.ENXIO }
func (q *Queue) UnregisterFiles() error                { return syscall.ENXIO }

func (q *Queue) RegisterReceiveArea(string, int, *ring.ReceiveArea) error {
	return notSimulated("zero-copy receive")
}

func notSimulated(what string) error {
	return fmt.Errorf("simulation: %s: %w", what, syscall.EOPNOTSUPP)
}

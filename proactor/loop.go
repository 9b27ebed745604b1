package proactor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// Loop is one event loop: a goroutine locked to its thread, with its own
// queue, operations, buffers, timers and tasks. Nothing in it is shared, so
// nothing in it is locked; other goroutines reach it with Do.
type Loop struct {
	engine engine.Loop
	rt     *Runtime

	buffers     engine.Pool
	bulk        engine.Pool // larger buffers, opened with the first connection that fills a buffer
	withoutBulk bool        // opening them failed
	messages    engine.Pool // opened with the first PacketConn
	memory      memoryTable // for files
	sending     []*sender   // that have something to send and nothing in flight

	streams  lenders[Buffer] // of connections
	packets  lenders[Message]
	segments engine.Lender[segment] // memory of the queues of connections
	sends    requestPool[int]
	intos    []*into  // to be used again
	files    slotPool // where chains open theirs

	zeroCopies []*zeroCopy // to be used again
	transfers  []*transfer // to be used again
	pipes      pipes       // for Forward

	programs engine.Account // of Buffer

	fileMemories fileMemories // for SendFile
	sentAtOnce   int64        // bytes of files in this turn, see Conn.sendAtOnce

	conns     []*Conn                 // every open connection of this loop
	residents engine.Roster[resident] // what else is open, and a Shutdown waits for
	openFiles engine.Roster[*File]    // a Shutdown does not wait for these

	counts     counters
	overBudget bool                      // more is held than may be
	noticed    [scarcities]time.Duration // when each was logged last
	draining   []func()                  // to call when everything has ended by itself
	rebalance  rebalance
	published  publication // the counters, as they were at the end of the last turn

	postsDelayed atomic.Uint64 // by others
}

// resident is something open that a Shutdown waits for: a Dial, a PacketConn, a
// listener's socket. All methods run on the loop.
type resident interface {
	// drain begins a Shutdown: begin nothing new, finish what is under way.
	drain()
	// end asks it to end for that reason. It leaves the roster when it has.
	end(reason error)
}

// The groups of provided buffers of a loop's queue.
const (
	bufferGroup  = 0 // for streams
	messageGroup = 1 // for messages, once there is a PacketConn
	bulkGroup    = 2 // for streams that fill buffers of the first group
)

// host is a Loop as its engine's engine.Host.
type host Loop

func (h *host) Opened() error {
	l := (*Loop)(h)
	l.streams.requests.loop, l.packets.requests.loop, l.sends.loop = l, l, l
	o := &l.rt.options
	return l.buffers.Open(&l.engine, bufferGroup, o.bufferSize, o.bufferCount)
}

// Flush starts the sends of the turn that has ended.
func (h *host) Flush() {
	for last := len(h.sending) - 1; last >= 0; last = len(h.sending) - 1 {
		s := h.sending[last]
		h.sending[last], h.sending = nil, h.sending[:last]
		s.conn.sendDue = false
		s.start()
	}
}

// Turned gives buffers back and publishes the counters.
func (h *host) Turned() {
	h.sentAtOnce = 0
	h.buffers.Publish()
	h.bulk.Publish()
	h.messages.Publish()
	if h.overBudget {
		(*Loop)(h).enforceBudget()
	}
	if len(h.rebalance.leaving) > 0 {
		(*Loop)(h).pursueRelocations()
	}
	if len(h.draining) > 0 {
		(*Loop)(h).drained()
	}
	h.published.offer((*Loop)(h))
}

func (h *host) Open() int { return len(h.conns) + len(h.residents) + len(h.openFiles) }

func (h *host) Stop(reason error) {
	for _, c := range append([]*Conn(nil), h.conns...) {
		c.abort(c.closedError("write"))
	}
	h.residents.Each(func(r resident) { r.end(reason) })
	h.openFiles.Each(func(f *File) { f.end() })
}

// OverBudget is called when received data takes more memory than it may.
func (h *host) OverBudget() { (*Loop)(h).overBudget = true }

func (h *host) Closing() {
	h.pipes.close()
	h.published.mu.Lock()
	defer h.published.mu.Unlock()
	h.published.stats = (*Loop)(h).snapshot()
}

func (h *host) Prefetch(op engine.Operation, near bool) {
	switch op := op.(type) {
	case *receiver:
		op.prefetch(near)
	case *sender:
		op.prefetch(near)
	}
}

// openBulk opens the pool of larger buffers, unless it is open. It returns false if
// there are none.
//
// The kernel's part of receiving and sending on costs about a microsecond a
// piece, whatever its size: 256 KiB in eight pieces took half as long again as
// in one. But if all connections had larger buffers, those would never be in the cache.
func (l *Loop) openBulk() bool {
	if l.bulk.Opened() {
		return true
	}
	o := &l.rt.options
	size, count := o.bufferSize*bulkFactor, o.bufferCount/bulkFactor
	if l.withoutBulk || size > maxBulk || count < 2 {
		return false
	}
	err := l.bulk.Open(&l.engine, bulkGroup, size, count)
	l.withoutBulk = err != nil // RLIMIT_MEMLOCK, for one
	return err == nil
}

const (
	bulkFactor = 8       // the larger buffers are 8 times the size of the others, and an 8th as many
	maxBulk    = 4 << 20 // bytes
)

// Runtime is the runtime that the loop belongs to. Any goroutine may call it.
func (l *Loop) Runtime() *Runtime { return l.rt }

// Do makes the loop run fn. It returns false when the loop has ended, and to others
// than its own handlers and callbacks as soon as Close has begun; fn then never
// runs. Any goroutine may call it.
//
// When 65536 functions wait for a loop that does not keep up, Do waits until it has
// begun with them (LoopStats.PostsDelayed counts that): a goroutine is blocked, a handler
// of another loop gives way to its own. A loop's own handlers and callbacks, and
// callbacks of other loops, cannot wait for it.
func (l *Loop) Do(fn func()) bool {
	if l.engine.Refusing() && !l.engine.Inside() {
		return false
	}
	ok := l.engine.Do(fn)
	if ok && l.engine.Posted() >= maxPosted && !l.engine.Inside() {
		l.keepPace()
	}
	return ok
}

// maxPosted is from how many posts on Do waits.
const maxPosted = 1 << 16

// keepPace waits until the loop has come to what was posted so far.
func (l *Loop) keepPace() {
	reached := futures.NewPromise[struct{}]()
	if l.engine.Do(func() { reached.Resolve(struct{}{}) }) {
		l.postsDelayed.Add(1)
		reached.Future().Await(context.Background())
	}
}

// Inside reports whether the caller runs on this loop's thread, as one of its
// handlers or callbacks. What only such code touches needs no lock.
func (l *Loop) Inside() bool { return l.engine.Inside() }

// AfterFunc runs fn on the loop after d, unless stop is called first; stop
// reports whether it came in time. Any goroutine may call either.
func (l *Loop) AfterFunc(d time.Duration, fn func()) (stop func() bool) {
	if fn == nil {
		panic("proactor: AfterFunc wants a function to run, got nil")
	}
	return l.engine.AfterFunc(d, fn)
}

// index is the loop's number in its runtime.
func (l *Loop) index() int { return l.engine.Index() }

// stopping reports whether the loop is about to end: nothing may begin.
func (l *Loop) stopping() bool { return l.engine.Stopping() }

// closed is the error of an operation that the end of the loop prevents. errors.Is
// finds ErrClosed.
func (l *Loop) closed() error { return l.closedBy(errShutdownDone) }

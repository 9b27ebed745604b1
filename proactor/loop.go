package proactor

import (
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/goroutine"
	"github.com/goproactor/goproactor/ring"
)

// operation is what a slot stands for: something submitted whose completions
// are still to come. A pointer to it in the slot table keeps the memory that
// the kernel may touch reachable.
type operation interface {
	// complete takes one completion. When flags lack ring.CQEFMore it was the
	// last, and the slot is free already: complete may submit again.
	complete(result int32, flags uint32)
}

// Loop is one event loop: a goroutine locked to its thread, with its own
// queue, operations, buffers, timers and tasks. Nothing in it is shared, so
// nothing in it is locked; other goroutines reach it through its inbox.
//
// A Loop implements futures.Executor.
type Loop struct {
	rt    *Runtime
	index int

	queue       ring.Queue
	slots       ring.Slots[operation]
	reaped      [128]ring.CQE
	begin       int       // of the completions reaped and not delivered
	end         int       // of them
	serving     operation // whose completion is being delivered
	vectors     vectorArena
	buffers     bufferPool
	bulk        bufferPool  // of larger ones, opened with the first connection that fills a buffer
	withoutBulk bool        // that failed
	messages    bufferPool  // opened with the first PacketConn
	memory      memoryTable // for files
	timers      timerHeap
	tasks       *futures.Scheduler
	ready       fifo[futures.Runnable]
	sending     []*sender // that have something to send and nothing in flight

	segments lender[segment] // memory of the queues of connections
	demands  lender[demand]
	files    slotPool // where chains open theirs
	unread   lender[Buffer]

	cancellations []*cancellation // to be used again
	zeroCopies    []*zeroCopy     // to be used again
	fileMemory    [][]byte        // to be used again
	transfers     []*transfer     // to be used again

	conns     []*Conn // every open connection of this loop
	acceptors []*acceptor
	residents roster[resident]         // a Shutdown waits for them
	pending   roster[pendingOperation] // it does not wait for these

	inbox  inbox
	wake   wakeup
	thread goroutine.Thread // that it runs on, see Inside

	start    time.Time
	share    share
	turns    atomic.Uint64
	longest  atomic.Int64 // turn in nanoseconds, as far as the watchdog saw
	counts   counters
	stop     bool          // end once nothing is in flight
	draining []func()      // to call when everything has ended of itself
	last     LoopStats     // what they were when the loop ended
	stopped  chan struct{} // closed when the loop has ended
	failure  error         // why it ended, if not by Close
}

// run is the life of a loop, from its set-up to its end.
func (l *Loop) run(open func() (ring.Queue, error), opened chan<- error) {
	runtime.LockOSThread()
	defer close(l.stopped)
	if err := l.open(open); err != nil {
		opened <- err
		return
	}
	opened <- nil
	defer l.close() // deferred, for a Goexit comes by here too
	l.live()
}

// live turns until the loop was told to stop and nothing is left in flight.
//
// A callback that calls runtime.Goexit, as every failing require does, unwinds
// this goroutine, and nothing stops that. But a deferred function may run for
// as long as it likes: it goes on turning.
func (l *Loop) live() {
	ended := false
	defer func() {
		if !ended {
			l.contain()
			l.live()
		}
	}()
	for !l.finished() {
		l.turn()
	}
	// What was posted until now may begin something, such as a connection that
	// moves here, and that has to end too.
	l.refusePosts()
	for !l.finished() {
		l.turn()
	}
	ended = true
}

// turn is the loop: hand over what is queued and wait, deliver completions, run
// what is due, what others posted and what became ready, give buffers back.
func (l *Loop) turn() {
	defer l.recovered()
	l.startSends()
	l.enter(l.patience())
	l.deliver()
	l.timers.expire(l)
	l.collectInbox()
	l.runReady()
	l.buffers.publish()
	l.bulk.publish()
	l.messages.publish()
	if len(l.draining) > 0 {
		l.drained()
	}
	l.turns.Add(1)
}

// patience is how long the loop may wait for a completion: not at all when
// something is ready to run, else until the next timer.
func (l *Loop) patience() time.Duration {
	if l.ready.len() > 0 || l.rt.options.busyPoll > 0 && l.poll() {
		return 0
	}
	// Announce the sleep first and look at the inbox second: whoever posts in
	// between sees the announcement and wakes the loop.
	if !l.inbox.sleep() {
		return 0
	}
	return l.timers.wait(l)
}

// poll looks for something to do, for as long as busy polling was asked for,
// and reports whether there is. A timer that comes due ends it, and so does a
// queue that fails: enter meets that failure again.
func (l *Loop) poll() bool {
	begun := l.now()
	until := begun + l.rt.options.busyPoll
	if wait := l.timers.wait(l); wait >= 0 {
		until = min(until, begun+wait)
	}
	for {
		for range pollsPerLook {
			if l.queue.Enter(0) != nil {
				return true
			}
			if l.end = l.queue.Reap(l.reaped[:]); l.end > 0 {
				l.begin = 0
				return true
			}
			if l.inbox.filled() {
				return true
			}
		}
		switch now := l.now(); {
		case now >= until:
			return false
		case now-l.share.yielded >= slice: // there may be other goroutines
			l.share.yielded = now
			runtime.Gosched()
		}
	}
}

// pollsPerLook is how often a polling loop looks for completions before it
// looks at the clock, which costs more.
const pollsPerLook = 16

// enter submits and waits. A queue that fails for good takes the loop down.
func (l *Loop) enter(wait time.Duration) {
	err := l.yield()
	if err == nil {
		err = l.queue.Enter(l.share.limit(wait))
	}
	l.inbox.awake()
	l.vectors.reset()
	if err != nil {
		l.fail(err)
	}
}

// deliver hands each completion to its operation.
func (l *Loop) deliver() {
	for {
		for l.begin < l.end {
			l.prefetchCompletions()
			c := &l.reaped[l.begin]
			l.begin++
			l.complete(c.UserData(), c.Result(), c.Flags())
		}
		l.serving = nil
		l.begin, l.end = 0, l.queue.Reap(l.reaped[:])
		if l.end == 0 {
			return
		}
	}
}

func (l *Loop) complete(userData uint64, result int32, flags uint32) {
	op, ok := l.slots.Get(userData)
	if !ok {
		l.counts.late++ // of an operation that is over: nobody's business
		return
	}
	if flags&ring.CQEFMore == 0 {
		l.slots.Remove(userData)
	}
	l.serving = op
	op.complete(result, flags)
}

// runReady runs what was ready when it started. What becomes ready meanwhile
// waits for the next turn, so that nobody who always has more to do keeps the
// loop from its completions.
func (l *Loop) runReady() {
	for n := l.ready.len(); n > 0; n-- {
		l.prefetchReady(n)
		l.ready.take().Run()
	}
	l.ready.trim(readyKeeps)
}

// readyKeeps is up to how many items the queue of what is ready keeps its
// memory: as many as become ready in a turn of a busy server.
const readyKeeps = 16 << 10

func (l *Loop) collectInbox() {
	for item := l.inbox.take(); item != nil; item = item.next {
		l.ready.push(item.work)
	}
}

// submit assigns a slot to op and user data to its entry.
func (l *Loop) submit(sqe *ring.SQE, op operation) uint64 {
	userData := l.slots.Put(op)
	sqe.SetUserData(userData)
	return userData
}

// cancel asks for the operation with that user data to end. Its own final
// completion tells when it has.
func (l *Loop) cancel(target uint64) {
	var c *cancellation
	if n := len(l.cancellations); n > 0 {
		c, l.cancellations = l.cancellations[n-1], l.cancellations[:n-1]
	} else {
		c = &cancellation{loop: l}
	}
	c.target, c.insists, c.pause = target, true, firstPause
	c.submit()
}

// cancelOnce is cancel for what is found at once or cannot be cancelled, such as
// a read that a device is at work on.
func (l *Loop) cancelOnce(target uint64) {
	c := &cancellation{loop: l, target: target}
	c.submit()
}

// cancellation is a cancel under way.
type cancellation struct {
	loop    *Loop
	target  uint64
	insists bool
	pause   time.Duration // until it is tried again, when a worker has what it is to end
	again   timer
}

// A cancel is tried again after so long, and then after twice as long each time.
const (
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

func (c *cancellation) submit() {
	sqe := c.loop.queue.Next()
	sqe.PrepCancel(c.target, 0)
	c.loop.submit(sqe, c)
}

// complete implements operation. A multishot that has more to do than its turn
// allows waits for the next one where no cancel finds it: that one is tried
// again, behind that turn. And what a worker of the kernel begins, as what is
// linked behind an entry that a worker ended, it may lay down to wait just after
// it was told of the cancel: that is tried again after a while.
func (c *cancellation) complete(result int32, _ uint32) {
	op, live := c.loop.slots.Get(c.target)
	switch errno := syscall.Errno(-result); {
	case !live || !c.insists:
	case errno == syscall.ENOENT && !isSent(op):
		c.submit()
		return
	case errno == syscall.EALREADY:
		c.again.expired = func(error) { c.submit() }
		c.loop.timers.add(&c.again, c.loop.after(c.pause))
		c.pause = min(2*c.pause, longestPause)
		return
	}
	c.loop.cancellations = append(c.loop.cancellations, c)
}

// ignore is an operation whose result nobody needs.
type ignore struct{}

func (ignore) complete(int32, uint32) {}

// after is the moment d from now on the loop's clock; the far future is the
// last there is, and the past is now.
func (l *Loop) after(d time.Duration) time.Duration {
	now := l.now()
	if d < 0 {
		return now
	}
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}

// now is the time since the loop started, on the monotonic clock.
func (l *Loop) now() time.Duration { return time.Since(l.start) }

// Post implements futures.Executor: r runs on the loop, behind everything that
// was posted before, by whomever: a cancel never overtakes what it cancels. It
// returns false when the loop has ended.
func (l *Loop) Post(r futures.Runnable) bool {
	if l.Inside() {
		l.collectInbox()
		l.ready.push(r)
		return true
	}
	wake, ok := l.inbox.put(r)
	if wake {
		l.wake.signal()
	}
	return ok
}

// Do makes the loop run fn. It returns false when the loop has ended, and fn
// then never runs. Any goroutine may call it.
func (l *Loop) Do(fn func()) bool { return l.Post(function(fn)) }

type function func()

func (f function) Run() { f() }

// Inside implements futures.Executor: it reports whether the caller runs on
// this loop's thread, as one of its handlers or callbacks.
func (l *Loop) Inside() bool { return l.thread.Here() }

// later runs fn behind what is ready, away from the books that the caller is in
// the middle of. What tells a program of a failure goes this way: its callback
// may do anything, panic included.
func (l *Loop) later(fn func()) { l.ready.push(function(fn)) }

// perform runs fn on the loop: at once when the caller is there already.
func (l *Loop) perform(fn func()) bool {
	if l.Inside() {
		fn()
		return true
	}
	return l.Do(fn)
}

// AfterFunc runs fn on the loop after d, unless stop is called first; stop
// reports whether it came in time. Any goroutine may call either.
func (l *Loop) AfterFunc(d time.Duration, fn func()) (stop func() bool) {
	if fn == nil {
		panic("proactor: AfterFunc wants a function to run, got nil")
	}
	var decided atomic.Bool
	t := &timer{expired: func(err error) {
		if err == nil && decided.CompareAndSwap(false, true) {
			fn()
		}
	}}
	at := l.after(d)
	l.perform(func() { l.timers.add(t, at) })
	return func() bool {
		if !decided.CompareAndSwap(false, true) {
			return false
		}
		l.perform(func() { l.timers.remove(t) })
		return true
	}
}

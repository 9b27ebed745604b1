package engine

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/goroutine"
	"github.com/goproactor/goproactor/ring"
)

// Loop is one event loop. Nothing in it is shared, so nothing in it is locked:
// except where a method says otherwise, only code that runs on the loop may
// call it. Other goroutines use Post.
//
// A Loop implements futures.Executor.
type Loop struct {
	host   Host
	config Config

	queue   ring.Queue
	slots   slots
	reaped  [128]ring.CQE
	begin   int       // of the completions reaped and not delivered
	end     int       // of them
	serving Operation // whose completion is being delivered
	vectors vectorArena
	timers  timers
	tasks   *futures.Scheduler
	ready   fifo.Queue[futures.Runnable]

	cancellations []*cancellation // to be used again
	quiesce       quiesce

	inbox  inbox
	wake   wakeup
	thread goroutine.Thread // that the loop is locked to

	goroutine atomic.Int64 // its number, for the watchdog
	kernel    atomic.Int64 // the kernel's number of its thread, for Demand

	start    time.Time
	turnTime time.Duration // see TurnTime
	latency  *Latencies    // of turns, nil if nobody wants to know
	fairness fairness
	turns    atomic.Uint64
	longest  atomic.Int64 // turn in nanoseconds, as far as the watchdog saw
	late     uint64       // completions of operations that were over
	held     int64        // bytes of received data, see Account
	ended    endedLeases
	cut      bool        // a callback did not return, and no turn has come to its end since
	stopping bool        // end once nothing is in flight
	refusing atomic.Bool // nothing is to begin any more
	stopped  chan struct{}
	failure  atomic.Pointer[failureError] // why the queue failed, if it did
}

// Config is what a loop is told when it is made.
type Config struct {
	Budget   int64 // bytes of received data that may be held
	Index    int
	Loops    int                        // how many there are, this one included
	Open     func() (ring.Queue, error) // opens its queue, on its thread
	BusyPoll time.Duration              // see busypoll.go
	Pin      bool                       // binds its thread to a processor
	Logger   *slog.Logger               // may be nil

	Tracer      Tracer // may be nil
	TurnLatency bool   // how long turns take is recorded: one more look at the clock a turn
}

// Host is what lives on a loop. The loop calls it on its own thread.
type Host interface {
	// Opened is called once the queue is open, before the first turn.
	Opened() error

	// Flush submits what was put off until the end of the turn.
	Flush()

	// Turned is called before the first turn and at the end of each.
	Turned()

	// Stop ends everything that is open. The loop goes on turning until Open
	// is zero and nothing is in flight. What is in flight and implements
	// Ender is ended by the loop.
	Stop(reason error)

	// Open counts what is open.
	Open() int

	// Closing is called when the last turn is over, before the queue is closed.
	Closing()

	// OverBudget is called when the data that is held exceeds Config.Budget.
	OverBudget()

	// Describe returns attributes for the log, keys and values, that name what an
	// operation belongs to; op may be nil.
	Describe(op Operation) []any

	// Prefetch asks for the memory that a completion of op will touch: first
	// that of op itself, later (near) of what it points to.
	Prefetch(op Operation, near bool)
}

// Init prepares a loop, which does nothing before Run.
func (l *Loop) Init(host Host, c Config) {
	l.host, l.config = host, c
	l.start, l.stopped = time.Now(), make(chan struct{})
	if c.TurnLatency {
		l.latency = new(Latencies)
	}
}

// Run is the life of a loop, from its set-up, of which opened learns, to its
// end. It takes the calling goroutine.
func (l *Loop) Run(opened chan<- error) {
	runtime.LockOSThread()
	l.goroutine.Store(int64(goroutine.ID()))
	defer close(l.stopped)
	if err := l.open(); err != nil {
		opened <- err
		return
	}
	l.host.Turned()
	opened <- nil
	defer l.close() // deferred, because a Goexit comes by here too
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
	// Not until nothing is ready: others may go on posting for ever.
	for !l.idle() {
		l.turn()
	}
	// What was posted until now may begin something, such as a connection that
	// moves here, and that has to end too.
	l.refusePosts()
	for !l.idle() || l.ready.Len() > 0 {
		l.turn()
	}
	ended = true
}

// turn is the loop: hand over what is queued and wait, deliver completions, run
// what is due, what others posted and what became ready.
func (l *Loop) turn() {
	defer l.recovered()
	l.host.Flush()
	l.enter(l.patience())
	l.deliver()
	l.timers.expire(l)
	l.collectInbox()
	l.runReady()
	l.host.Turned()
	l.turns.Add(1)
	l.cut = false
}

// patience is how long the loop may wait for a completion: not at all when
// something is left to do, else until the next timer.
func (l *Loop) patience() time.Duration {
	if l.busy() || l.config.BusyPoll > 0 && l.poll() {
		return 0
	}
	// Announce the sleep first and look at the inbox second: whoever posts in
	// between sees the announcement and wakes the loop.
	if !l.inbox.sleep() {
		return 0
	}
	return l.timers.wait(l)
}

// busy says that something is left to do. Completions are left when the turn
// that reaped them ended in a panic, or when Quiesce has set them aside. A turn that was
// cut short has left what comes at its end.
func (l *Loop) busy() bool {
	return l.ready.Len() > 0 || l.begin < l.end || l.cut || len(l.quiesce.aside) > 0
}

// enter submits and waits.
func (l *Loop) enter(wait time.Duration) {
	err := l.yield()
	if err == nil {
		err = l.queue.Enter(l.fairness.limit(wait))
	}
	l.inbox.awake()
	l.vectors.reset()
	l.turnBegins()
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
		if l.reap(); l.end == 0 {
			return
		}
	}
}

func (l *Loop) complete(userData uint64, result int32, flags uint32) {
	op, ok := l.slots.Get(userData)
	if !ok {
		l.late++ // of an operation that is over: nobody's business
		return
	}
	if flags&ring.CQEFMore == 0 {
		l.slots.Remove(userData)
	}
	l.serving = op
	op.Complete(result, flags)
}

// runReady runs what was ready when it started. What becomes ready meanwhile
// waits for the next turn, so that nobody who always has more to do keeps the
// loop from its completions.
func (l *Loop) runReady() {
	for n := l.ready.Len(); n > 0; n-- {
		l.prefetchReady(n)
		l.ready.Take().Run()
	}
	l.ready.Trim(readyKeeps)
}

// readyKeeps is up to how many items the queue of what is ready keeps its
// memory: as many as become ready in a turn of a busy server.
const readyKeeps = 16 << 10

func (l *Loop) collectInbox() {
	for item := l.inbox.take(); item != nil; item = item.next {
		l.ready.Push(item.work)
	}
}

// Post implements futures.Executor: r runs on the loop, behind everything that
// was posted before, by whomever: a cancel never overtakes what it cancels. It
// returns false when the loop has ended. Any goroutine may call it.
func (l *Loop) Post(r futures.Runnable) bool {
	if l.Inside() {
		if l.quiesce.canceling && l.keepForCancel(r) {
			return true
		}
		l.collectInbox()
		l.ready.Push(r)
		return true
	}
	wake, ok := l.inbox.put(r)
	if wake {
		l.wake.signal()
	}
	if !ok {
		Yield()
	}
	return ok
}

// Posted is how many posts of others the loop has not taken yet. Any goroutine may call
// it.
func (l *Loop) Posted() int { return l.inbox.depth() }

// Do posts a function. Any goroutine may call it.
func (l *Loop) Do(fn func()) bool { return l.Post(function(fn)) }

type function func()

func (f function) Run() { f() }

// Perform runs fn on the loop: at once when the caller is there already. It
// returns false when the loop has ended. Any goroutine may call it.
func (l *Loop) Perform(fn func()) bool {
	if l.Inside() {
		fn()
		return true
	}
	return l.Do(fn)
}

// Later runs fn behind what is ready. A callback that a program gave must not run
// while the loop's own lists are being changed: it may do anything, panic
// included.
func (l *Loop) Later(fn func()) { l.ready.Push(function(fn)) }

// Inside implements futures.Executor: it reports whether the caller runs on
// this loop's thread, as one of its handlers or callbacks. Any goroutine may
// call it.
func (l *Loop) Inside() bool { return l.thread.Here() }

// Tasks are the coroutines of the loop.
func (l *Loop) Tasks() *futures.Scheduler { return l.tasks }

// Index is the loop's number among those of its runtime.
func (l *Loop) Index() int { return l.config.Index }

// Serving is the operation whose completion is being delivered, and SetServing
// changes it: for a callback that belongs to another operation, should it panic.
func (l *Loop) Serving() Operation { return l.serving }

// SetServing: see Serving.
func (l *Loop) SetServing(op Operation) { l.serving = op }

// InFlight counts the operations submitted and not completed.
func (l *Loop) InFlight() int { return l.slots.Len() }

// Late counts completions of operations that were over.
func (l *Loop) Late() uint64 { return l.late }

// Turns counts the turns. Any goroutine may call it.
func (l *Loop) Turns() uint64 { return l.turns.Load() }

// LongestTurn is for how long the watchdog has seen a turn last at most. Any
// goroutine may call it.
func (l *Loop) LongestTurn() time.Duration { return time.Duration(l.longest.Load()) }

// Timers counts the armed timers.
func (l *Loop) Timers() int { return l.timers.heap.Len() }

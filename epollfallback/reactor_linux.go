package epollfallback

import (
	"fmt"
	"runtime"
	"time"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

const (
	// multishotBudget is how many completions a multishot may post in one
	// turn before others get theirs: as many as of the kernel's ring, where one
	// and 32 retries (MULTISHOT_MAX_RETRY) make a turn.
	multishotBudget = 33

	// turnCredit bounds how long events may go unseen while submissions keep
	// posting completions: asking epoll costs a few hundred nanoseconds, so
	// it is asked once for some 64 entries or 8 calls of Enter.
	turnCredit = 64
	enterCost  = turnCredit / 8

	// See setBatch. Measured with 16 KiB × 1000: 8, 16 and 32 events at a time are
	// alike, and a tenth better than 128.
	cacheful   = 512 << 10 // bytes
	leastBatch = 4         // events

	// A registration is confirmed when its operation has waited in vain for
	// this long, or for so many turns if the loop never rests.
	confirmAfter      = time.Millisecond
	confirmAfterTurns = 1024
)

// await collects events until a completion is there or the time is up.
func (q *Queue) await(limit time.Duration) error {
	if limit == 0 {
		return q.collect(0)
	}
	until := ring.Forever
	if limit > 0 {
		until = q.clock.now() + min(limit, farAway)
	}
	for {
		if q.workers.single && q.workers.handed > 0 {
			runtime.Gosched() // nobody else gives them the processor
		}
		err := q.collect(q.patience(until))
		if err != nil || q.interrupted {
			return err
		}
		if q.cq.len() == 0 {
			q.resume()
			q.advance()
		}
		if q.cq.len() > 0 || until >= 0 && q.clock.now() >= until {
			return nil
		}
	}
}

// farAway keeps sums of times from overflowing.
const farAway = 1 << 60

// patience is how long epoll may wait: until something is to be done at a
// certain time.
func (q *Queue) patience(until time.Duration) time.Duration {
	if !q.resumable.empty() {
		return 0
	}
	if first := q.timers.First(); first != nil && (until < 0 || time.Duration(first.At()) < until) {
		until = time.Duration(first.At())
	}
	wait := ring.Forever
	if until >= 0 {
		wait = max(0, until-q.clock.now())
	}
	if q.unconfirmed.head != nil && (wait < 0 || wait > confirmAfter) {
		wait = confirmAfter
	}
	return wait
}

// collect asks epoll once, waiting up to timeout, and does what that sets off.
func (q *Queue) collect(timeout time.Duration) error {
	n := q.fetch(timeout)
	q.confirmWaiting(n == 0 && timeout >= confirmAfter && !q.interrupted)
	q.advance()
	q.expire()
	return q.failure
}

// fetch asks epoll once and serves what it reports.
func (q *Queue) fetch(timeout time.Duration) int {
	q.turn++
	q.credit = turnCredit
	n, errno := q.wait(timeout)
	q.interrupted = errno == unix.EINTR
	if errno != 0 && errno != unix.EINTR {
		q.failure = fmt.Errorf("epollfallback: epoll_wait: %w", errno)
	}
	before := q.bytesIn
	for i := range q.events[:n] {
		q.prefetchEvents(q.events[i:n])
		q.serve(&q.events[i])
	}
	q.setBatch(n, int(q.bytesIn-before))
	return n
}

// setBatch chooses how many events to ask for next, after n of them have brought
// so many bytes: no more than what is received stays in the processor's cache
// until the program has sent or read it.
func (q *Queue) setBatch(n, bytes int) {
	if n == q.batch || bytes > cacheful {
		q.batch = min(max(leastBatch, n*cacheful/max(1, bytes)), len(q.events))
	}
}

// wait is epoll_wait. The scheduler learns of it when it may wait, unless the
// processor is to be held.
func (q *Queue) wait(timeout time.Duration) (int, unix.Errno) {
	events, room := addressOf(&q.events[0]), uintptr(q.batch)
	call := q.blocking
	if q.holds {
		call = q.raw
	}
	switch {
	case timeout == 0:
		n, errno := q.raw(unix.SYS_EPOLL_PWAIT, uintptr(q.epoll), events, room, 0, 0, 0)
		return max(n, 0), errno
	case timeout < 0:
		n, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(q.epoll), events, room, ^uintptr(0), 0, 0)
		return max(n, 0), errno
	case !q.noPwait2:
		// Nanoseconds came with Linux 5.11. A filter may have come since the queue
		// was opened, and this call is never refused for another reason.
		q.scratch.time = ring.NewTimespec(timeout)
		n, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(q.epoll), events, room, addressOf(&q.scratch.time), 0, 0)
		if errno != unix.ENOSYS && errno != unix.EPERM {
			return max(n, 0), errno
		}
		q.noPwait2 = true
	}
	ms := min((timeout+time.Millisecond-1)/time.Millisecond, 1<<31-1)
	n, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(q.epoll), events, room, uintptr(ms), 0, 0)
	return max(n, 0), errno
}

// serve gives an event to what waits for it.
func (q *Queue) serve(e *unix.EpollEvent) {
	if e.Fd == q.workers.wakeup && e.Pad == wakeupGeneration {
		q.harvest()
		q.harvestAIO(false)
		return
	}
	d := q.lookup(e.Fd)
	if d == nil || d.generation != e.Pad {
		q.stale++
		return
	}
	if d.unverified && !d.polls.empty() {
		// Others try again at an event; polls believe it. It may be of the file that the
		// number stood for before, if that lives on elsewhere.
		if !q.confirm(d) || d.generation != e.Pad {
			return
		}
	}
	d.users++ // it stays while it is served
	d.signalled |= e.Events & lastingEvents
	// Writers first: a failed connect must see its error before a receive on
	// the same socket takes it.
	if e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		q.run(d, writing)
	}
	if e.Events&(unix.EPOLLIN|lastingEvents) != 0 {
		q.run(d, reading)
	}
	if !d.polls.empty() {
		q.signal(d, e.Events)
	}
	q.leave(d)
}

// run performs what waits in one direction, in order, until it would block.
func (q *Queue) run(d *descriptor, way direction) {
	for op := d.queues[way].head; op != nil; op = d.queues[way].head {
		switch q.emulations[op.opcode].perform(q, op) {
		case finished:
			q.finish(op)
		case yielded:
			q.findable(op)
			q.resumeLater(d, way)
			return
		case moved:
		default:
			q.findable(op)
			if d.queues[way].head == op {
				return
			}
			// It has gone to the workers.
		}
	}
}

// findable lets a cancel find op, which it does not after op's first attempt. As in the
// kernel's ring that ends with the second, whatever that leaves to do: a peer that sends
// without end keeps no receive from being canceled.
func (q *Queue) findable(op *operation) {
	if !op.registered {
		q.registry.add(op)
	}
}

// resumeLater notes that d was not drained: epoll will not say so again.
func (q *Queue) resumeLater(d *descriptor, way direction) {
	if d.again == 0 {
		d.users++
		q.resumable.push(d)
	}
	d.again |= 1 << way
}

// resume goes on with those whose turn was over before they were drained.
func (q *Queue) resume() {
	list := q.resumable
	q.resumable = descriptorList{}
	for d := list.pop(); d != nil; d = list.pop() {
		again := d.again
		d.again = 0
		for way := reading; way <= writing; way++ {
			if again&(1<<way) != 0 && d.fd >= 0 {
				q.run(d, way)
			}
		}
		q.leave(d)
	}
}

// confirmWaiting confirms registrations that were trusted for long enough;
// all of them when the loop came to rest.
func (q *Queue) confirmWaiting(rested bool) {
	for d := q.unconfirmed.head; d != nil; d = q.unconfirmed.head {
		if !rested && q.turn-d.since < confirmAfterTurns {
			return
		}
		q.confirm(d)
	}
}

// descriptorList is a queue of descriptors.
type descriptorList struct{ head, tail *descriptor }

func (l *descriptorList) empty() bool { return l.head == nil }

func (l *descriptorList) push(d *descriptor) {
	d.next = nil
	if l.tail != nil {
		l.tail.next = d
	} else {
		l.head = d
	}
	l.tail = d
}

func (l *descriptorList) pop() *descriptor {
	d := l.head
	if d != nil {
		if l.head = d.next; l.head == nil {
			l.tail = nil
		}
		d.next = nil
	}
	return d
}

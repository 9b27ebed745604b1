package epollfallback

import (
	"math"
	"math/bits"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/timerheap"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC without a system call: the runtime's monotonic
// clock is that clock with another origin.
type clock struct {
	origin time.Time
	offset time.Duration
}

func newClock() clock {
	var ts unix.Timespec
	// Read before origin is: times come out a little late, never early.
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return clock{origin: time.Now(), offset: time.Duration(ts.Nano())}
}

func (c *clock) now() time.Duration { return c.offset + time.Since(c.origin) }

const timeoutClocks = timeoutBoottime | timeoutRealtime

func (q *Queue) prepareTimeout(op *operation, f *queueabi.Entry) unix.Errno {
	const valid = ring.TimeoutAbs | timeoutClocks | ring.TimeoutETimeSuccess | ring.TimeoutMultishot
	switch {
	case f.BufGroup != 0 || f.Len != 1 || f.SpliceFD != 0,
		f.OpFlags&^valid != 0,
		bits.OnesCount32(f.OpFlags&timeoutClocks) > 1,
		f.OpFlags&ring.TimeoutMultishot != 0 && f.OpFlags&ring.TimeoutAbs != 0:
		return unix.EINVAL
	}
	op.off = uint64(uint32(op.off))
	return q.takeTime(op, f.Addr)
}

func (q *Queue) prepareLinkTimeout(op *operation, f *queueabi.Entry) unix.Errno {
	if uint32(f.Off) != 0 {
		return unix.EINVAL
	}
	if errno := q.prepareTimeout(op, f); errno != 0 {
		return errno
	}
	if q.chain.head == nil || q.chain.last.opcode == ring.OpLinkTimeout {
		return unix.EINVAL
	}
	return 0
}

func (q *Queue) prepareTimeoutRemove(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.Flags&ring.SQEFixedFile != 0, f.BufGroup != 0 || f.Len != 0 || f.SpliceFD != 0:
		return unix.EINVAL
	case f.OpFlags&(timeoutUpdate|linkTimeoutUpdate) == 0:
		if f.OpFlags != 0 {
			return unix.EINVAL
		}
		return 0
	case f.OpFlags&^(timeoutUpdate|linkTimeoutUpdate|ring.TimeoutAbs) != 0:
		return unix.EINVAL
	}
	return q.takeTime(op, f.Off)
}

// takeTime copies the time an entry points to.
func (q *Queue) takeTime(op *operation, addr uint64) unix.Errno {
	if addr == 0 {
		return unix.EFAULT
	}
	t := timespecAt(addr)
	if t.Sec < 0 || t.Nsec < 0 {
		return unix.EINVAL
	}
	period := &q.extraOf(op).timer.period
	*period = math.MaxInt64
	if t.Sec < math.MaxInt64/int64(time.Second)/2 {
		*period = t.Sec*int64(time.Second) + min(t.Nsec, math.MaxInt64/2)
	}
	return 0
}

// start sets when a timeout fires first, and starts it.
func (q *Queue) start(op *operation, flags uint32) {
	now, t := int64(q.clock.now()), &op.extra.timer
	switch {
	case flags&ring.TimeoutAbs == 0:
		t.when = t.next(now)
	case flags&timeoutClocks == 0:
		t.when = t.period
	default:
		t.when = t.period - q.clockOffset(flags, now)
	}
	op.state = timing
	q.arm(op)
}

// clockOffset is how far the clock that a timeout names is ahead.
func (q *Queue) clockOffset(flags uint32, now int64) int64 {
	id := int32(unix.CLOCK_BOOTTIME)
	if flags&timeoutRealtime != 0 {
		id = unix.CLOCK_REALTIME
	}
	var ts unix.Timespec
	unix.ClockGettime(id, &ts)
	return ts.Nano() - now
}

func (q *Queue) timeout(op *operation) outcome {
	if op.off != 0 && op.opFlags&ring.TimeoutMultishot == 0 {
		q.counted.add(op)
	}
	q.start(op, op.opFlags)
	q.registry.add(op)
	return held
}

// limit starts the link timeout behind op, which is in flight now.
func (q *Queue) limit(op *operation) {
	t := op.link()
	if t == nil || t.opcode != ring.OpLinkTimeout || op.state == ending {
		return
	}
	x := op.extra
	x.link, x.limit = t.link(), t
	t.unlink()
	t.extra.target = op
	q.start(t, t.opFlags)
	q.registry.add(t)
}

// disarm ends a link timeout whose target has ended. If its time had come, it
// finds that out itself.
func (q *Queue) disarm(t *operation) {
	t.extra.target = nil
	if q.stopTimer(t) {
		q.follow(t, unix.ECANCELED)
	}
}

// expire fires what is due. The clock is read only if something waits for it.
func (q *Queue) expire() {
	if q.timers.Len() == 0 {
		return
	}
	now := int64(q.clock.now())
	for first := q.timers.First(); first != nil && first.At() <= now; first = q.timers.First() {
		op := first.Owner
		q.timers.Remove(first)
		if op.opcode != ring.OpTimeout && op.opcode != ring.OpLinkTimeout {
			q.run(op.d, op.queue) // a connect that found the backlog full looks again
			continue
		}
		if op.registered {
			q.registry.remove(op) // past canceling
		}
		if op.list != nil {
			op.list.remove(op)
		}
		q.due.push(op)
	}
	for op := q.due.pop(); op != nil; op = q.due.pop() {
		q.fire(op, now)
		q.advance()
	}
}

func (q *Queue) fire(op *operation, now int64) {
	switch {
	case op.opcode == ring.OpLinkTimeout:
		q.strike(op)
	case op.opFlags&ring.TimeoutMultishot != 0 && op.off != 1:
		if op.off != 0 {
			op.off--
		}
		q.counted.timeouts++
		q.post(op, -int32(unix.ETIME), ring.CQEFMore)
		op.extra.timer.when = op.extra.timer.next(now)
		q.arm(op)
		q.registry.add(op)
	default:
		q.counted.timeouts++
		op.endError(unix.ETIME)
		op.failed = op.opFlags&ring.TimeoutETimeSuccess == 0
		q.finish(op)
	}
}

// strike is a link timeout that came before its target's end, or together with
// it: then there is nothing left to cancel.
func (q *Queue) strike(op *operation) {
	target := op.extra.target
	if target != nil {
		target.extra.limit, op.extra.target = nil, nil
	}
	if target == nil || !target.registered {
		op.endError(unix.ENOENT)
		q.finish(op)
		return
	}
	if target.state == pooled && !q.workers.withdraw(target) {
		target.canceled = target.splices() // it is not to wait when it comes back
		op.endError(unix.EALREADY)
		q.finish(op)
		return
	}
	op.endError(unix.ETIME)
	q.finish(op)
	q.cancelOne(target)
}

func (q *Queue) timeoutRemove(op *operation) outcome {
	opcode := ring.OpTimeout
	if op.opFlags&linkTimeoutUpdate != 0 && op.opFlags&timeoutUpdate != 0 {
		opcode = ring.OpLinkTimeout
	}
	t := q.registry.findOldest(op.addr, func(o *operation) bool { return o.opcode == opcode && o.state == timing })
	if t == nil {
		return op.endError(unix.ENOENT)
	}
	if op.opFlags&timeoutUpdate == 0 {
		q.cancelOne(t)
		return op.end(0)
	}
	q.stopTimer(t)
	if t.list != nil {
		t.list.remove(t) // it counts no more
	}
	t.extra.timer.period = op.extra.timer.period
	q.start(t, op.opFlags&ring.TimeoutAbs|t.opFlags&timeoutClocks)
	return op.end(0)
}

// countedTimeouts are the timeouts that also end after a number of
// completions, the next to end first.
type countedTimeouts struct {
	list opList
	// committed is the tail of the completion queue when the kernel would have
	// brought it up to date: what ended in the same submission comes after it.
	committed uint32
	// timeouts is how many completions of timeouts there were: they do not count.
	timeouts uint32
}

func (c *countedTimeouts) add(op *operation) {
	now := c.committed - c.timeouts
	goal := now + uint32(min(op.off, math.MaxInt32)) // beyond that it would seem to be reached
	op.extra.timer.goal = goal
	var before *operation
	for last := c.list.last(); last != nil && last.extra.timer.goal-now > goal-now; last = c.list.ahead(last) {
		before = last
	}
	c.list.insert(op, before)
}

// countDown ends the timeouts that have seen enough completions. They are
// counted as completed from here on, as in the kernel.
func (q *Queue) countDown() {
	for op := q.counted.list.head; op != nil; op = q.counted.list.head {
		if int32(q.cq.tail-q.counted.timeouts-op.extra.timer.goal) < 0 {
			return
		}
		q.counted.timeouts++
		q.stopTimer(op)
		q.registry.remove(op)
		op.list.remove(op)
		q.endLater(op, 0)
	}
}

// arm has op looked at when its moment comes.
func (q *Queue) arm(op *operation) {
	t := &op.extra.timer
	t.Owner = op
	q.timers.Add(&t.Entry, t.when)
}

// stopTimer reports whether a moment was still to come.
func (q *Queue) stopTimer(op *operation) bool {
	if op.extra == nil || !op.extra.timer.Armed() {
		return false
	}
	q.timers.Remove(&op.extra.timer.Entry)
	return true
}

// timer is what an operation has that waits for a moment.
type timer struct {
	timerheap.Entry[*operation]
	when   int64 // when a timeout fires, on the monotonic clock
	period int64
	goal   uint32 // of a timeout that counts: the completion it waits for
}

// next is the moment one period after now.
func (t *timer) next(now int64) int64 { return now + min(t.period, math.MaxInt64-now) }

package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

const (
	pollUpdateEvents   = 1 << 1 // IORING_POLL_UPDATE_EVENTS
	pollUpdateUserData = 1 << 2 // IORING_POLL_UPDATE_USER_DATA
	// pollAlways is reported whether asked for or not.
	pollAlways = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL | unix.POLLRDHUP
	pollBits   = 0xffff
)

func (q *Queue) preparePoll(op *operation, f *queueabi.Entry) unix.Errno {
	if f.BufGroup != 0 || f.Off != 0 || f.Addr != 0 || f.Len&^ring.PollMultishot != 0 {
		return unix.EINVAL
	}
	return 0
}

func (op *operation) pollMask() uint32 { return op.opFlags&pollBits | pollAlways }

func (op *operation) pollEvents() uint32 {
	return baseEvents | op.opFlags&pollBits&^(pollAlways|unix.POLLNVAL)
}

// pollAdd reports at once what holds already.
func (q *Queue) pollAdd(op *operation) outcome {
	level, errno := q.pollNow(op.fd, op.pollMask()|unix.POLLIN|unix.POLLPRI|unix.POLLOUT)
	if level&unix.POLLNVAL != 0 {
		errno = unix.EBADF
	}
	if errno != 0 {
		return op.endError(errno)
	}
	events := level & op.pollMask()
	if events != 0 && op.len&ring.PollMultishot == 0 {
		return op.end(int32(events))
	}
	d, errno := q.watch(op.fd, op.pollEvents(), false)
	switch {
	case errno == unix.EPERM && events != 0: // no file that waits, such as a regular one
		return op.end(int32(events))
	case errno == unix.EPERM:
		return op.endError(unix.EINVAL)
	case errno != 0:
		return op.endError(errno)
	}
	q.join(op, d)
	d.polls.push(op)
	if events != 0 {
		q.reportLater(op, d, level)
	}
	return held
}

// reportLater has a multishot poll that was armed when ready report that when
// the submission is over.
func (q *Queue) reportLater(op *operation, d *descriptor, level uint32) {
	op.addr = uint64(level)
	if !d.reporting {
		d.reporting = true
		d.users++
		q.reporting = append(q.reporting, d)
	}
}

// report posts what held when multishot polls were armed.
func (q *Queue) report() {
	for _, d := range q.reporting {
		d.reporting = false
		for op := d.polls.head; op != nil; op = op.next {
			if op.addr != 0 {
				q.reportPoll(op, uint32(op.addr)&op.pollMask())
			}
		}
		q.leave(d)
	}
	q.reporting = q.reporting[:0]
}

// reportPoll posts a completion of a multishot poll.
func (q *Queue) reportPoll(op *operation, events uint32) {
	op.addr, op.off = 0, uint64(events)
	q.post(op, int32(events), ring.CQEFMore)
}

// signal reports an event to the polls of d. They consume nothing, so each
// gets it.
func (q *Queue) signal(d *descriptor, events uint32) {
	for op := d.polls.head; op != nil; {
		next := op.next
		mask := events & op.pollMask()
		switch {
		case op.addr != 0 && !op.isNews(d, events):
		case mask == 0:
			op.addr = 0
		case op.len&ring.PollMultishot != 0:
			q.reportPoll(op, mask)
		default:
			if q.wasListener(d, events) {
				mask = unix.EPOLLERR
			}
			op.end(int32(mask))
			q.finish(op)
		}
		op = next
	}
}

// isNews tells an event from what epoll says because of the registration alone,
// to a poll that has yet to report what held when it was armed: something new
// holds, or something lasting has gone. Data may just have been consumed.
func (op *operation) isNews(d *descriptor, events uint32) bool {
	const lasting = unix.EPOLLHUP | unix.EPOLLRDHUP | unix.EPOLLERR
	level := uint32(op.addr) & (d.events | lasting)
	return events&^level != 0 || level&^events&lasting != 0
}

// wasListener tells of a TCP listener that was shut down. The kernel's ring
// reports by what it was woken, and that is an error then, though none is left.
func (q *Queue) wasListener(d *descriptor, events uint32) bool {
	const any = unix.EPOLLHUP | unix.EPOLLRDHUP | unix.EPOLLIN | unix.EPOLLERR
	return events&any == unix.EPOLLHUP && q.kindAt(d.fd) == tcp
}

func (q *Queue) preparePollRemove(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.BufGroup != 0 || f.SpliceFD != 0,
		f.Len&^(pollUpdateEvents|pollUpdateUserData|ring.PollMultishot) != 0,
		f.Len == ring.PollMultishot,
		f.Len&pollUpdateUserData == 0 && f.Off != 0,
		f.Len&pollUpdateEvents == 0 && f.OpFlags != 0:
		return unix.EINVAL
	}
	return 0
}

// pollRemove ends or changes a poll.
func (q *Queue) pollRemove(op *operation) outcome {
	p := q.registry.find(op.addr, func(o *operation) bool { return o.opcode == ring.OpPollAdd })
	switch {
	case p == nil:
		return op.endError(unix.ENOENT)
	case p.canceled || q.isFiring(p):
		return op.endError(unix.EALREADY)
	case op.len&(pollUpdateEvents|pollUpdateUserData) == 0:
		q.cancelOne(p)
		q.registry.remove(p) // unlike what a cancel ends, not to be found again
		return op.end(0)
	}
	if op.len&pollUpdateUserData != 0 {
		q.registry.remove(p)
		p.userData = op.off
		q.registry.add(p)
	}
	if op.len&pollUpdateEvents != 0 {
		p.opFlags = op.opFlags & pollBits
		q.watch(p.fd, p.pollEvents(), true)
		q.credit = 0
	}
	return op.end(0)
}

// isFiring reports whether a poll is past removing: its event has come, although
// nobody has looked yet. Of a multishot that is one that it has not told of last.
func (q *Queue) isFiring(p *operation) bool {
	if p.d.fd < 0 {
		return false
	}
	events, errno := q.pollNow(p.fd, p.pollMask())
	return errno == 0 && events&p.pollMask()&^uint32(p.off) != 0
}

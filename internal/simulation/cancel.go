package simulation

import (
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// cancel ends what matches. What has completed already is not found, seen or not.
func (q *Queue) cancel(op *operation) syscall.Errno {
	const all = ring.CancelAll | ring.CancelAny
	var s *socket
	if op.entry.OpFlags&ring.CancelFD != 0 {
		var errno syscall.Errno
		if s, errno = q.socketOf(int(op.entry.FD)); errno != 0 {
			return errno
		}
	}
	var found []*operation
	for _, other := range q.live {
		switch {
		case other == op || other.kind == ring.OpLinkTimeout || !other.started:
			continue
		case op.entry.OpFlags&ring.CancelAny != 0:
		case op.entry.OpFlags&ring.CancelFD != 0:
			if other.socket != s {
				continue
			}
		case other.userData != op.entry.Addr:
			continue
		}
		found = append(found, other)
		if op.entry.OpFlags&all == 0 {
			break
		}
	}
	if len(found) == 0 && op.entry.OpFlags&all == 0 {
		return syscall.ENOENT
	}
	result := int32(0)
	if op.entry.OpFlags&all != 0 {
		result = int32(len(found))
	}
	// Either may be seen first.
	first := q.random.IntN(2) == 0
	if first {
		op.finish(result)
	}
	for _, other := range found {
		q.cancelOne(other)
	}
	if !first {
		op.finish(result)
	}
	return 0
}

// cancelOne ends an operation. What it has moved is its result.
func (q *Queue) cancelOne(op *operation) {
	if op.done {
		return
	}
	if op.socket != nil {
		op.socket.leave(op)
	}
	for i, w := range q.wakeups {
		if w == op {
			q.wakeups = append(q.wakeups[:i], q.wakeups[i+1:]...)
			break
		}
	}
	if op.moved > 0 {
		op.finish(int32(op.moved))
		return
	}
	op.fail(syscall.ECANCELED)
}

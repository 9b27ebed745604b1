package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

func (q *Queue) prepareReadMultishot(op *operation, f *queueabi.Entry) unix.Errno {
	if errno := q.prepareReadWrite(op, f); errno != 0 {
		return errno
	}
	return invalidIf(f.Flags&ring.SQEBufferSelect == 0 || f.Addr != 0 || f.Len != 0)
}

// readMultishot reads until nothing is left, the buffers are gone, the stream is
// over, or others want their turn. As the kernel's ring it asks for a buffer before it
// knows of data the first time, and only when there is something to read from then
// on.
func (q *Queue) readMultishot(op *operation) outcome {
	if !op.waited {
		if errno := q.refusesWaiting(op.fd); errno != 0 {
			return op.endError(errno)
		}
	}
	for posted := 0; posted < multishotBudget; posted++ {
		if posted > 0 || op.waited {
			events, errno := q.pollNow(op.fd, unix.POLLIN|unix.POLLPRI)
			switch {
			case errno == 0 && events == 0:
				return op.wouldBlock()
			case !op.waited:
				return yielded // others in the same submission come first
			}
		}
		addr, room, ok := q.choose(op)
		if !ok {
			return op.endError(unix.ENOBUFS)
		}
		q.scratch.vector = iovec{uintptr(addr), uintptr(room)}
		n, errno := q.transferNow(op, unix.SYS_PREADV2, &q.scratch.vector, 1)
		switch {
		case errno == unix.EAGAIN:
			return op.wouldBlock()
		case errno != 0:
			return op.endError(errno)
		case n == 0:
			return op.end(0)
		}
		q.post(op, int32(n), ring.CQEFMore|q.commit(op, uint32(n)))
	}
	return yielded
}

// refusesWaiting tells of a descriptor that cannot be waited for.
func (q *Queue) refusesWaiting(fd int32) unix.Errno {
	switch d, errno := q.watch(fd, baseEvents, false); errno {
	case 0:
		d.users++
		q.leave(d) // nothing is parked on it yet
		return 0
	case unix.EPERM:
		return unix.EBADFD
	default:
		return errno
	}
}

package epollfallback

import (
	"slices"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

func (q *Queue) prepareAccept(op *operation, f *queueabi.Entry) unix.Errno {
	const valid = ring.AcceptMultishot | acceptDontWait | acceptPollFirst
	if f.Len != 0 || f.BufGroup != 0 || f.Ioprio&^valid != 0 ||
		f.OpFlags&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) != 0 {
		return unix.EINVAL
	}
	const any = -1
	if f.SpliceFD != 0 && f.SpliceFD != any && f.Ioprio&ring.AcceptMultishot != 0 {
		return unix.EINVAL
	}
	return op.takeSlot(f, &op.opFlags, unix.SOCK_CLOEXEC)
}

// accept takes one connection, or as many as there are. There is no flag that
// keeps accept4(2) from waiting: the listener itself is made non-blocking, and
// left so.
func (q *Queue) accept(op *operation) outcome {
	if op.pollsFirst() {
		return op.wouldBlock()
	}
	if !op.waited {
		if _, errno := q.setNonblock(op.fd, true); errno != 0 {
			return op.endError(errno)
		}
	}
	multishot := op.ioprio&ring.AcceptMultishot != 0
	for posted := 0; posted < multishotBudget; posted++ {
		fd, errno := q.raw(unix.SYS_ACCEPT4, uintptr(op.fd), uintptr(op.addr), uintptr(op.off), uintptr(op.opFlags), 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return op.wouldBlock()
		default:
			return op.endError(errno)
		}
		result := q.bring(op, int32(fd))
		left := q.unaccepted(op)
		if left == some {
			op.flags = ring.CQEFSockNonEmpty
		}
		if !multishot || result < 0 {
			return op.end(result)
		}
		q.post(op, result, ring.CQEFMore|op.flags)
		op.flags = 0
		if left == nothing {
			return op.wouldBlock()
		}
	}
	return yielded
}

// unaccepted tells whether more connections wait. Asking is much cheaper than
// an accept that finds none. Of TCP only does the kernel's ring know.
func (q *Queue) unaccepted(op *operation) backlog {
	if q.kindAt(op.fd) != tcp {
		return anything
	}
	switch events, errno := q.pollNow(op.fd, unix.POLLIN); {
	case errno != 0 || events&^unix.POLLIN != 0:
		return anything
	case events == 0:
		return nothing
	}
	return some
}

func (q *Queue) prepareSocket(op *operation, f *queueabi.Entry) unix.Errno {
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	const kinds = 0xf // SOCK_TYPE_MASK
	kind := uint32(f.Off)
	if f.Addr != 0 || f.OpFlags != 0 || f.BufGroup != 0 || kind&^(kinds|flags) != 0 {
		return unix.EINVAL
	}
	errno := op.takeSlot(f, &kind, unix.SOCK_CLOEXEC)
	op.off = uint64(kind)
	return errno
}

func (q *Queue) socket(op *operation) outcome {
	fd, errno := q.blocking(unix.SYS_SOCKET, uintptr(op.fd), uintptr(op.off), uintptr(op.len), 0, 0, 0)
	if errno != 0 {
		return op.endError(errno)
	}
	return op.end(q.bring(op, int32(fd)))
}

func (q *Queue) prepareConnect(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.Len != 0 || f.BufGroup != 0 || f.OpFlags != 0 || f.SpliceFD != 0,
		f.Off > unix.SizeofSockaddrAny+16: // sizeof(struct sockaddr_storage)
		return unix.EINVAL
	case f.Addr == 0 && f.Off != 0:
		return unix.EFAULT
	}
	return 0
}

// backlogRetry is how long a connect waits before it tries again when a Unix
// listener has no room: no event tells when it has. The kernel's ring lets a
// worker block there.
const backlogRetry = time.Millisecond

// connect starts a connection attempt, and asks again how it went when the
// socket becomes writable.
func (q *Queue) connect(op *operation) outcome {
	if op.started {
		if events, errno := q.pollNow(op.fd, 0); errno == 0 && events&unix.POLLERR != 0 {
			return op.endError(q.socketError(op.fd))
		}
	}
	errno := q.connectNow(op)
	if errno == unix.ECONNABORTED && op.done == 0 {
		op.done = 1 // that was about an attempt before, which is over now
		if op.d != nil {
			// Parked, it keeps its place in the queue: somebody else took the error of its
			// own attempt, a receive or SO_ERROR.
			return q.connect(op)
		}
		q.keep(op)
		q.successors.push(op)
		q.toStart++
		return held
	}
	switch errno {
	case unix.EINPROGRESS:
		op.started = true
		return blocked
	case unix.EALREADY:
		if op.started { // woken for another reason
			return blocked
		}
	case unix.EAGAIN:
		q.extraOf(op).timer.when = int64(q.clock.now() + backlogRetry)
		q.arm(op)
		return blocked
	case unix.EISCONN, unix.EBADFD:
		if op.started { // the attempt is over: its outcome was left in the socket
			errno = q.socketError(op.fd)
		}
	}
	if d := q.lookup(op.fd); d != nil {
		// A socket that is not connected is hung up. What epoll said of that is over,
		// but the peer may have hung up since.
		events, _ := q.pollNow(op.fd, unix.POLLPRI|unix.POLLRDHUP)
		d.signalled = events & lastingEvents
	}
	return op.endError(errno)
}

// socketError takes the error that is pending on a socket, if there is one.
func (q *Queue) socketError(fd int32) unix.Errno {
	pending, errno := q.getsockopt(fd, unix.SO_ERROR)
	if errno != 0 {
		return errno
	}
	return unix.Errno(pending)
}

// connectNow is a connect(2) that does not wait, on a descriptor that is
// non-blocking for the time of the call.
func (q *Queue) connectNow(op *operation) unix.Errno {
	was, errno := q.setNonblock(op.fd, true)
	if errno != 0 {
		return errno
	}
	addr := uintptr(op.addr)
	if m := op.message(); m != nil {
		addr = addressOf(&m.name[0])
	}
	_, errno = q.raw(unix.SYS_CONNECT, uintptr(op.fd), addr, uintptr(op.off), 0, 0, 0)
	if !was {
		q.setNonblock(op.fd, false)
	}
	return errno
}

func (q *Queue) prepareClose(op *operation, f *queueabi.Entry) unix.Errno {
	switch {
	case f.Off != 0 || f.Addr != 0 || f.Len != 0 || f.OpFlags != 0 || f.BufGroup != 0:
		return unix.EINVAL
	case f.Flags&ring.SQEFixedFile != 0:
		return unix.EBADF
	case f.SpliceFD != 0 && f.FD != 0:
		return unix.EINVAL
	}
	op.slot = uint32(f.SpliceFD)
	return 0
}

// closeFile closes a number, or rather promises to: as with the kernel's ring,
// the number is gone at once, and the file on the way out of Enter, so that the
// other end does not notice before what else was submitted is done.
func (q *Queue) closeFile(op *operation) outcome {
	if op.slot != 0 {
		return q.closeSlot(op)
	}
	if q.isPrivate(op.fd) || !q.isOpen(op.fd) {
		return op.endError(unix.EBADF)
	}
	q.closing = append(q.closing, op.fd)
	return op.end(0)
}

// isPrivate reports whether a number does not stand for a file as far as the
// program knows: it is closed already, or ours.
func (q *Queue) isPrivate(fd int32) bool {
	if q.hidden.has(fd) || len(q.closing) > 0 && slices.Contains(q.closing, fd) || fd == q.epoll || fd == q.workers.wakeup && fd >= 0 {
		return true
	}
	d := q.lookup(fd)
	return d != nil && (d.owned || d.closing)
}

// closeNumbers keeps the promise. The file lives on while operations are parked
// on it, or with workers.
func (q *Queue) closeNumbers() {
	for i := 0; i < len(q.closing); i++ { // closing one may add another
		fd := q.closing[i]
		if d := q.lookup(fd); d != nil && d.busy() {
			d.closing = true
			continue
		}
		q.closeNumber(fd)
	}
	q.closing = q.closing[:0]
}

func (q *Queue) closeNumber(fd int32) {
	if d := q.lookup(fd); d != nil && !q.vacate(d) {
		return
	}
	if q.hidden.has(fd) {
		q.hidden.clear(int(fd))
	}
	// It may wait, if the socket lingers.
	q.blocking(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
}

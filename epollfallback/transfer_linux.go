package epollfallback

import (
	"math"
	"os"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// maxTransfer is the most that one call moves (MAX_RW_COUNT of the kernel), and so the most
// that one operation does: a result has 31 bits.
var maxTransfer = uint64(math.MaxInt32 &^ (os.Getpagesize() - 1))

// limitLength makes of what an entry asks for what it gets at most.
func (op *operation) limitLength() { op.len = uint32(min(uint64(op.len), maxTransfer)) }

// limited is the beginning of a vector that one operation moves.
func limited(vector []iovec) []iovec {
	left := maxTransfer
	for i := range vector {
		v := &vector[i]
		if v.len = uintptr(min(uint64(v.len), left)); v.len == 0 && left == 0 {
			return vector[:i]
		}
		left -= uint64(v.len)
	}
	return vector
}

func (q *Queue) prepareReadWrite(op *operation, f *queueabi.Entry) unix.Errno {
	// Ioprio is a scheduling priority here and Buf a registered buffer, which
	// these opcodes do not use.
	if !op.vectored() {
		op.limitLength()
	}
	return checkTransferFlags(f.OpFlags)
}

func checkTransferFlags(flags uint32) unix.Errno {
	if flags&^rwfNoWait != 0 {
		return unix.EOPNOTSUPP
	}
	return 0
}

func (q *Queue) read(op *operation) outcome {
	addr, n := op.addr, op.len
	if op.provided() && !op.holding {
		var ok bool
		if addr, n, ok = q.choose(op); !ok {
			if !op.waited && !q.isOpen(op.fd) {
				return op.endError(unix.EBADF)
			}
			return op.endError(unix.ENOBUFS)
		}
	}
	q.scratch.vector = iovec{uintptr(addr), uintptr(n)}
	o := q.transfer(op, unix.SYS_PREADV2, &q.scratch.vector, 1)
	if o == blocked && op.provided() && !op.holding {
		op.len = n // as in the kernel's ring, the buffer that it finds later gives it no more
	}
	// Unlike a receive, a read that finds the end takes the buffer.
	if o == finished && op.provided() && op.result >= 0 {
		op.flags = q.commit(op, uint32(op.result))
	}
	return o
}

func (q *Queue) write(op *operation) outcome {
	q.scratch.vector = iovec{uintptr(op.addr), uintptr(op.len)}
	return q.transfer(op, unix.SYS_PWRITEV2, &q.scratch.vector, 1)
}

func (q *Queue) readVector(op *operation) outcome { return q.transferVector(op, unix.SYS_PREADV2) }

func (q *Queue) writeVector(op *operation) outcome { return q.transferVector(op, unix.SYS_PWRITEV2) }

func (q *Queue) transferVector(op *operation, call uintptr) outcome {
	pieces := op.pieces()
	if len(pieces) == 0 {
		q.scratch.vector = iovec{}
		return q.transfer(op, call, &q.scratch.vector, 1)
	}
	return q.transfer(op, call, &pieces[0], len(pieces))
}

// transfer reads or writes once; vector is of n pieces. A transfer shorter than
// asked for breaks a chain.
func (q *Queue) transfer(op *operation, call uintptr, vector *iovec, n int) outcome {
	if !op.dontWait() && q.goesAround(op) {
		return q.goAround(op)
	}
	want := op.wants()
	if n == 1 {
		want = uint64(vector.len)
	}
	got, errno := q.transferNow(op, call, vector, n)
	switch {
	case errno == unix.EAGAIN && call == unix.SYS_PREADV2 && q.isOver(op):
		return op.end(0)
	case errno == unix.EAGAIN && q.waitsAsJob(op):
		return q.giveTransferToWorkers(op)
	case errno == unix.EAGAIN:
		return op.wouldBlock()
	case errno == unix.EOPNOTSUPP && op.d == nil && !op.dontWait():
		return q.giveTransferToWorkers(op) // this file system does not know whether it would wait
	case errno == unix.EINVAL && int64(op.off) < ring.AtCursor && !allows(op.fd, call):
		return op.endError(unix.EBADF) // which the kernel's ring finds first, and the call does not
	case errno != 0:
		return op.endError(errno)
	case (got > 0 || q.falseEnds) && uint64(got) < want && op.d == nil && !op.dontWait() && q.isPlain(op.fd):
		q.pass(op, vector, got)
		return q.giveTransferToWorkers(op) // the rest is not in the page cache, or not there
	}
	op.end(int32(got))
	op.failed = uint64(got) != want
	return finished
}

// allows reports whether a descriptor is open for such a call.
func allows(fd int32, call uintptr) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 {
		return false
	}
	refused := unix.O_WRONLY
	if call == unix.SYS_PWRITEV2 {
		refused = unix.O_RDONLY
	}
	return flags&unix.O_ACCMODE != refused
}

// waitsAsJob reports whether others wait on the same file, and they do with the
// workers: then epoll need not be asked whether it can watch it.
func (q *Queue) waitsAsJob(op *operation) bool {
	d := q.lookup(op.fd)
	return op.d == nil && !op.dontWait() && d != nil && d.jobs > 0 && d.events == 0
}

// pass moves op past the n bytes that went to or came from the vector.
func (q *Queue) pass(op *operation, vector *iovec, n int) {
	if op.vectored() {
		q.keep(op)
		op.message().advance(n)
		op.done += uint32(n)
	} else {
		if op.provided() && !op.holding {
			q.reserve(op)
			op.addr, op.len = uint64(vector.base), uint32(vector.len)
		}
		op.transferred(uint32(n))
	}
	if op.off != ^uint64(0) {
		op.off += uint64(n)
	}
}

// transferNow finds a call that does not wait, whatever the descriptor is,
// without trusting anything remembered of its number. For a file that is not
// waited for it may find none: EOPNOTSUPP.
func (q *Queue) transferNow(op *operation, call uintptr, vector *iovec, n int) (int, unix.Errno) {
	if n == 1 && vector.len == 0 && call == unix.SYS_PWRITEV2 {
		// pwritev2(2) never gets to a datagram socket with an empty datagram.
		if got, errno := q.sendto(op.fd, uint64(vector.base), 0, 0); errno != unix.ENOTSOCK {
			return got, errno
		}
	}
	if n == 1 && vector.len == 0 && op.wants() == 0 && allows(op.fd, call) && q.waitsUntried(op.fd) {
		return q.transferPolled(op, call, vector, n) // the call would say 0 at once
	}
	// RWF_NOWAIT serves pipes and sockets since Linux 6.4, others longer.
	got, errno := q.vectored(call, op.fd, vector, n, op.off, rwfNoWait)
	if errno == unix.ESPIPE && q.ignoresOffset(op.fd, op.off) {
		op.off = ^uint64(0)
		got, errno = q.vectored(call, op.fd, vector, n, op.off, rwfNoWait)
	}
	switch {
	case errno != unix.EOPNOTSUPP:
		return got, errno
	case q.refused.preadv2 && !op.waited && !allows(op.fd, call):
		return 0, unix.EBADF // the refused call would have found this first
	case op.d == nil && q.isPlain(op.fd):
		return got, errno
	}
	if op.off != ^uint64(0) && !q.ignoresOffset(op.fd, op.off) {
		return 0, unix.ESPIPE
	}
	if n == 1 {
		if call == unix.SYS_PREADV2 {
			got, errno = q.recvfrom(op.fd, uint64(vector.base), uint32(vector.len), 0)
		} else {
			got, errno = q.sendto(op.fd, uint64(vector.base), uint32(vector.len), 0)
		}
		if errno != unix.ENOTSOCK {
			return got, errno
		}
	}
	return q.transferPolled(op, call, vector, n)
}

// ignoresOffset reports whether the kernel's ring reads and writes what has no
// position whatever the offset: anything but a socket, which wants none or 0.
func (q *Queue) ignoresOffset(fd int32, off uint64) bool {
	if off == ^uint64(0) {
		return false
	}
	if off == 0 {
		return true
	}
	_, errno := q.getsockopt(fd, unix.SO_TYPE)
	return errno == unix.ENOTSOCK
}

func (q *Queue) vectored(call uintptr, fd int32, vector *iovec, n int, off uint64, flags uintptr) (int, unix.Errno) {
	// Both halves of the offset; a 64-bit kernel ignores the second.
	if !q.refused.preadv2 {
		return q.raw(call, uintptr(fd), addressOf(vector), uintptr(n), uintptr(off), uintptr(off>>32), flags)
	}
	if flags != 0 {
		return 0, unix.EOPNOTSUPP
	}
	got, errno := q.raw(withoutFlags(call, off), uintptr(fd), addressOf(vector), uintptr(n), uintptr(off), uintptr(off>>32), 0)
	if errno == unix.ESPIPE && q.ignoresOffset(fd, off) {
		got, errno = q.raw(withoutFlags(call, ^uint64(0)), uintptr(fd), addressOf(vector), uintptr(n), 0, 0, 0)
	}
	return got, errno
}

// withoutFlags is the call that does the same where preadv2 and pwritev2 are
// missing, as they are before Linux 4.6 and in emulations of it (qemu-user).
func withoutFlags(call uintptr, off uint64) uintptr {
	switch reads := call == unix.SYS_PREADV2; {
	case reads && off == ^uint64(0):
		return unix.SYS_READV
	case reads:
		return unix.SYS_PREADV
	case off == ^uint64(0):
		return unix.SYS_WRITEV
	}
	return unix.SYS_PWRITEV
}

package epollfallback

import (
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

func (q *Queue) prepareReadWrite(op *operation, f *ring.Fields) unix.Errno {
	// Ioprio is a scheduling priority here and Buf a registered buffer, which
	// these opcodes do not use.
	if f.OpFlags&^rwfNoWait != 0 {
		return unix.EOPNOTSUPP
	}
	return 0
}

func (q *Queue) read(op *operation) outcome {
	addr, n := op.addr, op.len
	if op.provided() {
		var ok bool
		if addr, n, ok = q.choose(op); !ok {
			if !op.waited && !q.isOpen(op.fd) {
				return op.endError(unix.EBADF)
			}
			return op.endError(unix.ENOBUFS)
		}
	}
	o := q.transfer(op, unix.SYS_PREADV2, addr, n)
	// Unlike a receive, a read that finds the end takes the buffer.
	if o == finished && op.provided() && op.result >= 0 {
		op.flags = q.commit(op, uint32(op.result))
	}
	return o
}

func (q *Queue) write(op *operation) outcome {
	return q.transfer(op, unix.SYS_PWRITEV2, op.addr, op.len)
}

// transfer reads or writes once. A transfer shorter than asked for breaks a
// chain.
func (q *Queue) transfer(op *operation, call uintptr, addr uint64, n uint32) outcome {
	got, errno := q.transferNow(op, call, addr, n)
	switch {
	case errno == unix.EAGAIN && call == unix.SYS_PREADV2 && q.isOver(op):
		return op.end(0)
	case errno == unix.EAGAIN:
		return op.wouldBlock()
	case errno != 0:
		return op.endError(errno)
	}
	op.end(int32(got))
	op.failed = uint32(got) != n
	return finished
}

// transferNow finds a call that does not wait, whatever the descriptor is,
// without trusting anything remembered of its number.
func (q *Queue) transferNow(op *operation, call uintptr, addr uint64, n uint32) (int, unix.Errno) {
	if n == 0 && call == unix.SYS_PWRITEV2 {
		// pwritev2(2) never gets to a datagram socket with an empty datagram.
		if got, errno := q.sendto(op.fd, addr, n, 0); errno != unix.ENOTSOCK {
			return got, errno
		}
	}
	// RWF_NOWAIT serves pipes and sockets since Linux 6.4, others longer.
	got, errno := q.vectored(call, op.fd, addr, n, op.off, rwfNoWait)
	if errno == unix.ESPIPE && op.off != ^uint64(0) {
		op.off = ^uint64(0) // no position: the kernel's ring ignores it then
		got, errno = q.vectored(call, op.fd, addr, n, op.off, rwfNoWait)
	}
	if errno != unix.EOPNOTSUPP {
		return got, errno
	}
	if call == unix.SYS_PREADV2 {
		got, errno = q.recvfrom(op.fd, addr, n, 0)
	} else {
		got, errno = q.sendto(op.fd, addr, n, 0)
	}
	if errno != unix.ENOTSOCK {
		return got, errno
	}
	// Neither: an eventfd being written, a terminal, a pipe of an old kernel.
	if _, errno = q.setNonblock(op.fd, true); errno != 0 {
		return 0, errno
	}
	return q.vectored(call, op.fd, addr, n, op.off, 0)
}

func (q *Queue) vectored(call uintptr, fd int32, addr uint64, n uint32, off uint64, flags uintptr) (int, unix.Errno) {
	q.scratch.vector = iovec{uintptr(addr), uintptr(n)}
	// Both halves of the offset; a 64-bit kernel ignores the second.
	got, errno := q.raw(call, uintptr(fd), addressOf(&q.scratch.vector), 1, uintptr(off), uintptr(off>>32), flags)
	if errno != unix.ENOSYS {
		return got, errno
	}
	if flags != 0 {
		return 0, unix.EOPNOTSUPP
	}
	got, errno = q.raw(withoutFlags(call, off), uintptr(fd), addressOf(&q.scratch.vector), 1, uintptr(off), uintptr(off>>32), 0)
	if errno == unix.ESPIPE && off != ^uint64(0) { // no position: the kernel's ring ignores it then
		got, errno = q.raw(withoutFlags(call, ^uint64(0)), uintptr(fd), addressOf(&q.scratch.vector), 1, 0, 0, 0)
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

// transferBlocking reads or writes a file that epoll cannot watch.
func (q *Queue) transferBlocking(op *operation) {
	call, addr, n := uintptr(unix.SYS_PWRITEV2), op.addr, op.len
	if op.opcode == ring.OpRead {
		call = unix.SYS_PREADV2
		if op.provided() {
			addr, n, _ = q.choose(op)
		}
	}
	q.scratch.vector = iovec{uintptr(addr), uintptr(n)}
	got, errno := q.blocking(call, uintptr(op.fd), addressOf(&q.scratch.vector), 1, uintptr(op.off), uintptr(op.off>>32), 0)
	if errno == unix.ENOSYS {
		got, errno = q.blocking(withoutFlags(call, op.off), uintptr(op.fd), addressOf(&q.scratch.vector), 1, uintptr(op.off), uintptr(op.off>>32), 0)
	}
	if errno != 0 {
		op.endError(errno)
		return
	}
	op.end(int32(got))
	op.failed = uint32(got) != n
	if op.provided() {
		op.flags = q.commit(op, uint32(got))
	}
}

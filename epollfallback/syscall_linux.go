package epollfallback

import (
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Flags of the kernel that neither x/sys nor package ring names.
const (
	rwfNoWait         = 0x8    // RWF_NOWAIT of preadv2(2)
	acceptDontWait    = 1 << 1 // IORING_ACCEPT_DONTWAIT, Linux 6.10
	acceptPollFirst   = 1 << 2 // IORING_ACCEPT_POLL_FIRST, Linux 6.10
	recvSendFixed     = 1 << 2 // IORING_RECVSEND_FIXED_BUF, Linux 6.0
	nopInjectResult   = 1 << 0 // IORING_NOP_INJECT_RESULT, Linux 6.10
	cancelUserData    = 1 << 4 // IORING_ASYNC_CANCEL_USERDATA, Linux 6.6
	cancelOp          = 1 << 5 // IORING_ASYNC_CANCEL_OP, Linux 6.6
	timeoutUpdate     = 1 << 1 // IORING_TIMEOUT_UPDATE, Linux 5.11
	timeoutBoottime   = 1 << 2 // IORING_TIMEOUT_BOOTTIME, Linux 5.15
	timeoutRealtime   = 1 << 3 // IORING_TIMEOUT_REALTIME, Linux 5.15
	linkTimeoutUpdate = 1 << 4 // IORING_LINK_TIMEOUT_UPDATE, Linux 5.15
)

// Addresses arrive in entries as integers and leave in system calls as
// integers; only here do they become pointers.

// pointer makes a pointer of an address in an entry. The caller of the queue
// keeps what it points to reachable.
func pointer(addr uint64) unsafe.Pointer {
	p := uintptr(addr)
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// addressOf is for memory that hangs on the queue, and so neither moves nor
// goes away during a call.
func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

func timespecAt(addr uint64) ring.Timespec { return *(*ring.Timespec)(pointer(addr)) }

// iovec and msghdr are the kernel's structures with integers for pointers.
// uintptr gives them the right layout on 32-bit systems too.
type iovec struct{ base, len uintptr }

type msghdr struct {
	name       uintptr
	namelen    uint32
	iov        uintptr
	iovlen     uintptr
	control    uintptr
	controllen uintptr
	flags      int32
}

// raw makes a system call that cannot block, so the scheduler need not know.
func (q *Queue) raw(trap, a, b, c, d, e, f uintptr) (int, unix.Errno) {
	q.stats.Syscalls++
	r, _, errno := syscall.RawSyscall6(trap, a, b, c, d, e, f)
	return int(r), errno
}

// blocking makes a system call that may block.
func (q *Queue) blocking(trap, a, b, c, d, e, f uintptr) (int, unix.Errno) {
	q.stats.Syscalls++
	r, _, errno := syscall.Syscall6(trap, a, b, c, d, e, f)
	return int(r), errno
}

// sleep makes a system call that may block, on a worker's goroutine.
func sleep(trap, a, b, c, d, e uintptr) (int, unix.Errno) {
	r, _, errno := syscall.Syscall6(trap, a, b, c, d, e, 0)
	return int(r), errno
}

func (q *Queue) recvfrom(fd int32, addr uint64, n, flags uint32) (int, unix.Errno) {
	return q.raw(unix.SYS_RECVFROM, uintptr(fd), uintptr(addr), uintptr(n), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
}

func (q *Queue) sendto(fd int32, addr uint64, n, flags uint32) (int, unix.Errno) {
	return q.raw(unix.SYS_SENDTO, uintptr(fd), uintptr(addr), uintptr(n), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), 0, 0)
}

func (q *Queue) getsockopt(fd int32, option int) (int, unix.Errno) {
	q.scratch.value, q.scratch.size = 0, 4
	_, errno := q.raw(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option),
		addressOf(&q.scratch.value), addressOf(&q.scratch.size), 0)
	return int(q.scratch.value), errno
}

// pollNow asks what holds of a descriptor at this moment. A signal ends even a
// poll that does not wait; the runtime sends them to interrupt goroutines.
func (q *Queue) pollNow(fd int32, mask uint32) (uint32, unix.Errno) {
	for {
		q.scratch.poll = unix.PollFd{Fd: fd, Events: int16(mask)}
		// A zero time, in the layout of 32- and 64-bit systems alike.
		q.scratch.time = ring.Timespec{}
		_, errno := q.raw(unix.SYS_PPOLL, addressOf(&q.scratch.poll), 1, addressOf(&q.scratch.time), 0, 0, 0)
		if errno != unix.EINTR {
			return uint32(uint16(q.scratch.poll.Revents)), errno
		}
	}
}

// setNonblock sets or clears O_NONBLOCK; was is what it was before.
func (q *Queue) setNonblock(fd int32, on bool) (was bool, errno unix.Errno) {
	flags, errno := q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0, 0, 0, 0)
	if errno != 0 {
		return false, errno
	}
	was = flags&unix.O_NONBLOCK != 0
	if was == on {
		return was, 0
	}
	_, errno = q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, uintptr(flags^unix.O_NONBLOCK), 0, 0, 0)
	return was, errno
}

// isOpen reports whether the number stands for a file.
func (q *Queue) isOpen(fd int32) bool {
	_, errno := q.raw(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFD, 0, 0, 0, 0)
	return errno == 0
}

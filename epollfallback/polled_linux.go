package epollfallback

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Reads and writes of what does not know RWF_NOWAIT: terminals, named pipes, pipes
// before Linux 6.4, eventfds being written, other devices.
//
// O_NONBLOCK is of the open file description, which other processes may share: a
// terminal with the shell, a pipe with whoever else inherited it. There it must not
// stay, for it would outlive the program.

// transferPolled transfers what is ready, as the kernel's ring does with such files:
// what is not ready is not tried, so that a named pipe whose writer is yet to come
// is not at its end.
func (q *Queue) transferPolled(op *operation, call uintptr, vector *iovec, n int) (int, unix.Errno) {
	mask, mode := uint32(unix.POLLIN), unix.O_RDONLY
	if call == unix.SYS_PWRITEV2 {
		mask, mode = unix.POLLOUT, unix.O_WRONLY
	}
	events, errno := q.pollNow(op.fd, mask)
	switch {
	case errno != 0:
		return 0, errno
	case events == 0:
		return 0, unix.EAGAIN
	case events&mask == events && q.canReopen(op.fd):
		if own, errno := q.reopen(op.fd, mode|unix.O_NONBLOCK); errno == 0 {
			got, errno := q.vectored(call, own, vector, n, op.off, 0)
			q.raw(unix.SYS_CLOSE, uintptr(own), 0, 0, 0, 0, 0)
			return got, errno
		}
	}
	// At its end, or nothing else helps: O_NONBLOCK for the time of the call.
	was, errno := q.setNonblock(op.fd, true)
	if errno != 0 {
		return 0, errno
	}
	got, errno := q.vectored(call, op.fd, vector, n, op.off, 0)
	if !was {
		q.setNonblock(op.fd, false)
	}
	return got, errno
}

// waitsUntried reports whether the kernel's ring waits for a file before it tries to
// transfer, be it nothing: for terminals and named pipes, which do not know
// RWF_NOWAIT.
func (q *Queue) waitsUntried(fd int32) bool {
	const pipefs = 0x50495045 // PIPEFS_MAGIC, of pipes without a name
	var fs unix.Statfs_t
	return q.canReopen(fd) && unix.Fstatfs(int(fd), &fs) == nil && fs.Type != pipefs
}

// canReopen reports whether opening the file of a number again gives another
// description of the same pipe or terminal. The master of a pseudoterminal would be
// a new one, and what other devices do then is their own affair.
func (q *Queue) canReopen(fd int32) bool {
	if unix.Fstat(int(fd), &q.scratch.stat) != nil {
		return false
	}
	switch q.scratch.stat.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return true
	case unix.S_IFCHR:
		if _, errno := q.raw(unix.SYS_IOCTL, uintptr(fd), unix.TCGETS, addressOf(&q.scratch.terminal), 0, 0, 0); errno != 0 {
			return false
		}
		_, errno := q.raw(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTN, addressOf(&q.scratch.value), 0, 0, 0)
		return errno != 0
	}
	return false
}

// reopen opens the file of a number anew (proc_pid_fd(5)). It fails without /proc,
// and where the program got the descriptor from somebody with other rights.
func (q *Queue) reopen(fd int32, flags int) (int32, unix.Errno) {
	path := strconv.AppendInt(append(q.scratch.path[:0], "/proc/self/fd/"...), int64(fd), 10)
	path = append(path, 0)
	const always = unix.O_CLOEXEC | unix.O_NOCTTY
	at := unix.AT_FDCWD
	opened, errno := q.raw(unix.SYS_OPENAT, uintptr(at), addressOf(&path[0]), uintptr(flags|always), 0, 0, 0)
	return int32(opened), errno
}

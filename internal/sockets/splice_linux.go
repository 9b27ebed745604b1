package sockets

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// SizedPipe makes a pipe with room for size bytes, if the user may have one as large
// (pipe(7), pipe-user-pages-soft), and says how many it has room for.
func SizedPipe(size int) (r, w, room int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, 0, err
	}
	r, w = ends[0], ends[1]
	if room, err = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, size); err != nil {
		room, err = unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
	}
	return r, w, room, err
}

// WritePipe writes what the pipe has room for.
func WritePipe(w int, p []byte) (n int, err error) { return unix.Write(w, p) }

// Splice moves up to n bytes from one descriptor to another, of which one is a pipe,
// without waiting: a pipe is told not to, and a socket must be non-blocking, or known to
// be ready (splice(2)).
func Splice(from, to, n int) (moved int, errno syscall.Errno) {
	const flags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
	r, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
	return int(r), errno
}

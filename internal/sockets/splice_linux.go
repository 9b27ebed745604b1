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

// Splice moves up to n bytes from one descriptor to another, of which one is a pipe. It
// does not wait for the pipe, nor for a socket that is non-blocking or has something to
// read (splice(2)).
func Splice(from, to, n int) (moved int, errno syscall.Errno) {
	const flags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
	r, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
	return int(r), errno
}

// SpliceToSocket moves up to n bytes from a pipe to a socket, which is non-blocking
// meanwhile: SPLICE_F_NONBLOCK is about pipes.
func SpliceToSocket(pipe, fd, n int) (moved int, errno syscall.Errno) {
	flags, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	if errno != 0 {
		return 0, errno
	}
	if flags&unix.O_NONBLOCK == 0 {
		if _, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags|unix.O_NONBLOCK); errno != 0 {
			return 0, errno
		}
		defer syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags)
	}
	return Splice(pipe, fd, n)
}

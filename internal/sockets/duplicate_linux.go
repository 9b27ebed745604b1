package sockets

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Duplicate returns a descriptor of its own for f's file. The error of a closed
// f is os.ErrClosed.
func Duplicate(f syscall.Conn) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failure error
	err = raw.Control(func(number uintptr) { fd, failure = DuplicateNumber(int(number)) })
	if err != nil {
		return -1, os.ErrClosed
	}
	return fd, failure
}

// DuplicateNumber returns another descriptor for the same file (fcntl(2),
// F_DUPFD_CLOEXEC).
func DuplicateNumber(fd int) (int, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return dup, os.NewSyscallError("fcntl", err)
}

// CloseOnExec keeps a descriptor from programs that the process starts.
func CloseOnExec(fd int) { unix.CloseOnExec(fd) }

// SetBlocking makes a file blocking or not, and reports whether that was a change.
// It holds for every descriptor of the file.
func SetBlocking(fd int, blocking bool) (changed bool) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 == blocking {
		return false
	}
	return unix.SetNonblock(fd, !blocking) == nil
}

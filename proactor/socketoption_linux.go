package proactor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketOptionNow makes the system call, which does not wait.
func socketOptionNow(fd int, set bool, level, name int, value []byte) (n int, errno syscall.Errno) {
	memory := unsafe.Pointer(unsafe.SliceData(value))
	if set {
		_, _, errno = unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(memory), uintptr(len(value)), 0)
		return 0, errno
	}
	size := int32(len(value))
	_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(memory), uintptr(unsafe.Pointer(&size)), 0)
	return int(size), errno
}

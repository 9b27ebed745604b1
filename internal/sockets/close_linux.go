package sockets

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What accept4(2) and shutdown(2) take.
const (
	AcceptFlags  = unix.SOCK_CLOEXEC
	ShutdownRead = unix.SHUT_RD
	ShutdownBoth = unix.SHUT_RDWR
)

// Close closes a descriptor that no queue knows.
func Close(fd int) { unix.Close(fd) }

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// StopListening makes a socket refuse connections at once, those that wait to be
// accepted included. A TCP socket leaves its port too, to others that share
// addresses (SO_REUSEADDR), although an accept in flight keeps it open.
func StopListening(fd int) { unix.Shutdown(fd, unix.SHUT_RDWR) }

// Reset makes the peer of a TCP connection see a reset, at once. Closing with a
// linger of zero would do that too, but the operations in flight end at a
// shutdown only, and that says goodbye with a FIN. Connecting to no address
// ends both (connect(2), AF_UNSPEC). A unix socket has no reset, and refuses.
func Reset(fd int) {
	nowhere := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNSPEC}}
	unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unix.SizeofSockaddrInet4)
}

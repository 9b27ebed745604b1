package sockets

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// NamesOf looks up the names of both ends of a socket that is neither closed nor
// reset by this end. A reset by the peer takes no name away. It never waits.
func NamesOf(fd int) (n Names) {
	var a Address
	localName(fd, &a)
	n.local = nameAt(a.Bytes())
	inet6 := a.Family() == unix.AF_INET6
	peerName(fd, inet6, &a)
	n.remote = nameAt(a.Bytes())
	return n
}

// localName is getsockname(2); no address if it fails.
func localName(fd int, a *Address) {
	length := uint32(len(a.raw))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&length)))
	a.written(length, e)
}

// peerName is getpeername(2); no address if there is no peer. A TCP connection
// that its peer has reset has none any more for getpeername. SO_PEERNAME still
// tells, as accept(2) does; it wants to be asked for as many bytes as there are.
func peerName(fd int, inet6 bool, a *Address) {
	length := uint32(len(a.raw))
	_, _, e := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&length)))
	if e == unix.ENOTCONN {
		length = SizeofInet4
		if inet6 {
			length = SizeofInet6
		}
		_, _, e = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERNAME,
			uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&length)), 0)
	}
	a.written(length, e)
}

// written settles how much of an address the kernel has written.
func (a *Address) written(length uint32, e unix.Errno) {
	a.len = 0
	if e == 0 {
		a.len = min(int(length), len(a.raw))
	}
}

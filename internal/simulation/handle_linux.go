package simulation

import (
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// handle is the kernel's socket that stands for one of the network. The inode tells
// whether the descriptor is still that socket's.
type handle struct {
	fd    int
	inode uint64
	inet6 bool
}

// about is what the kernel tells of a socket.
type about struct {
	kind          kind
	local, remote netip.AddrPort
}

// patience is how long, in milliseconds of real time, the kernel has for a handshake on the
// loopback interface.
const patience = 5000

func inodeOf(fd int) (inode uint64, isSocket, isEvent bool) {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return 0, false, false
	}
	return stat.Ino, stat.Mode&unix.S_IFMT == unix.S_IFSOCK, stat.Mode&unix.S_IFMT == 0
}

// identify finds out what a descriptor is.
func identify(fd int) (h handle, a about, errno syscall.Errno) {
	inode, isSocket, _ := inodeOf(fd)
	switch {
	case inode == 0:
		return h, a, syscall.EBADF
	case !isSocket:
		return h, a, syscall.ENOTSOCK
	}
	family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	accepts, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	h = handle{fd, inode, family == unix.AF_INET6}
	a.local, a.remote = h.names()
	switch {
	case family != unix.AF_INET && family != unix.AF_INET6:
		return h, a, syscall.EOPNOTSUPP
	case kind == unix.SOCK_DGRAM:
		a.kind = packets
	case kind != unix.SOCK_STREAM, a.remote.IsValid(): // connected past the simulation
		return h, a, syscall.EOPNOTSUPP
	case accepts != 0:
		a.kind = listening
	}
	return h, a, 0
}

func (h handle) exists() bool {
	inode, _, _ := inodeOf(h.fd)
	return inode == h.inode
}

func (h handle) close() {
	if h.exists() {
		unix.Close(h.fd)
	}
}

// names are the addresses of both ends.
func (h handle) names() (local, remote netip.AddrPort) {
	a, _ := unix.Getsockname(h.fd)
	b, _ := unix.Getpeername(h.fd)
	return addressOf(a), addressOf(b)
}

func addressOf(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// isReset reports whether this end of a connection was reset by connect(2) to no address:
// then it has no peer any more. A reset by the peer leaves the name of that.
func (h handle) isReset() bool {
	var raw [unix.SizeofSockaddrInet6]byte
	length := uint32(unix.SizeofSockaddrInet4)
	if h.inet6 {
		length = unix.SizeofSockaddrInet6
	}
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(h.fd), unix.SOL_SOCKET, unix.SO_PEERNAME,
		uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&length)), 0)
	return e == unix.ENOTCONN
}

func (h handle) isListening() bool {
	accepts, _ := unix.GetsockoptInt(h.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return accepts != 0
}

// connect connects the socket over the loopback interface.
func (h handle) connect(to []byte) syscall.Errno {
	if err := unix.SetNonblock(h.fd, true); err != nil {
		return err.(syscall.Errno)
	}
	defer unix.SetNonblock(h.fd, false)
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(h.fd), uintptr(unsafe.Pointer(unsafe.SliceData(to))), uintptr(len(to)))
	if e != unix.EINPROGRESS {
		return e
	}
	if !ready(h.fd, unix.POLLOUT) {
		return syscall.ETIMEDOUT
	}
	failure, _ := unix.GetsockoptInt(h.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return syscall.Errno(failure)
}

// ready waits for what the kernel is about to do.
func ready(fd int, events int16) bool {
	return poll([]unix.PollFd{{Fd: int32(fd), Events: events}})
}

// anyReady waits until one of the listeners has a connection.
func anyReady(listeners []int) bool {
	var fds []unix.PollFd
	for _, fd := range listeners {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return poll(fds)
}

func poll(fds []unix.PollFd) bool {
	for {
		n, err := unix.Poll(fds, patience)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// accept takes a connection from the kernel, if there is one.
func (h handle) accept() (accepted handle, from netip.AddrPort, ok bool) {
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}, 0); n == 0 {
		return accepted, from, false
	}
	fd, peer, err := unix.Accept4(h.fd, unix.SOCK_CLOEXEC)
	if err != nil {
		return accepted, from, false
	}
	inode, _, _ := inodeOf(fd)
	return handle{fd, inode, h.inet6}, addressOf(peer), true
}

// bytesPast counts bytes that are in the kernel's socket.
func (h handle) bytesPast() int {
	if listening := h.isListening(); listening {
		return 0
	}
	n, _ := unix.IoctlGetInt(h.fd, unix.TIOCINQ)
	return n
}

func syscallClose(fd int) syscall.Errno {
	if err := unix.Close(fd); err != nil {
		return err.(syscall.Errno)
	}
	return 0
}

// isEvent reports whether a descriptor is an eventfd (or another file of its kind).
func isEvent(fd int) bool {
	_, _, event := inodeOf(fd)
	return event
}

// readEvent reads an eventfd, if it has something.
func readEvent(fd int, p []byte) bool {
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); n == 0 {
		return false
	}
	n, _ := unix.Read(fd, p)
	return n > 0
}

// socketOption gets or sets an option of the kernel's socket.
func socketOption(f *queueabi.Entry) int32 {
	level, name := f.Option()
	size := uint32(f.SpliceFD)
	value := uintptr(pointer(&f.Addr3))
	switch uint32(f.Off) {
	case ring.SocketSetOption:
		_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(f.FD), uintptr(level), uintptr(name), value, uintptr(size), 0)
		return -int32(e)
	case ring.SocketGetOption:
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(f.FD), uintptr(level), uintptr(name), value, uintptr(unsafe.Pointer(&size)), 0)
		if e != 0 {
			return -int32(e)
		}
		return int32(size)
	}
	return -int32(unix.EOPNOTSUPP)
}

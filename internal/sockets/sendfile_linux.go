package sockets

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cached reports whether n bytes of a file at off, n > 0, can be read without waiting for
// a device: all are in the page cache (cachestat(2), Linux 6.5), and the file system
// answers reads that must not wait, which those of a network do not. A file of somebody
// else's, which the process must not write, is never found cached.
func Cached(fd int, off, n int64) bool {
	page := int64(os.Getpagesize())
	pages := (off+n-1)/page - off/page + 1
	asked := [2]uint64{uint64(off), uint64(n)} // struct cachestat_range
	var found [5]uint64                        // struct cachestat
	_, _, errno := syscall.RawSyscall6(unix.SYS_CACHESTAT, uintptr(fd), uintptr(unsafe.Pointer(&asked)), uintptr(unsafe.Pointer(&found)), 0, 0, 0)
	if errno != 0 || found[0] < uint64(pages) {
		return false
	}
	// A page may be there before its bytes are. They come in order.
	var last byte
	vector := unix.Iovec{Base: &last}
	vector.SetLen(1)
	at := off + n - 1
	got, _, errno := syscall.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vector)), 1, uintptr(at), uintptr(uint64(at)>>32), unix.RWF_NOWAIT)
	return errno == 0 && got == 1
}

// RestOfFile is where the cursor of a regular file is, and how many bytes follow it; left is
// zero for anything else.
func RestOfFile(fd int) (at, left int64) {
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil || status.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, 0
	}
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	if err != nil {
		return 0, 0
	}
	return at, max(status.Size-at, 0)
}

// SendFile moves up to n bytes of a file at off to a socket, as many as that takes without
// waiting, which is non-blocking meanwhile (sendfile(2)). It waits for the file, see
// Cached.
func SendFile(socket, file int, off int64, n int) (moved int, errno syscall.Errno) {
	WithoutBlocking(socket, func() {
		var r uintptr
		r, _, errno = syscall.RawSyscall6(sendfileCall, uintptr(socket), uintptr(file), uintptr(unsafe.Pointer(&off)), uintptr(n), 0, 0)
		moved = int(r)
	})
	if errno != 0 {
		moved = 0
	}
	return moved, errno
}

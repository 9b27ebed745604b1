package faultqueue

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// kindOf finds out what a descriptor is to an operation that reads from it or writes to
// it. A pipe's other end, which fails at once, is none.
func kindOf(fd int, writes bool) Kind {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return Other
	}
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	direct := flags&unix.O_DIRECT != 0
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if direct {
			return Direct
		}
		return File
	case unix.S_IFIFO:
		wrong := unix.O_WRONLY
		if writes {
			wrong = unix.O_RDONLY
		}
		if !direct && flags&unix.O_ACCMODE != wrong { // direct keeps what was written apart
			return Pipe
		}
	case unix.S_IFSOCK:
		return socketKind(fd)
	}
	return Other
}

func socketKind(fd int) Kind {
	if listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); listening != 0 {
		return Listening
	}
	if kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); kind == unix.SOCK_STREAM {
		return Stream
	}
	return Packets
}

// expect notes which descriptors a success of the entry brings.
func (e *entry) expect(f *queueabi.Entry) {
	if f.SpliceFD != 0 && e.kind.Brings() > 0 {
		return // it goes into a slot
	}
	if e.brings = e.kind.Brings(); e.kind == ring.OpPipe {
		e.pipe = uintptr(f.Addr)
	}
}

// discard closes what a completion brought that nobody will reap.
func (e *entry) discard(c ring.CQE) {
	switch {
	case c.Result() < 0:
	case e.brings == 1:
		unix.Close(int(c.Result()))
	case e.brings == 2:
		for _, fd := range *(*[2]int32)(*(*unsafe.Pointer)(unsafe.Pointer(&e.pipe))) {
			unix.Close(int(fd))
		}
	}
}

package epollfallback

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// prepareCommand takes the commands to sockets that get and set options. op.addr
// becomes the memory of the value and op.len its size, op.off the level with
// the name above it.
func (q *Queue) prepareCommand(op *operation, f *queueabi.Entry) unix.Errno {
	if f.OpFlags != 0 || f.Off>>32 != 0 {
		return unix.EINVAL
	}
	level, name := f.Option()
	op.opFlags, op.addr, op.len = uint32(f.Off), f.Addr3, uint32(f.SpliceFD)
	op.off = uint64(name)<<32 | uint64(level)
	return 0
}

func (q *Queue) socketCommand(op *operation) outcome {
	level, name := uintptr(uint32(op.off)), uintptr(op.off>>32)
	_, errno := q.getsockopt(op.fd, unix.SO_TYPE)
	switch {
	case errno == unix.ENOTSOCK:
		return op.endError(unix.EOPNOTSUPP)
	case errno != 0:
		return op.endError(errno)
	case op.opFlags == ring.SocketSetOption:
		_, errno = q.blocking(unix.SYS_SETSOCKOPT, uintptr(op.fd), level, name, uintptr(op.addr), uintptr(op.len), 0)
		return op.endError(errno)
	case op.opFlags != ring.SocketGetOption || level != unix.SOL_SOCKET:
		return op.endError(unix.EOPNOTSUPP)
	}
	q.scratch.size = int32(op.len)
	_, errno = q.raw(unix.SYS_GETSOCKOPT, uintptr(op.fd), level, name, uintptr(op.addr), addressOf(&q.scratch.size), 0)
	if errno != 0 {
		return op.endError(errno)
	}
	return op.end(q.scratch.size)
}

package proactor

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
)

// prefetch asks for the memory of the receiver's connection, or (near) for that
// of the promise that its next Recv has.
func (r *receiver) prefetch(near bool) {
	switch {
	case !near:
		prefetchConn(uintptr(unsafe.Pointer(r)) - unsafe.Offsetof(Conn{}.recv))
	case r.own != nil:
		prefetch.Lines(uintptr(unsafe.Pointer(r.own)), int(unsafe.Sizeof(*r.own)/prefetch.LineSize))
	}
}

func (s *sender) prefetch(near bool) {
	if !near {
		prefetchConn(uintptr(unsafe.Pointer(s)) - unsafe.Offsetof(Conn{}.send))
	}
}

// prefetchConn asks for a connection, wherever in a line it begins.
func prefetchConn(c uintptr) {
	prefetch.Lines(c, int(unsafe.Sizeof(Conn{})/prefetch.LineSize)+1)
}

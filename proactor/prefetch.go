package proactor

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
)

// prefetch loads the receiver's connection into the cache or, if near, the Recv that
// waits.
func (r *receiver) prefetch(near bool) {
	if !near {
		prefetchConn(uintptr(unsafe.Pointer(r)) - unsafe.Offsetof(Conn{}.recv))
	} else if q := r.in.results.first; q != nil {
		prefetch.Lines(uintptr(unsafe.Pointer(q)), int(unsafe.Sizeof(*q)/prefetch.LineSize))
	}
}

func (s *sender) prefetch(near bool) {
	if !near {
		prefetchConn(uintptr(unsafe.Pointer(s)) - unsafe.Offsetof(Conn{}.send))
	}
}

// prefetchConn loads a connection into the cache. It may begin anywhere in a cache line.
func prefetchConn(c uintptr) {
	prefetch.Lines(c, int(unsafe.Sizeof(Conn{})/prefetch.LineSize)+1)
}

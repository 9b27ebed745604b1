package proactor

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
)

// How many completions or tasks ahead memory is asked for: first what is at hand,
// then what that points to. Measured: docs/performance.md.
const (
	aheadFar  = 7
	aheadNear = 3
)

// crowd is from how many connections on a loop does so: fewer stay in the cache.
const crowd = 128

// prefetchCompletions asks for the connections of the completions that come after
// the next one.
func (l *Loop) prefetchCompletions() {
	if l.begin+aheadNear >= l.end || len(l.conns) < crowd {
		return
	}
	if i := l.begin + aheadFar; i < l.end {
		switch op, _ := l.slots.Get(l.reaped[i].UserData()); op := op.(type) {
		case *receiver:
			prefetchConn(uintptr(unsafe.Pointer(op)) - unsafe.Offsetof(Conn{}.recv))
		case *sender:
			prefetchConn(uintptr(unsafe.Pointer(op)) - unsafe.Offsetof(Conn{}.send))
		}
	}
	op, _ := l.slots.Get(l.reaped[l.begin+aheadNear].UserData())
	if r, ok := op.(*receiver); ok && r.own != nil {
		prefetch.Lines(uintptr(unsafe.Pointer(r.own)), int(unsafe.Sizeof(*r.own)/prefetch.LineSize))
	}
}

// prefetchConn asks for a connection, wherever in a line it begins.
func prefetchConn(c uintptr) {
	prefetch.Lines(c, int(unsafe.Sizeof(Conn{})/prefetch.LineSize)+1)
}

// prefetchReady asks for the tasks that run after the next one, of n.
func (l *Loop) prefetchReady(n int) {
	if n <= aheadNear || len(l.conns) < crowd {
		return
	}
	if t, ok := (*l.ready.at(aheadNear)).(prefetcher); ok {
		t.PrefetchStack()
	}
	if n > aheadFar {
		if t, ok := (*l.ready.at(aheadFar)).(prefetcher); ok {
			t.PrefetchTask()
		}
	}
}

// prefetcher is what package futures posts to resume a task.
type prefetcher interface {
	PrefetchTask()
	PrefetchStack()
}

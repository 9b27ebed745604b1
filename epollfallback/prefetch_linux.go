package epollfallback

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// How many events or entries ahead memory is asked for: first a descriptor, then
// the operations that wait on it.
const (
	aheadFar  = 6
	aheadNear = 3
)

// prefetchMinOperations is the number of operations in flight, two a connection, from which prefetching pays:
// fewer stay in the cache.
const prefetchMinOperations = 256

// prefetchEvents asks for what the events behind the first need.
func (q *Queue) prefetchEvents(events []unix.EpollEvent) {
	if len(events) <= aheadNear || q.live < prefetchMinOperations {
		return
	}
	if len(events) > aheadFar {
		q.prefetchDescriptor(events[aheadFar].Fd)
	}
	if d := q.lookup(events[aheadNear].Fd); d != nil {
		prefetchOperation(d.queues[reading].head)
		prefetchOperation(d.polls.head)
	}
}

// prefetchEntries is the same for entries, which are tried at once.
func (q *Queue) prefetchEntries(entries []queueabi.SQE) {
	if len(entries) > aheadNear && q.live >= prefetchMinOperations {
		q.prefetchDescriptor(entries[aheadNear].Entry().FD)
	}
}

func (q *Queue) prefetchDescriptor(fd int32) {
	if d := q.lookup(fd); d != nil {
		prefetch.Lines(uintptr(unsafe.Pointer(d)), int(unsafe.Sizeof(*d)/prefetch.LineSize)+1)
	}
}

func prefetchOperation(op *operation) {
	if op != nil {
		prefetch.Lines(uintptr(unsafe.Pointer(op)), int(unsafe.Sizeof(*op)/prefetch.LineSize)+1)
	}
}

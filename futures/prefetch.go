package futures

import (
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
)

// What a parked task needs to go on: so many bytes of its stack below the place
// where it parked, for the frames of the switch and of the next operation, and
// above it, for those of Await and of the function; and the runtime's descriptor
// of its goroutine.
const (
	stackBelow = 256
	stackAbove = 640
	descriptor = 448
)

// PrefetchTask is the first of two hints from an executor that has many tasks to
// run: the memory of the one that r resumes, if it resumes one, had better be on
// its way to the processor's cache. Give it some Runs before r's own, and
// PrefetchStack some later. Only the executor may call it.
func PrefetchTask(r Runnable) {
	if t, ok := r.(*resumption); ok {
		prefetch.Lines(uintptr(unsafe.Pointer(t)), 2)
	}
}

// PrefetchStack is the second hint: it asks for what the task points to.
func PrefetchStack(r Runnable) {
	if t, ok := r.(*resumption); ok && t.phase == parked {
		prefetch.Lines(t.parkedAt-stackBelow, (stackBelow+stackAbove)/prefetch.LineSize)
		prefetch.Lines(t.goroutine, descriptor/prefetch.LineSize)
		prefetch.Lines(closure(unsafe.Pointer(&t.enter)), 1)
		prefetch.Lines(closure(unsafe.Pointer(&t.leave)), 1)
	}
}

// closure is where a function keeps what it has captured.
func closure(fn unsafe.Pointer) uintptr { return *(*uintptr)(fn) }

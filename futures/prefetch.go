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
// run. An executor asks a Runnable for both methods with an interface of its own.
// The hint asks for the task's memory to be loaded into the processor's cache. It
// comes some Runs before the task's own, and PrefetchStack some Runs later.
func (r *resumption) PrefetchTask() {
	prefetch.Lines(uintptr(unsafe.Pointer(r)), 2)
}

// PrefetchStack is the second hint: it asks for what the task points to.
func (r *resumption) PrefetchStack() {
	if t := (*Task)(r); t.phase == parked {
		prefetch.Lines(t.parkedAt-stackBelow, (stackBelow+stackAbove)/prefetch.LineSize)
		prefetch.Lines(t.goroutine, descriptor/prefetch.LineSize)
		prefetch.Lines(closure(unsafe.Pointer(&t.enter)), 1)
		prefetch.Lines(closure(unsafe.Pointer(&t.leave)), 1)
	}
}

// closure is where a function keeps what it has captured.
func closure(fn unsafe.Pointer) uintptr { return *(*uintptr)(fn) }

//go:build race

package engine

import (
	"runtime"
	"unsafe"
)

// The race detector sees neither the kernel nor a raw system call touch
// memory. These tell it what they did.

// RaceWrote tells the race detector that the kernel wrote to p.
func RaceWrote(p []byte) {
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

// RaceRead tells the race detector that the kernel may read p from now on.
func RaceRead(p []byte) {
	if len(p) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

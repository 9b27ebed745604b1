//go:build race

package proactor

import (
	"runtime"
	"unsafe"
)

// The race detector sees neither the kernel nor a raw system call touch
// memory. These tell it what they did.

func raceWrote(p []byte) {
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

func raceRead(p []byte) {
	if len(p) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

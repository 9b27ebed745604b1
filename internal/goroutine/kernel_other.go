//go:build !linux

package goroutine

// kernelThread is not known here, and no loop runs here.
func kernelThread() uintptr { return 0 }

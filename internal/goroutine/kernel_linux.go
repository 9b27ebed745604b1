package goroutine

import "golang.org/x/sys/unix"

// kernelThread is the kernel's number of the calling thread: gettid(2).
func kernelThread() uintptr { return uintptr(unix.Gettid()) }

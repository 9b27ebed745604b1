//go:build !amd64 && !arm64 && !386

package goroutine

import "runtime"

// Current identifies the calling goroutine by its number, which the runtime
// tells only at the head of a stack trace ("goroutine 18 [running]:"). That
// takes about a microsecond: on these processors loops are correct, not fast.
func Current() uintptr {
	var trace [40]byte
	runtime.Stack(trace[:], false)
	var id uintptr
	for _, c := range trace[len("goroutine "):] {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uintptr(c-'0')
	}
	return id
}

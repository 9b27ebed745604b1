//go:build amd64 || arm64 || 386

package goroutine

// Current is the address of the runtime's descriptor of the calling goroutine
// (its g).
func Current() uintptr

// descriptor is the address of the runtime's descriptor of the calling thread:
// the m of its g. In a g it follows six words: stack.lo, stack.hi, stackguard0,
// stackguard1, _panic and _defer (runtime/runtime2.go, Go 1.26 and 1.27).
func descriptor() uintptr

// here compares the descriptor. It calls hereByKernel if that differs and the
// kernel's number is used.
func here(t *Thread) bool

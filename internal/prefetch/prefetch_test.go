package prefetch_test

import (
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/internal/prefetch"
)

func TestAnyAddressWillDo(t *testing.T) {
	var here int
	for _, address := range []uintptr{0, 1, uintptr(unsafe.Pointer(&here)), ^uintptr(0)} {
		for _, n := range []int{-1, 0, 1, 100} {
			prefetch.Lines(address, n)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	memory := make([]byte, 16*prefetch.LineSize)
	at := uintptr(unsafe.Pointer(&memory[0]))
	for b.Loop() {
		prefetch.Lines(at, 16)
	}
}

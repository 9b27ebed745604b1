package epollfallback

import (
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// An idle connection keeps one operation and one descriptor. The sizes are classes of
// the runtime's allocator: one byte more costs 16.
func TestIdleConnectionStaysSmall(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("the sizes are those of 64-bit processors")
	}
	require.LessOrEqual(t, unsafe.Sizeof(operation{}), uintptr(192))
	require.LessOrEqual(t, unsafe.Sizeof(descriptor{}), uintptr(128))
}

package epollfallback

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// An idle connection keeps one operation and one descriptor. The sizes are classes of
// the runtime's allocator: one byte more costs 16.
func TestIdleConnectionStaysSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(operation{}), uintptr(192)) // on 64-bit processors; on others they are smaller
	require.LessOrEqual(t, unsafe.Sizeof(descriptor{}), uintptr(128))
}

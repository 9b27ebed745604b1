package epollfallback

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// An idle connection keeps one operation, two lines of the cache, and one descriptor.
func TestIdleConnectionStaysSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(operation{}), uintptr(128)) // on 64-bit processors; on others they are smaller
	require.LessOrEqual(t, unsafe.Sizeof(descriptor{}), uintptr(96))
}

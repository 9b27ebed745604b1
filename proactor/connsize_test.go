package proactor

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// An idle connection is its Conn and little else. 256 bytes is a size class of the
// allocator; one byte more would cost 32. What few connections need goes into limits.
func TestConnSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(256))
	}
}

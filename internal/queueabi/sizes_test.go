package queueabi

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct{ entries, completions, wantEntries, wantCompletions uint32 }{
		{0, 0, 1024, 4096},
		{1, 0, 1, 4},
		{1, 2, 1, 2},
		{3, 9, 4, 16},
		{8, 15, 8, 32}, // less than twice as many: the default
		{8, 17, 8, 32},
		{MaxEntries, 0, MaxEntries, 2 * MaxEntries},
		{MaxEntries + 1, math.MaxUint32, MaxEntries, 2 * MaxEntries},
		{math.MaxUint32, 1, MaxEntries, 2 * MaxEntries},
		{1 << 31, 1 << 31, MaxEntries, 2 * MaxEntries},
	} {
		entries, completions := Sizes(c.entries, c.completions)
		require.Equal(t, []uint32{c.wantEntries, c.wantCompletions}, []uint32{entries, completions}, "of %d and %d", c.entries, c.completions)
	}
}

package filereads

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryReaderReads(t *testing.T) {
	o := Options{Path: filepath.Join(t.TempDir(), "data"), Size: 4 << 20, Depths: []int{1, 8}, Duration: 20 * time.Millisecond, Rounds: 1}
	seen := map[string]int{}
	require.NoError(t, Run(t.Context(), o, func(round int, s Sample) {
		require.NotZero(t, s.Reads)
		require.Positive(t, s.CPU)
		seen[s.Reader]++
	}))
	for _, name := range Readers {
		require.Equal(t, 2, seen[name], name)
	}
}

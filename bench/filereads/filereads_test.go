package filereads

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryReaderReads(t *testing.T) {
	t.Run("O_DIRECT", func(t *testing.T) { everyReaderReads(t, false) })
	t.Run("cached", func(t *testing.T) { everyReaderReads(t, true) })
}

func everyReaderReads(t *testing.T, cached bool) {
	o := Options{Path: filepath.Join(t.TempDir(), "data"), Size: 4 << 20, Block: 8192, Depths: []int{1, 8}, Duration: 20 * time.Millisecond, Rounds: 1, Cached: cached}
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

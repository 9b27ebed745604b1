package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A ring that is not used up never becomes larger: that of large buffers begins with fewer
// than others are made smaller to.
func TestCalmPoolDoesNotGrow(t *testing.T) {
	for _, c := range []struct{ floor, target, calm int }{{4, 4, 4}, {32, 32, 32}, {32, 33, 32}, {32, 64, 32}, {32, 1024, 512}, {2, 2, 2}} {
		p := &Pool{limit: 4096, floor: c.floor, target: c.target, inRing: c.target, least: c.target}
		for range calmTurns {
			p.narrow()
		}
		require.Equal(t, c.calm, p.target, "from %d", c.target)
	}
}

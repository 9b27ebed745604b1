package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/stats"
)

func TestChange(t *testing.T) {
	ratio, i := stats.Change([]float64{1, 1.02, 0.98, 1.01, 0.99}, []float64{0.9, 0.91, 0.89, 0.9, 0.92})
	require.InDelta(t, 0.9, ratio, 0.01)
	require.Less(t, i.High, 1.0)
	require.Greater(t, i.Low, 0.8)
	require.LessOrEqual(t, i.Low, ratio)
	require.GreaterOrEqual(t, i.High, ratio)

	_, again := stats.Change([]float64{1, 1.02, 0.98, 1.01, 0.99}, []float64{0.9, 0.91, 0.89, 0.9, 0.92})
	require.Equal(t, i, again, "the same samples give the same interval")

	ratio, _ = stats.Change(nil, []float64{1})
	require.Zero(t, ratio)
	ratio, _ = stats.Change([]float64{0, 0}, []float64{1})
	require.Zero(t, ratio)
	ratio, _ = stats.Change([]float64{math.NaN(), 2}, []float64{1})
	require.InDelta(t, 0.5, ratio, 1e-9)
}

// Where nothing changed, the interval says so at least 95 times in 100, however few rounds
// there were.
func TestChangeIsHonest(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		earlier, later int
		known          bool
	}{{1, 1, false}, {1, 9, false}, {2, 2, false}, {3, 3, false}, {3, 9, true}, {4, 4, true}, {5, 9, true}, {9, 9, true}, {40, 60, true}} {
		t.Run(fmt.Sprintf("%d and %d", c.earlier, c.later), func(t *testing.T) {
			sample := func(n int) (s []float64) {
				for range n {
					s = append(s, 1+0.05*dice.NormFloat64())
				}
				return s
			}
			const trials = 400
			wrong := 0
			for range trials {
				ratio, i := stats.Change(sample(c.earlier), sample(c.later))
				require.Equal(t, c.known, i.Known())
				require.LessOrEqual(t, i.Low, ratio)
				require.GreaterOrEqual(t, i.High, ratio)
				if i.Low > 1 || i.High < 1 {
					wrong++
				}
			}
			require.Less(t, wrong, trials*8/100) // 5 in 100, and what chance adds
		})
	}
}

// A table of Mann and Whitney's test (two sides, 5 %) has these: the interval leaves out as
// many ratios on each side, and one. In large samples it leaves out one less than the table,
// 317 for 30 and 30, as it is approximated there.
func TestChangeKeepsToTheTable(t *testing.T) {
	for _, c := range []struct{ n, m, critical int }{{4, 4, 0}, {5, 5, 2}, {5, 9, 7}, {7, 7, 8}, {9, 9, 17}, {10, 10, 23}, {20, 20, 127}, {30, 30, 316}} {
		var earlier, later []float64
		for i := range c.n {
			earlier = append(earlier, math.Pow(2, float64(i*c.m)))
		}
		for j := range c.m {
			later = append(later, math.Pow(2, float64(j)))
		}
		_, i := stats.Change(earlier, later) // the ratios are powers of two, each a different one
		require.InDelta(t, float64(c.critical-(c.n-1)*c.m), math.Log2(i.Low), 1e-9, "%d and %d", c.n, c.m)
		require.InDelta(t, float64(c.m-1-c.critical), math.Log2(i.High), 1e-9, "%d and %d", c.n, c.m)
	}
}

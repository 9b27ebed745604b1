package stats_test

import (
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

// Where nothing changed, the interval holds 1 about as often as it says.
func TestChangeIsHonest(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	sample := func() []float64 {
		s := make([]float64, 9)
		for i := range s {
			s[i] = 1 + 0.05*dice.NormFloat64()
		}
		return s
	}
	const trials = 300
	wrong := 0
	for range trials {
		if _, i := stats.Change(sample(), sample()); i.Low > 1 || i.High < 1 {
			wrong++
		}
	}
	require.Less(t, wrong, trials/10)
}

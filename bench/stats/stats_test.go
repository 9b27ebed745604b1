package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/stats"
)

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		sample []float64
		want   stats.Spread
	}{
		"none":         {nil, stats.Spread{}},
		"one":          {[]float64{3}, stats.Spread{Median: 3, Min: 3, Max: 3}},
		"odd":          {[]float64{9, 1, 4}, stats.Spread{Median: 4, Min: 1, Max: 9}},
		"even":         {[]float64{4, 1, 9, 2}, stats.Spread{Median: 3, Min: 1, Max: 9}},
		"not a number": {[]float64{math.NaN(), 5}, stats.Spread{Median: 5, Min: 5, Max: 5}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, stats.Of(c.sample)) })
	}
}

func TestOfLeavesSampleAlone(t *testing.T) {
	sample := []float64{3, 1, 2}
	stats.Of(sample)
	require.Equal(t, []float64{3, 1, 2}, sample)
}

func TestRatios(t *testing.T) {
	require.Equal(t, []float64{0.5, 2}, stats.Ratios([]float64{1, 0, 4, 7}, []float64{2, 3, 2}))
}

func TestGeoMean(t *testing.T) {
	require.InDelta(t, 2, stats.GeoMean([]float64{1, 4, 2, 0}), 1e-12)
	require.Zero(t, stats.GeoMean(nil))
}

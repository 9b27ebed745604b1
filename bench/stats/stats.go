// Package stats has the few statistics that the reports use: robust ones, since
// the machine drifts and a round may be disturbed.
package stats

import (
	"fmt"
	"math"
	"slices"
)

// Spread is a sample's median, with its lowest and highest value.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// MarshalJSON writes five digits of each, which is more than was measured.
func (s Spread) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"median":%.5g,"min":%.5g,"max":%.5g}`, s.Median, s.Min, s.Max), nil
}

// Of returns the spread of a sample, leaving out what is not a number; of an
// empty sample, zero.
func Of(sample []float64) Spread {
	s := numbers(sample)
	if len(s) == 0 {
		return Spread{}
	}
	return Spread{Median: median(s), Min: s[0], Max: s[len(s)-1]}
}

// Median returns the median of a sample, leaving out what is not a number; of
// an empty sample, zero.
func Median(sample []float64) float64 { return Of(sample).Median }

func numbers(sample []float64) []float64 {
	s := slices.DeleteFunc(slices.Clone(sample), math.IsNaN)
	slices.Sort(s)
	return s
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Ratios divides a by b round by round. A round that either lacks, as zero or
// not a number, has no ratio.
func Ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}

// GeoMean returns the geometric mean of positive values, zero if there are
// none.
func GeoMean(values []float64) float64 {
	var sum float64
	n := 0
	for _, v := range values {
		if v > 0 {
			sum += math.Log(v)
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return math.Exp(sum / float64(n))
}

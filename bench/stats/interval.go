package stats

import (
	"math/rand/v2"
	"slices"
)

// Interval is where a value lies with a confidence of 95 %.
type Interval struct{ Low, High float64 }

// Change is the ratio of the medians of two samples, later to earlier, with the interval
// that the bootstrap gives: both samples are drawn anew many times, with replacement, and
// the middle 95 % of the ratios are kept. The same samples give the same interval. Zero if
// a sample is empty or its median not positive.
func Change(earlier, later []float64) (ratio float64, i Interval) {
	before, after := numbers(earlier), numbers(later)
	if len(before) == 0 || len(after) == 0 || before[0] <= 0 {
		return 0, Interval{}
	}
	const draws = 4000
	dice := rand.New(rand.NewPCG(uint64(len(before)), uint64(len(after))))
	ratios := make([]float64, draws)
	for n := range ratios {
		ratios[n] = drawn(after, dice) / drawn(before, dice)
	}
	slices.Sort(ratios)
	return median(after) / median(before), Interval{ratios[draws*25/1000], ratios[draws*975/1000-1]}
}

// drawn is the median of a sample drawn from s with replacement.
func drawn(s []float64, dice *rand.Rand) float64 {
	again := make([]float64, len(s))
	for i := range again {
		again[i] = s[dice.IntN(len(s))]
	}
	slices.Sort(again)
	return median(again)
}

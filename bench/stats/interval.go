package stats

import (
	"math"
	"slices"
)

// Interval is where a value lies with a confidence of at least 95 %. Where a sample is too
// small for that, High is infinite and Low zero.
type Interval struct{ Low, High float64 }

// Known reports whether the samples were large enough for an interval.
func (i Interval) Known() bool { return !math.IsInf(i.High, 1) }

// Change is the ratio of two samples, later to earlier: the median of the ratios of each
// value of the one to each of the other (Hodges and Lehmann), with the interval that belongs
// to the test of Mann and Whitney. It assumes nothing about the values but that they are
// independent, and is exact in samples of up to some 20 values. Zero if a sample is empty or has a value that
// is not positive.
func Change(earlier, later []float64) (ratio float64, i Interval) {
	before, after := numbers(earlier), numbers(later)
	if len(before) == 0 || len(after) == 0 || before[0] <= 0 || after[0] <= 0 {
		return 0, Interval{}
	}
	ratios := make([]float64, 0, len(before)*len(after))
	for _, b := range before {
		for _, a := range after {
			ratios = append(ratios, a/b)
		}
	}
	slices.Sort(ratios)
	out := tail(len(before), len(after))
	if out == 0 {
		return median(ratios), Interval{0, math.Inf(1)}
	}
	return median(ratios), Interval{ratios[out-1], ratios[len(ratios)-out]}
}

// exactly is up to which product of the sizes the distribution of U is computed. From there
// on the normal distribution is close, at most one value less, and the other would take long.
const exactly = 500

// tail is how many values of the statistic U of Mann and Whitney, from zero, together have at
// most a probability of 2.5 % if nothing differs, for samples of n and m.
func tail(n, m int) (values int) {
	if n*m > exactly {
		product, size := float64(n)*float64(m), float64(n)+float64(m)
		return max(int(product/2-1.96*math.Sqrt(product*(size+1)/12)), 0)
	}
	sum := 0.0
	for _, probability := range mannWhitney(n, m) {
		if sum += probability; sum > 0.025 {
			break
		}
		values++
	}
	return values
}

// mannWhitney is the distribution of U for samples of n and m of which nothing differs. The
// greatest value is in the one sample or in the other: if in the first, it exceeds all m.
func mannWhitney(n, m int) []float64 {
	rows := make([][]float64, m+1) // of the first sample's size so far, by that of the second
	for j := range rows {
		rows[j] = []float64{1}
	}
	for i := 1; i <= n; i++ {
		next := [][]float64{{1}}
		for j := 1; j <= m; j++ {
			u := make([]float64, i*j+1)
			first := float64(i) / float64(i+j)
			for v, probability := range rows[j] {
				u[v+j] += first * probability
			}
			for v, probability := range next[j-1] {
				u[v] += (1 - first) * probability
			}
			next = append(next, u)
		}
		rows = next
	}
	return rows[m]
}

package proactor

import (
	"math"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
)

// HistogramBuckets is how many buckets a Histogram has.
const HistogramBuckets = engine.LatencyBuckets

// Histogram counts durations by powers of two.
type Histogram struct {
	// Counts has the number of durations in each bucket: those of the i-th are less
	// than HistogramBound(i), and not less than HistogramBound(i-1).
	Counts [HistogramBuckets]uint64

	Sum time.Duration // of all durations
}

// HistogramBound is what durations of the i-th bucket are less than: 256 ns of the
// first, twice as much of each other. The last, of more than 17 s, has the largest
// duration there is.
func HistogramBound(i int) time.Duration {
	if i >= HistogramBuckets-1 {
		return math.MaxInt64
	}
	return engine.LatencyBound(i)
}

// Count is the number of durations.
func (h *Histogram) Count() (n uint64) {
	if h == nil {
		return 0
	}
	for _, k := range h.Counts {
		n += k
	}
	return n
}

// Mean is the mean duration, zero if there is none.
func (h *Histogram) Mean() time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	return h.Sum / time.Duration(n)
}

// Quantile returns a bound that the part q of the durations, 0 to 1, stays below: that
// of the bucket of the quantile, which is at most twice the quantile (256 ns at least).
// It is zero if there is no duration.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(h.Count())))
	if rank == 0 && h.Count() > 0 {
		rank = 1
	}
	for i := 0; rank > 0 && i < HistogramBuckets; i++ {
		if h.Counts[i] >= rank {
			return HistogramBound(i)
		}
		rank -= h.Counts[i]
	}
	return 0
}

// plus adds up; either may be nil.
func (h *Histogram) plus(other *Histogram) *Histogram {
	if h == nil || other == nil {
		if h == nil {
			return other
		}
		return h
	}
	sum := &Histogram{Sum: h.Sum + other.Sum}
	for i := range sum.Counts {
		sum.Counts[i] = h.Counts[i] + other.Counts[i]
	}
	return sum
}

func histogramOf(l *engine.Latencies) *Histogram {
	if l == nil {
		return nil
	}
	h := new(Histogram)
	h.Sum = l.Read(&h.Counts)
	return h
}

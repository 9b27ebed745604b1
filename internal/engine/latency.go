package engine

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Latencies count how long something took, by powers of two. One goroutine records,
// any may read.
type Latencies struct {
	counts [LatencyBuckets]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// LatencyBuckets is how many buckets there are. The first is for what takes less than
// LatencyBound(0), each other for up to twice as long, the last for everything longer.
const LatencyBuckets = 28

// firstBound is the binary logarithm of the first bucket's bound in nanoseconds: 256.
const firstBound = 8

// LatencyBound is what durations of the i-th bucket are less than. The last has none.
func LatencyBound(i int) time.Duration { return 1 << (firstBound + i) }

func bucketOf(d time.Duration) int {
	return min(bits.Len64(uint64(max(d, 0))>>firstBound), LatencyBuckets-1)
}

// record adds to the sum first: see Read.
func (s *Latencies) record(d time.Duration) {
	s.sum.Add(int64(d))
	s.counts[bucketOf(d)].Add(1)
}

// Read copies the counts, and returns the sum: of all that is counted, and perhaps of one
// that is about to be. Any goroutine may call it.
func (s *Latencies) Read(counts *[LatencyBuckets]uint64) (sum time.Duration) {
	for i := range counts {
		counts[i] = s.counts[i].Load()
	}
	return time.Duration(s.sum.Load())
}

// TurnLatency counts for how long turns kept the loop, from the moment when it has
// completions to deliver to the one when it looks for more. It is nil without
// Config.TurnLatency. Any goroutine may call it.
func (l *Loop) TurnLatency() *Latencies { return l.latency }

// turnBegins notes the time, if somebody wants to know.
func (l *Loop) turnBegins() {
	l.turnTime = 0
	if l.latency != nil {
		l.turnTime = l.Now()
	}
}

// turnEnds records the turn, unless that is done.
func (l *Loop) turnEnds(now time.Duration) {
	if l.latency != nil && l.turnTime > 0 {
		l.latency.record(now - l.turnTime)
		l.turnTime = 0
	}
}

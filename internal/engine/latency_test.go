package engine

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatencies(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		bucket int
	}{
		{-1, 0}, {0, 0}, {255, 0}, {256, 1}, {511, 1}, {512, 2},
		{time.Microsecond, 2}, {1024, 3}, {time.Second, 22}, {1<<34 - 1, 26}, {1 << 34, 27}, {time.Hour, 27}, {math.MaxInt64, 27},
	} {
		require.Equal(t, c.bucket, bucketOf(c.d), c.d)
		if c.bucket < LatencyBuckets-1 {
			require.Less(t, c.d, LatencyBound(c.bucket))
		}
		if c.bucket > 0 {
			require.GreaterOrEqual(t, c.d, LatencyBound(c.bucket-1))
		}
	}
	var s Latencies
	s.record(100)
	s.record(300)
	s.record(300)
	var counts [LatencyBuckets]uint64
	require.EqualValues(t, 700, s.Read(&counts))
	require.Equal(t, [LatencyBuckets]uint64{1, 2}, counts)
}

func TestLatenciesAllocateNothing(t *testing.T) {
	var s Latencies
	require.Zero(t, testing.AllocsPerRun(100, func() { s.record(time.Millisecond) }))
}

func BenchmarkLatencies(b *testing.B) {
	var s Latencies
	for b.Loop() {
		s.record(time.Millisecond)
	}
}

package proactor_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestHistogram(t *testing.T) {
	var none *proactor.Histogram
	require.Zero(t, none.Count())
	require.Zero(t, none.Mean())
	require.Zero(t, none.Quantile(0.5))
	h := &proactor.Histogram{Sum: 100 * time.Microsecond}
	require.Zero(t, h.Mean())
	h.Counts[2], h.Counts[5], h.Counts[proactor.HistogramBuckets-1] = 90, 9, 1
	require.EqualValues(t, 100, h.Count())
	require.Equal(t, time.Microsecond, h.Mean())
	for q, want := range map[float64]time.Duration{
		-1: 1024, 0: 1024, 0.5: 1024, 0.9: 1024, 0.91: 8192, 0.99: 8192, 0.991: math.MaxInt64, 1: math.MaxInt64, 2: math.MaxInt64,
	} {
		require.Equal(t, want, h.Quantile(q), q)
	}
}

// Every turn is counted, and one that a callback holds up in a bucket of its length.
func TestTurnLatency(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const held = 20 * time.Millisecond
		require.True(t, rt.Loops()[0].Do(func() {
			for begun := time.Now(); time.Since(begun) < held; {
			}
		}))
		// A loop may turn between the readings of its two counts, as it does at a signal.
		var stats proactor.Stats
		eventually(t, func() bool {
			stats = rt.Stats()
			for _, s := range stats {
				require.NotNil(t, s.TurnLatency)
				if n := s.TurnLatency.Count(); n > s.Turns+1 || n+2 < s.Turns {
					return false
				}
			}
			return stats[0].TurnLatency.Quantile(1) > held
		}, func() string { return fmt.Sprint(stats) })
		total := stats.Total().TurnLatency
		require.Equal(t, stats[0].TurnLatency.Count()+stats[1].TurnLatency.Count(), total.Count())
		require.GreaterOrEqual(t, total.Sum, held)
		here := make(chan proactor.Stats, 1)
		require.True(t, rt.Loops()[1].Do(func() { here <- rt.Stats() }))
		require.NotNil(t, (<-here)[0].TurnLatency)
	}, proactor.WithTurnLatency())
}

func TestTurnLatencyIsOff(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		require.Nil(t, rt.Stats()[0].TurnLatency)
		require.Nil(t, rt.Stats().Total().TurnLatency)
	})
}

// A loop that polls waits too, and that is no turn.
func TestTurnLatencyOfALoopThatPolls(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			_, err := rt.Sleep(2 * time.Millisecond).Await(context.Background())
			require.NoError(t, err)
		}
		for _, s := range rt.Stats() {
			require.Less(t, s.TurnLatency.Mean(), time.Second) // not the poll's minute
		}
	}, proactor.WithTurnLatency(), proactor.WithBusyPoll(time.Minute))
}

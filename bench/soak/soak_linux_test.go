package soak

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestSoak(t *testing.T) {
	c := Config{Seed: 1, Duration: 3 * time.Second, Clients: 4, Replace: time.Second, Progress: func(time.Duration, string) {}}
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
			t.Logf("without %v: %v", b, err)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, rt.Close())
		c.Places = append(c.Places, Place{Backend: b, Loops: 2})
	}
	report, err := Run(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, report.Failures)
	require.NotEmpty(t, report.Episodes)
	var text bytes.Buffer
	require.NoError(t, report.Text(&text))
	require.Contains(t, text.String(), "seed 1, 0 failures")
}

func TestWhatGrowsIsFound(t *testing.T) {
	series := func(first, each int64) (all []Sample) {
		for i := range int64(16) {
			n := first + i*each
			all = append(all, Sample{Goroutines: n, Descriptors: n, InFlight: n, Heap: n << 20, Resident: n << 20})
		}
		return all
	}
	for _, rule := range rules {
		require.True(t, rule.judge(series(100, 0)).Holds, rule.what)
		require.False(t, rule.judge(series(100, 10)).Holds, rule.what)
	}
	for _, rule := range rules {
		samples := series(100, 10)
		for i := range samples {
			samples[i].Buffers = 64 << 20
		}
		require.Equal(t, rule.withBuffers, rule.judge(samples).Holds, "%s that receive buffers may be", rule.what)
	}
}

func TestWrongBytesAreFound(t *testing.T) {
	p := fill(make([]byte, 100), 3, 17)
	require.NoError(t, check(p, 3, 17))
	require.Error(t, check(p, 3, 18))
	p[50]++
	require.ErrorContains(t, readPattern(bytes.NewReader(p), make([]byte, 7), 3, 17, 100), "byte 67 of the stream")
	require.Error(t, readEnd(bytes.NewReader(p)))
}

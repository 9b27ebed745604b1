package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
)

// backendOf is the backend that a contestant of this library needs.
var backendOf = map[contestant.Place]proactor.Backend{
	contestant.OnIOUring: proactor.IOUring,
	contestant.OnEpoll:   proactor.Epoll,
}

// needs skips where there is no such backend. The load generator needs io_uring.
func needs(t *testing.T, backend proactor.Backend) {
	if !slices.Contains(proactortest.Backends(t), backend) {
		t.Skipf("needs %v, which this machine does not have for the reason logged above", backend)
	}
}

// TestWorkloads: each server of each workload that has its own does a short job, whose
// answers the load generator checks.
func TestWorkloads(t *testing.T) {
	needs(t, proactor.IOUring)
	for _, w := range workload.All() {
		if w.Contestants == nil && w.Section != workload.Loops {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			o, err := parse([]string{"-work", w.Name})
			require.NoError(t, err)
			h, err := newHarness(o.serverCore, o.clientCore)
			require.NoError(t, err)
			t.Cleanup(h.close)
			m := newMatch(h, o)
			require.NoError(t, m.prepare(t.Context()))
			for _, c := range m.cells {
				for _, k := range c.playing {
					t.Run(c.Name+" "+k.Name, func(t *testing.T) {
						if backend, ok := backendOf[k.Place]; ok {
							needs(t, backend)
						}
						short(t, m, c, k)
					})
				}
			}
		})
	}
}

// short does a short job.
func short(t *testing.T, m *match, c *cellRun, k contestant.Contestant) {
	job := c.Job()
	job.Conns = min(job.Conns, 16)
	job.Warmup, job.Duration, job.Check = time.Millisecond, 5*time.Millisecond, true
	if c.workload.Static {
		result, err := m.harness.run(t.Context(), k, c.Cell.Cell, job)
		require.NoError(t, err)
		require.Positive(t, result.PerConn)
		return
	}
	result := measured(t, m, c, k, job)
	require.Positive(t, result.Requests)
	require.Positive(t, result.CPU)
	if c.Steady {
		job.Rate = 500
		result := measured(t, m, c, k, job)
		require.Positive(t, result.Requests)
	}
}

// measured does a job in which a request is answered. That takes longer on a machine that
// does something else.
func measured(t *testing.T, m *match, c *cellRun, k contestant.Contestant, job load.Job) *load.Result {
	for ; ; job.Duration *= 4 {
		result, err := m.harness.run(t.Context(), k, c.Cell.Cell, job)
		if job.Duration < 10*time.Second {
			if err != nil && strings.Contains(err.Error(), "no request was answered") {
				continue
			}
			if err == nil && result.Latency.P50 == 0 && c.Unit != "MiB" { // none from its beginning
				continue
			}
			if err == nil && result.CPU == 0 { // the kernel has not yet counted what the server's threads are at
				continue
			}
		}
		require.NoError(t, err)
		return result
	}
}

// TestProcessors: server and load generator have processors of their own as long as there
// are any.
func TestProcessors(t *testing.T) {
	h := &harness{serverCore: 0, clientCore: 1}
	server, client, shared := h.cores(1)
	require.Equal(t, []int{0}, server)
	require.Equal(t, []int{1}, client)
	require.False(t, shared)

	server, client, shared = h.cores(1 << 10)
	require.Equal(t, server, client)
	require.True(t, shared)
	require.Equal(t, 0, server[0])
}

// TestLoops: -loops is for the workloads of several loops, or for the cells given.
func TestLoops(t *testing.T) {
	o, err := parse([]string{"-work", "loops,echo", "-loops", "1,2,4"})
	require.NoError(t, err)
	counts := map[int]int{}
	for _, c := range o.cells {
		counts[c.Loops]++
		if c.Workload == "echo" {
			require.Zero(t, c.Loops)
		}
	}
	require.Equal(t, 3, counts[1])
	require.Equal(t, 3, counts[4])

	o, err = parse([]string{"-size", "64", "-loops", "2"})
	require.NoError(t, err)
	require.Len(t, o.cells, 1)
	require.Equal(t, "echo 64 B × 64, 2 loops", o.cells[0].ID())
}

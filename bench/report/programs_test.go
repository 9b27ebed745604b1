package report_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/workload"
)

// programs is a report of a program in three places, and of one in none: costs in µs.
func programs(cell workload.Cell, unit string, costs map[string][]float64) *report.Report {
	r := &report.Report{Rounds: 2, Seconds: 0.5, Contestants: []report.Contestant{
		{Name: "p-io_uring", Family: "ours", Program: "p", Place: "io_uring"},
		{Name: "p-detached", Family: "ours", Program: "p", Place: "detached"},
		{Name: "p-net", Family: "peer", Program: "p", Place: "net"},
		{Name: "alone", Family: "peer"},
	}}
	c := &report.Cell{Cell: cell, Name: cell.ID(), Unit: unit, Section: workload.Programs, Baseline: "p-net"}
	for _, k := range r.Contestants {
		e := &report.Entry{Contestant: k.Name}
		var rounds []*load.Result
		for _, cost := range costs[k.Name] {
			rounds = append(rounds, &load.Result{Requests: 1000, Elapsed: time.Second, CPU: time.Duration(cost * 1e6)})
		}
		e.Fill(rounds)
		c.Entries = append(c.Entries, e)
	}
	r.Cells = []*report.Cell{c}
	return r
}

func TestProgramTable(t *testing.T) {
	costs := map[string][]float64{"p-net": {10, 20}, "p-io_uring": {9.5, 18}, "p-detached": {10, 20}, "alone": {5, 10}}
	var table bytes.Buffer
	r := programs(workload.Cell{Workload: "http", Size: 13, Conns: 64, Window: 1}, "requests", costs)
	require.NoError(t, r.ProgramTable(&table))
	require.Contains(t, table.String(), "| p | http 13 B × 64 | 15.0 µs/request | 1.00 (1.00–1.00) | **0.93** (0.90–0.95) | – |\n")
	require.NotContains(t, table.String(), "| alone |")

	// What moves bytes has another goal.
	table.Reset()
	r = programs(workload.Cell{Workload: "tls-send", Size: 16 << 20, Conns: 4, Window: 1}, "MiB", costs)
	require.NoError(t, r.ProgramTable(&table))
	require.Contains(t, table.String(), "| 15.0 µs/MiB | 1.00 (1.00–1.00) | 0.93 (0.90–0.95) | – |\n")

	table.Reset()
	delete(costs, "p-io_uring")
	r = programs(workload.Cell{Workload: "http", Size: 13, Conns: 64, Window: 1}, "requests", costs)
	r.Cells[0].Entries[0].Failures = []string{"it fell over"}
	require.NoError(t, r.ProgramTable(&table))
	require.Contains(t, table.String(), "| failed | – |\n")
	require.Contains(t, table.String(), "http 13 B × 64, p-io_uring, failed: it fell over.")
}

// TestBaseline: the usual name finds the baseline of each cell.
func TestBaseline(t *testing.T) {
	r := programs(workload.Cell{Workload: "http", Size: 13, Conns: 64, Window: 1}, "requests",
		map[string][]float64{"p-net": {10, 20}, "p-io_uring": {5, 10}, "alone": {20, 30}})
	c := r.Cells[0]
	require.InDelta(t, 0.5, c.Ratio("p-io_uring", contestant.Baseline).Median, 1e-6)
	require.Same(t, c.Entry("p-net"), c.Entry(contestant.Baseline))
	require.Equal(t, "p-net", r.BestPeer(c))
}

// TestByRate: where that counts ratios are of the time that passed.
func TestByRate(t *testing.T) {
	r := programs(workload.Cell{Workload: "neighbor", Size: 64, Conns: 1, Window: 1}, "messages",
		map[string][]float64{"p-net": {10}, "p-io_uring": {10}})
	c := r.Cells[0]
	c.ByRate = true
	for name, elapsed := range map[string]time.Duration{"p-net": time.Second, "p-io_uring": 2 * time.Second} {
		c.Entry(name).FillWall([]*load.Result{{Requests: 1000, Elapsed: elapsed}})
	}
	require.InDelta(t, 2.0, c.Ratio("p-io_uring", contestant.Baseline).Median, 1e-6)
	var table bytes.Buffer
	require.NoError(t, r.Table(&table))
	require.Contains(t, table.String(), "what counts is messages a second")
}

// TestSteady: latency at shares of its own maximum, the ring's features and shared
// processors are in the table.
func TestSteady(t *testing.T) {
	r := sample(0.8, 0.7)
	r.Cells[0].Shared = true
	for i, share := range []float64{0.5, 0.8} {
		rounds := []*load.Result{{Latency: load.Latency{P50: time.Duration(1+i) * 111 * time.Microsecond}}}
		e := r.Cells[0].Entry("mine")
		e.Steady = append(e.Steady, &report.OpenLoop{Rate: 1000, Share: share, Latency: report.PercentilesOf(rounds)})
	}
	r.Ring = report.Ring{Features: []report.Feature{
		{Name: "multishot accept", Since: "5.19"},
		{Name: "ring resize", Since: "6.13", Missing: "invalid argument"},
	}}
	var table bytes.Buffer
	require.NoError(t, r.Table(&table))
	for _, want := range []string{
		"50 %: p50 µs", "111.0", "222.0", "shared their processors",
		"io_uring has multishot accept.", "io_uring lacks ring resize (Linux 6.13: invalid argument).",
	} {
		require.Contains(t, table.String(), want)
	}
}

// TestThisRing: each feature that is missing says why.
func TestThisRing(t *testing.T) {
	ring := report.ThisRing()
	require.NotEmpty(t, ring.Unusable+ringText(ring))
}

func ringText(r report.Ring) (text string) {
	for _, f := range r.Features {
		text += f.Name
	}
	return text
}

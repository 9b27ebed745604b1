package report_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/workload"
)

// sample is a report of three contestants; cost is that of "mine" in a cell,
// relative to net, round by round.
func sample(cost ...float64) *report.Report {
	r := &report.Report{
		Schema:  report.Schema,
		Date:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Machine: report.ThisMachine(0, 1),
		Rounds:  len(cost),
		Seconds: 0.5,
		Contestants: []report.Contestant{
			{Name: "mine", Family: "ours", Ceiling: "c-epoll"},
			{Name: "net", Family: "peer", Ceiling: "c-epoll"},
			{Name: "other", Family: "peer", Ceiling: "c-epoll"},
			{Name: "c-epoll", Family: "ceiling", Ceiling: "c-epoll"},
		},
		Notes: []string{"nobody is left out"},
	}
	for _, c := range []workload.Cell{
		{Workload: "echo", Size: 64, Conns: 64, Window: 1},
		{Workload: "echo", Size: 1 << 10, Conns: 64, Window: 16},
		{Workload: "idle", Size: 64, Conns: 64, Window: 1},
		{Workload: "idle", Size: 64, Conns: 64, Window: 1, Idle: 1000},
		{Workload: "memory", Size: 64, Conns: 10000, Window: 1},
	} {
		cell := &report.Cell{Cell: c, Name: c.ID(), Unit: "messages"}
		for _, k := range r.Contestants {
			e := &report.Entry{Contestant: k.Name}
			if k.Name == "other" && c.Idle > 0 {
				e.LeftOut = "it does not like idlers"
				cell.Entries = append(cell.Entries, e)
				continue
			}
			var rounds []*load.Result
			for i, relative := range cost {
				drift := 1000 * float64(1+i) // the machine is slower in each round
				factor := map[string]float64{"mine": relative, "net": 1, "other": 0.9, "c-epoll": 0.6}[k.Name]
				result := &load.Result{
					Requests: 1000, Elapsed: time.Second, CPU: time.Duration(1000 * drift * factor),
					User: time.Millisecond, System: 3 * time.Millisecond, RSS: 8_000_000,
					Latency: load.Latency{P50: 10 * time.Microsecond, P99: time.Millisecond, P999: 10 * time.Millisecond},
				}
				if c.Workload == "memory" {
					result.CPU, result.PerConn = 0, 600
				}
				rounds = append(rounds, result)
			}
			e.Fill(rounds)
			if c.Window == 16 {
				e.Open = &report.OpenLoop{Rate: 50000, Latency: report.PercentilesOf(rounds), Missed: 30000}
			}
			cell.Entries = append(cell.Entries, e)
		}
		r.Cells = append(r.Cells, cell)
	}
	return r
}

func TestRatios(t *testing.T) {
	r := sample(0.8, 0.7, 0.9)
	c := r.Cells[0]
	require.InDelta(t, 0.8, c.Ratio("mine", "net").Median, 1e-6)
	require.InDelta(t, 0.7, c.Ratio("mine", "net").Min, 1e-6)
	require.Equal(t, "other", r.BestPeer(c))
	require.InDelta(t, 0.8/0.9, c.Ratio("mine", r.BestPeer(c)).Median, 1e-6)
	require.Zero(t, c.Ratio("mine", "nobody").Median)
	mean, cells := r.Mean("echo", "mine", func(*report.Cell) string { return "net" })
	require.InDelta(t, 0.8, mean, 1e-6)
	require.Equal(t, 2, cells)
	require.Equal(t, "net", r.BestPeer(r.Cells[3]))
}

func TestFailedRoundHasNoRatio(t *testing.T) {
	r := sample(0.5, 0.5)
	a, b := r.Cells[0].Entry("mine"), r.Cells[0].Entry("net")
	a.CPU, b.CPU = []float64{0, 100, 90}, []float64{50, 200, 0}
	require.InDelta(t, 0.5, r.Cells[0].Ratio("mine", "net").Max, 1e-9)
	require.InDelta(t, 95, a.CPUSpread().Median, 1e-9)
}

func TestRoundTrip(t *testing.T) {
	r := sample(0.8, 0.7)
	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, r.Write(path))
	back, err := report.Load(path)
	require.NoError(t, err)
	require.Equal(t, r, back)
}

func TestLoadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	for text, want := range map[string]string{
		`{"schema": 99}`: "schema 99",
		`nonsense`:       "invalid character",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := report.Load(path)
		require.ErrorContains(t, err, want)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, sample(0.8, 0.8).Table(&b))
	text := b.String()
	for _, want := range []string{
		"echo 64 B × 64\n", "echo 1 KiB × 64, 16 deep\n", "idle 64 B × 64, 1000 idle\n",
		"other left out: it does not like idlers", "0.80", "0.89", "1.33", "geometric mean", "600",
		"note: nobody is left out", "fell behind",
	} {
		require.Contains(t, text, want)
	}
}

func TestCharts(t *testing.T) {
	charts, err := sample(0.8, 0.8).Charts()
	require.NoError(t, err)
	var names []string
	for _, c := range charts {
		names = append(names, c.Name)
		wellFormed(t, c.SVG)
	}
	require.Equal(t, []string{"echo-mean", "echo-mean-dark", "idle-scaling", "idle-scaling-dark"}, names)
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []float64
		want          []string
		not           []string
	}{
		"better": {[]float64{0.8, 0.82, 0.81, 0.8}, []float64{0.6, 0.61, 0.59, 0.6},
			[]string{"0.742", "of before: better"}, []string{"worse", "machines differ"}},
		"worse": {[]float64{0.8, 0.82, 0.81, 0.8}, []float64{0.9, 0.91, 0.92, 0.9},
			[]string{"of before: worse"}, []string{"better"}},
		"the same": {[]float64{0.8, 0.9, 0.85, 0.84}, []float64{0.85, 0.86, 0.84, 0.83},
			[]string{"of before: no difference seen"}, []string{"better", "worse"}},
		"one round": {[]float64{0.8}, []float64{0.4},
			[]string{"too few rounds to tell"}, []string{"better", "worse", "no difference"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, report.Compare(&b, sample(c.before...), sample(c.after...)))
			for _, want := range c.want {
				require.Contains(t, b.String(), want)
			}
			for _, not := range c.not {
				require.NotContains(t, b.String(), not)
			}
		})
	}
	other := sample(0.8)
	other.Cells = nil
	require.ErrorContains(t, report.Compare(io.Discard, sample(0.8), other), "in common")
}

// Without the baseline times are compared, and the comparison says so.
func TestCompareWithoutBaseline(t *testing.T) {
	before := sample(0.8, 0.8, 0.8, 0.8)
	for _, c := range before.Cells {
		c.Entries = slices.DeleteFunc(c.Entries, func(e *report.Entry) bool { return e.Contestant == "net" })
	}
	var b bytes.Buffer
	require.NoError(t, report.Compare(&b, before, sample(0.8, 0.8, 0.8, 0.8)))
	require.Contains(t, b.String(), "net is not in both reports")
	b.Reset()
	require.NoError(t, report.Compare(&b, sample(0.8), sample(0.8)))
	require.NotContains(t, b.String(), "not in both")
}

// A comparison says in what the machines differ, and only if they do.
func TestCompareNamesMachines(t *testing.T) {
	for want, change := range map[string]func(*report.Machine){
		", then Linux 9.9;":    func(m *report.Machine) { m.Kernel = "9.9" },
		", then go9;":          func(m *report.Machine) { m.Go = "go9" },
		", then a faster one;": func(m *report.Machine) { m.CPU = "a faster one" },
		", then 99 cores;":     func(m *report.Machine) { m.Cores = 99 },
		"load on 1, then server on core 0 and load on 5;": func(m *report.Machine) { m.Client = 5 },
	} {
		var b bytes.Buffer
		later := sample(0.8)
		change(&later.Machine)
		require.NoError(t, report.Compare(&b, sample(0.8), later))
		require.Contains(t, b.String(), "the machines differ: ")
		require.Contains(t, b.String(), want)
	}
	var b bytes.Buffer
	later := sample(0.8)
	later.Machine.Memory += 1 << 20
	require.NoError(t, report.Compare(&b, sample(0.8), later))
	require.NotContains(t, b.String(), "machines differ")
}

// The README's table is the committed report's, and so are its charts.
func TestReadmeShowsTheReport(t *testing.T) {
	r, err := report.Load("../../docs/benchmark/report.json")
	require.NoError(t, err)
	var table strings.Builder
	require.NoError(t, r.Summary(&table))
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), table.String(), "print it anew: go -C bench run . report -summary ../docs/benchmark/report.json")
	charts, err := r.Charts()
	require.NoError(t, err)
	for _, name := range []string{"echo-mean", "echo-mean-dark", "idle-scaling", "idle-scaling-dark"} {
		i := slices.IndexFunc(charts, func(c report.Chart) bool { return c.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		drawn, err := os.ReadFile("../../docs/benchmark/" + name + ".svg")
		require.NoError(t, err)
		require.Equal(t, string(charts[i].SVG), string(drawn), "draw it anew: go -C bench run . report -o DIR ../docs/benchmark/report.json")
		require.Contains(t, string(readme), "docs/benchmark/"+name+".svg")
	}
}

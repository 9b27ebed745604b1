// Package report keeps what was measured, and shows it: a table for the
// terminal, report.json, a self-contained report.html, and the comparison of
// two reports.
//
// The types to know are [Report], a whole benchmark; [Cell], one point of a
// workload; and [Entry], one contestant's figures in it.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/stats"
	"github.com/goproactor/goproactor/bench/workload"
)

// Schema is the version of the format of report.json.
const Schema = 1

// Report is a whole benchmark.
type Report struct {
	Schema      int           `json:"schema"`
	Date        time.Time     `json:"date"`
	Command     string        `json:"command"`
	Machine     Machine       `json:"machine"`
	Rounds      int           `json:"rounds"`
	Seconds     float64       `json:"seconds"` // measured in each round
	Contestants []Contestant  `json:"contestants"`
	Cells       []*Cell       `json:"cells"`
	Notes       []string      `json:"notes,omitempty"` // what was left out, and why
	Ring        Ring          `json:"ring"`
	Took        time.Duration `json:"took"`
}

// Machine is where it ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Server int    `json:"server_core"`
	Client int    `json:"client_core"`
}

// Contestant is one server.
type Contestant struct {
	Name    string `json:"name"`
	Family  string `json:"family"`
	About   string `json:"about"`
	Ceiling string `json:"ceiling,omitempty"` // the contestant of the ceiling it is held against
	Program string `json:"program,omitempty"` // which server it is, of those that run in several places
	Place   string `json:"place,omitempty"`   // where it runs: net, detached, io_uring, epoll
}

// Cell is one point of a workload, with every contestant's figures.
type Cell struct {
	workload.Cell
	Name    string           `json:"name"`
	Unit    string           `json:"unit"`
	Section workload.Section `json:"section,omitempty"`

	// Baseline is the contestant that ratios refer to, empty for the usual one.
	Baseline string `json:"baseline,omitempty"`

	// ByRate says that ratios are of Entry.Wall, not of Entry.CPU.
	ByRate bool `json:"by_rate,omitempty"`

	// Shared says that server and load generator had to share their processors.
	Shared bool `json:"shared,omitempty"`

	Entries []*Entry `json:"entries"`
}

// Entry is one contestant's figures in a cell.
type Entry struct {
	Contestant string   `json:"contestant"`
	LeftOut    string   `json:"left_out,omitempty"` // why it was not measured
	Failures   []string `json:"failures,omitempty"` // rounds that failed, and why

	// CPU is the server's processor time per request in nanoseconds, round by
	// round; zero for a round that failed.
	CPU []float64 `json:"cpu_ns"`

	// Wall is the time in nanoseconds that passed for a request, likewise, where that
	// is what counts: see Cell.ByRate.
	Wall []float64 `json:"wall_ns,omitempty"`

	User       stats.Spread `json:"user_ns"`
	System     stats.Spread `json:"system_ns"`
	Throughput stats.Spread `json:"per_second"`
	Closed     Percentiles  `json:"latency"` // under full load, from sending to answer
	Open       *OpenLoop    `json:"open_loop,omitempty"`
	Steady     []*OpenLoop  `json:"steady,omitempty"` // at shares of the contestant's own maximum
	Switches   stats.Spread `json:"switches"`         // context switches per request
	RSS        stats.Spread `json:"rss"`              // bytes
	PerConn    stats.Spread `json:"bytes_per_conn"`
	ClientBusy stats.Spread `json:"client_busy"`           // share of its core that the generator used
	Syscalls   float64      `json:"syscalls,omitempty"`    // per request
	Allocs     *float64     `json:"allocs,omitempty"`      // per request, of Go servers that tell
	AllocBytes *float64     `json:"alloc_bytes,omitempty"` // per request
}

// Percentiles of latencies in nanoseconds: each the spread over the rounds.
type Percentiles struct {
	P50  stats.Spread `json:"p50_ns"`
	P99  stats.Spread `json:"p99_ns"`
	P999 stats.Spread `json:"p999_ns"`
}

// OpenLoop is the latency at a constant rate, counted from when each message
// was due.
type OpenLoop struct {
	Rate     float64     `json:"rate"`            // messages a second
	Share    float64     `json:"share,omitempty"` // of the contestant's own maximum
	Latency  Percentiles `json:"latency"`
	Missed   int         `json:"missed,omitempty"` // messages without an answer when their round ended
	Failures []string    `json:"failures,omitempty"`
}

// Measured reports whether there is a figure at all.
func (e *Entry) Measured() bool { return stats.Of(e.positiveCPU()).Median > 0 || e.PerConn.Median > 0 }

func (e *Entry) positiveCPU() []float64 {
	var p []float64
	for _, v := range e.CPU {
		if v > 0 {
			p = append(p, v)
		}
	}
	return p
}

// CPUSpread is the spread of CPU over the rounds that gave a figure.
func (e *Entry) CPUSpread() stats.Spread { return stats.Of(e.positiveCPU()) }

// Fill sets the figures from the results of the rounds, nil for one that
// failed.
func (e *Entry) Fill(rounds []*load.Result) {
	e.CPU = make([]float64, len(rounds))
	per := func(f func(r *load.Result) float64) stats.Spread {
		var sample []float64
		for _, r := range rounds {
			if r != nil {
				sample = append(sample, f(r))
			}
		}
		return stats.Of(sample)
	}
	request := func(f func(r *load.Result) float64) stats.Spread {
		return per(func(r *load.Result) float64 { return f(r) / max(r.Requests, 1) })
	}
	for i, r := range rounds {
		if r != nil && r.Requests > 0 {
			e.CPU[i] = perRequest(r.CPU, r)
		}
	}
	e.User = request(func(r *load.Result) float64 { return float64(r.User) })
	e.System = request(func(r *load.Result) float64 { return float64(r.System) })
	e.Switches = request(func(r *load.Result) float64 { return float64(r.Voluntary + r.Involuntary) })
	e.Throughput = per(func(r *load.Result) float64 { return r.Requests / max(r.Elapsed.Seconds(), 1e-9) })
	e.RSS = per(func(r *load.Result) float64 { return float64(r.RSS) })
	e.PerConn = per(func(r *load.Result) float64 { return float64(r.PerConn) })
	e.ClientBusy = per(func(r *load.Result) float64 { return float64(r.ClientCPU) / float64(max(r.Elapsed, 1)) })
	e.Closed = PercentilesOf(rounds)
}

// FillWall sets Wall.
func (e *Entry) FillWall(rounds []*load.Result) {
	e.Wall = make([]float64, len(rounds))
	for i, r := range rounds {
		if r != nil && r.Requests > 0 {
			e.Wall[i] = perRequest(r.Elapsed, r)
		}
	}
}

// perRequest is in nanoseconds, to two decimals.
func perRequest(d time.Duration, r *load.Result) float64 {
	return math.Round(100*float64(d)/r.Requests) / 100
}

// PercentilesOf gathers the latencies of the rounds.
func PercentilesOf(rounds []*load.Result) Percentiles {
	var p50, p99, p999 []float64
	for _, r := range rounds {
		if r != nil {
			p50 = append(p50, float64(r.Latency.P50))
			p99 = append(p99, float64(r.Latency.P99))
			p999 = append(p999, float64(r.Latency.P999))
		}
	}
	return Percentiles{stats.Of(p50), stats.Of(p99), stats.Of(p999)}
}

// Entry finds a contestant's figures, nil if it has none. The name of the usual baseline
// finds the cell's own.
func (c *Cell) Entry(name string) *Entry {
	if name == contestant.Baseline && c.Baseline != "" {
		name = c.Baseline
	}
	for _, e := range c.Entries {
		if e.Contestant == name && e.Measured() {
			return e
		}
	}
	return nil
}

// Find finds a contestant of the report.
func (r *Report) Find(name string) (Contestant, bool) {
	for _, c := range r.Contestants {
		if c.Name == name {
			return c, true
		}
	}
	return Contestant{}, false
}

// Cell finds a cell by its name, nil if the report has none.
func (r *Report) Cell(name string) *Cell {
	for _, c := range r.Cells {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Write writes report.json.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Load reads a report.json.
func Load(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: schema %d, this program reads %d", path, r.Schema, Schema)
	}
	return r, nil
}

// HasNote reports whether a note mentions the text.
func (r *Report) HasNote(text string) bool {
	return slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, text) })
}

package report

import (
	"fmt"
	"slices"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// grid is a table as both the terminal and the page show it.
type grid struct {
	Title string
	Heads []string
	Rows  [][]string
	Below []string // remarks
}

// none stands where there is no figure.
const none = "–"

// column is one figure of a contestant.
type column struct {
	head string
	of   func(*Entry) string
}

// columns are the figures of a cell. Those nobody has are not shown.
func (r *Report) columns(c *Cell) []column {
	best := r.BestPeer(c)
	spread := func(f func(*Entry) stats.Spread, format func(float64) string) func(*Entry) string {
		return func(e *Entry) string { return format(f(e).Median) }
	}
	open := func(f func(Percentiles) stats.Spread) func(*Entry) string {
		return func(e *Entry) string {
			if e.Open == nil {
				return none
			}
			return micro(f(e.Open.Latency).Median)
		}
	}
	return []column{
		{"CPU µs", spread((*Entry).CPUSpread, micro)},
		{"lowest–highest", func(e *Entry) string {
			s := e.CPUSpread()
			if s.Median == 0 {
				return none
			}
			return micro(s.Min) + "–" + micro(s.Max)
		}},
		{"user %", func(e *Entry) string { return percent(e.User.Median, e.User.Median+e.System.Median) }},
		{"×net", func(e *Entry) string { return ratio(c.Ratio(e.Contestant, contestant.Baseline)) }},
		{"×peer", func(e *Entry) string { return ratio(c.Ratio(e.Contestant, best)) }},
		{"×C", func(e *Entry) string {
			k, _ := r.Find(e.Contestant)
			return ratio(c.Ratio(e.Contestant, k.Ceiling))
		}},
		{c.Unit + "/s", spread(func(e *Entry) stats.Spread { return e.Throughput }, count)},
		{"p50 µs", spread(func(e *Entry) stats.Spread { return e.Closed.P50 }, micro)},
		{"p99", spread(func(e *Entry) stats.Spread { return e.Closed.P99 }, micro)},
		{"p99.9", spread(func(e *Entry) stats.Spread { return e.Closed.P999 }, micro)},
		{"steady p50 µs", open(func(p Percentiles) stats.Spread { return p.P50 })},
		{"p99", open(func(p Percentiles) stats.Spread { return p.P99 })},
		{"p99.9", open(func(p Percentiles) stats.Spread { return p.P999 })},
		{"50 %: p50 µs", steady(0.5, func(p Percentiles) stats.Spread { return p.P50 })},
		{"p99", steady(0.5, func(p Percentiles) stats.Spread { return p.P99 })},
		{"p99.9", steady(0.5, func(p Percentiles) stats.Spread { return p.P999 })},
		{"80 %: p50 µs", steady(0.8, func(p Percentiles) stats.Spread { return p.P50 })},
		{"p99", steady(0.8, func(p Percentiles) stats.Spread { return p.P99 })},
		{"p99.9", steady(0.8, func(p Percentiles) stats.Spread { return p.P999 })},
		{"syscalls", func(e *Entry) string { return some(e.Syscalls, "%.2f") }},
		{"allocs", func(e *Entry) string {
			if e.Allocs == nil {
				return none
			}
			return fmt.Sprintf("%.3f", *e.Allocs)
		}},
		{"switches", func(e *Entry) string { return some(e.Switches.Median, "%.3f") }},
		{"RSS MiB", func(e *Entry) string { return some(e.RSS.Median/(1<<20), "%.1f") }},
		{"bytes/connection", func(e *Entry) string { return some(e.PerConn.Median, "%.0f") }},
		{"load %", func(e *Entry) string { return some(100*e.ClientBusy.Median, "%.0f") }},
	}
}

// steady is the latency at a share of the contestant's own maximum.
func steady(share float64, f func(Percentiles) stats.Spread) func(*Entry) string {
	return func(e *Entry) string {
		for _, o := range e.Steady {
			if o.Share == share {
				return micro(f(o.Latency).Median)
			}
		}
		return none
	}
}

// grid makes the table of a cell.
func (r *Report) grid(c *Cell) grid {
	var entries []*Entry
	for _, e := range c.Entries {
		if e.LeftOut == "" && e.Measured() {
			entries = append(entries, e)
		}
	}
	g := grid{Title: c.Name, Heads: []string{""}, Rows: make([][]string, len(entries))}
	for i, e := range entries {
		g.Rows[i] = []string{e.Contestant}
	}
	for _, col := range r.columns(c) {
		var values []string
		for _, e := range entries {
			values = append(values, col.of(e))
		}
		if !slices.ContainsFunc(values, func(v string) bool { return v != none }) {
			continue
		}
		g.Heads = append(g.Heads, col.head)
		for i, v := range values {
			g.Rows[i] = append(g.Rows[i], v)
		}
	}
	for _, e := range c.Entries {
		switch {
		case e.LeftOut != "":
			g.Below = append(g.Below, fmt.Sprintf("%s left out: %s", e.Contestant, e.LeftOut))
		case len(e.Failures) > 0:
			g.Below = append(g.Below, fmt.Sprintf("%s failed in %d of %d rounds: %s", e.Contestant, len(e.Failures), max(len(e.CPU), len(e.Failures)), e.Failures[0]))
		}
		for _, o := range append([]*OpenLoop{e.Open}, e.Steady...) {
			g.Below = append(g.Below, r.openLoopRemarks(c, e, o)...)
		}
	}
	if c.ByRate {
		g.Below = append(g.Below, fmt.Sprintf("ratios are of the time that passed, not of processor time: what counts is %s a second", c.Unit))
	}
	if c.Shared {
		g.Below = append(g.Below, "the server and the load generator shared their processors: there are no more")
	}
	return g
}

// openLoopRemarks say how an open loop went wrong.
func (r *Report) openLoopRemarks(c *Cell, e *Entry, o *OpenLoop) (lines []string) {
	if o == nil {
		return nil
	}
	if len(o.Failures) > 0 {
		lines = append(lines, fmt.Sprintf("%s failed at %s %s a second: %s", e.Contestant, count(o.Rate), c.Unit, o.Failures[0]))
	}
	// A few are always on the way.
	if r.Rounds > 0 && float64(o.Missed) > 0.01*o.Rate*r.Seconds*float64(r.Rounds) {
		lines = append(lines, fmt.Sprintf("%s fell behind %s %s a second: %d had no answer when a round ended", e.Contestant, count(o.Rate), c.Unit, o.Missed/r.Rounds))
	}
	return lines
}

// means makes the table of the geometric means over a workload's cells; without
// rows if there are fewer than two.
func (r *Report) means(workload string) grid {
	g := grid{
		Title: workload + ": geometric mean of the ratios over the cells",
		Heads: []string{"", "×net", "×peer", "×C", "cells"},
	}
	for _, k := range r.Contestants {
		net, n := r.Mean(workload, k.Name, func(*Cell) string { return contestant.Baseline })
		peer, m := r.Mean(workload, k.Name, r.BestPeer)
		c, l := r.Mean(workload, k.Name, func(*Cell) string { return k.Ceiling })
		if n = max(n, m, l); n >= 2 {
			g.Rows = append(g.Rows, []string{k.Name, some(net, "%.2f"), some(peer, "%.2f"), some(c, "%.2f"), fmt.Sprint(n)})
		}
	}
	return g
}

// grids are all tables, in order: each workload's cells, then its means.
func (r *Report) grids() []grid {
	var all []grid
	for _, name := range r.workloads() {
		for _, c := range r.Cells {
			if c.Workload == name {
				all = append(all, r.grid(c))
			}
		}
		if g := r.means(name); len(g.Rows) > 0 {
			all = append(all, g)
		}
	}
	return all
}

func (r *Report) workloads() []string {
	var names []string
	for _, c := range r.Cells {
		if !slices.Contains(names, c.Workload) {
			names = append(names, c.Workload)
		}
	}
	return names
}

// legend says what the tables show.
func (r *Report) legend() []string {
	m := r.Machine
	lines := []string{
		fmt.Sprintf("%s, %d cores, %.0f GiB, Linux %s, %s, %s", m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, m.Go, r.Date.Format("2006-01-02 15:04")),
		fmt.Sprintf("Server alone on core %d, load on core %d; %d rounds of %.2g s, all contestants in turn in each.", m.Server, m.Client, r.Rounds, r.Seconds),
		"CPU µs: processor time of the server per request, median over the rounds. Ratios are taken within a round, then their median:",
		"×net to standard net, ×peer to the best peer of the cell, ×C to the C server on the same interface (io_uring or epoll).",
		"p50 … p99.9: latency under full load; steady: at a constant rate, counted from when each message was due; 50 % and 80 %: likewise, at that share of the server's own maximum. Per request: syscalls, allocs, switches (context switches).",
	}
	return append(lines, r.Ring.lines()...)
}

func micro(ns float64) string {
	switch us := ns / 1000; {
	case us == 0:
		return none
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 1000:
		return fmt.Sprintf("%.1f", us)
	default:
		return fmt.Sprintf("%.0f", us)
	}
}

func ratio(s stats.Spread) string { return some(s.Median, "%.2f") }

func some(v float64, format string) string {
	if v == 0 {
		return none
	}
	return fmt.Sprintf(format, v)
}

func percent(part, whole float64) string {
	if whole == 0 {
		return none
	}
	return fmt.Sprintf("%.0f", 100*part/whole)
}

func count(v float64) string {
	switch {
	case v == 0:
		return none
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.1fk", v/1e3)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

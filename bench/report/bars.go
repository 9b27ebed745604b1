package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/workload"
)

// barList is a list of bars, the best first.
type barList struct {
	Title, Note string
	Heads       []string // of the figures beside each bar
	Bars        []bar
	Mark        string // where the baseline is, a length in CSS; empty if nowhere
}

// bar is one server's.
type bar struct {
	Name, Family string
	Ours         bool
	Width        string // a length in CSS
	Figures      []string
	value        float64
}

// add adds a bar for a contestant. What was not measured has none.
func (l *barList) add(k Contestant, value float64, figures ...string) {
	if value > 0 {
		l.Bars = append(l.Bars, bar{Name: k.short(), Family: k.Family, Ours: k.ours(), Figures: figures, value: value})
	}
}

// finish sorts and scales. mark is the baseline's value, zero for none.
func (l *barList) finish(descending, logarithmic bool, mark float64) {
	slices.SortStableFunc(l.Bars, func(a, b bar) int {
		if descending {
			a, b = b, a
		}
		return cmp.Compare(a.value, b.value)
	})
	if len(l.Bars) == 0 {
		return
	}
	least, most := l.Bars[0].value, l.Bars[len(l.Bars)-1].value
	least, most = min(least, most), max(least, most)
	// Beyond three times the middle the bars of the others would say nothing.
	if !logarithmic {
		most = min(most, 3*l.Bars[len(l.Bars)/2].value)
	}
	length := func(v float64) string {
		share := v / most
		if logarithmic {
			share = (math.Log(v/least) + 0.4) / (math.Log(most/least) + 0.4)
		}
		return fmt.Sprintf("%.1f%%", 100*min(share, 1))
	}
	for i := range l.Bars {
		l.Bars[i].Width = length(l.Bars[i].value)
	}
	if mark > 0 && mark < most {
		l.Mark = length(mark)
	}
}

// inWords tells the bars, for those who do not see them.
func (l *barList) inWords() string {
	var all []string
	for _, b := range l.Bars {
		all = append(all, b.Name+" "+b.Figures[0])
	}
	return strings.Join(all, ", ")
}

// meanBars are the means over the cells of the echo.
func (r *Report) meanBars() (l barList) {
	l = barList{
		Title: "The mean of the echo cells",
		Note:  "Processor time of the server per message relative to package net (the line), geometric mean over the cells. Less is better.",
		Heads: []string{"×net", "cells"},
	}
	cells := 0
	for _, c := range r.Cells {
		cells += b2i(c.Workload == "echo")
	}
	for _, k := range r.Contestants {
		if mean, n := r.Mean("echo", k.Name, (*Cell).baselineName); 2*n > cells {
			l.add(k, mean, fmt.Sprintf("%.2f", mean), fmt.Sprintf("%d of %d", n, cells))
		}
	}
	l.finish(false, false, 1)
	return l
}

// baselineName is the contestant that the cell's ratios refer to.
func (c *Cell) baselineName() string { return cmp.Or(c.Baseline, contestant.Baseline) }

// latencyBars are the latencies at a constant rate of each cell that has some: at shares of
// each server's own maximum, or at the same rate for all.
func (r *Report) latencyBars() (all []barList) {
	for _, c := range r.Cells {
		for _, share := range c.shares() {
			all = append(all, r.latencyAt(c, share))
		}
	}
	return slices.DeleteFunc(all, func(l barList) bool { return len(l.Bars) == 0 })
}

// shares are those of its own maximum at which a server was measured; 0 is the same rate
// for all.
func (c *Cell) shares() (shares []float64) {
	for _, e := range c.Entries {
		for _, o := range e.openLoops() {
			if !slices.Contains(shares, o.Share) {
				shares = append(shares, o.Share)
			}
		}
	}
	slices.Sort(shares)
	return shares
}

func (e *Entry) openLoops() []*OpenLoop {
	if e.Open == nil {
		return e.Steady
	}
	return append([]*OpenLoop{e.Open}, e.Steady...)
}

func (r *Report) latencyAt(c *Cell, share float64) barList {
	l := barList{
		Title: c.Name,
		Note:  fmt.Sprintf("at %.0f %% of each server's own maximum", 100*share),
		Heads: []string{"p99 µs", "p50", "p99.9"},
	}
	for _, e := range c.Entries {
		for _, o := range e.openLoops() {
			if o.Share != share {
				continue
			}
			if share == 0 {
				l.Note = fmt.Sprintf("at %s %s a second for all", count(o.Rate), c.Unit)
			}
			p := o.Latency
			k, _ := r.Find(e.Contestant)
			l.add(k, p.P99.Median, micro(p.P99.Median), micro(p.P50.Median), micro(p.P999.Median))
		}
	}
	l.finish(false, true, 0)
	return l
}

// idleBars are the costs of a message beside the most idle connections.
func (r *Report) idleBars() (all []barList) {
	cells := r.idleCells()
	if len(cells) == 0 {
		return nil
	}
	first, last := cells[0], cells[len(cells)-1]
	l := barList{
		Title: fmt.Sprintf("Beside %d idle connections", last.Idle),
		Note:  "Processor time of the server per message, on a logarithmic scale. Less is better.",
		Heads: []string{"µs"},
	}
	if first != last {
		l.Heads = append(l.Heads, fmt.Sprintf("beside %d", first.Idle))
	}
	for _, e := range last.Entries {
		k, _ := r.Find(e.Contestant)
		l.add(k, cost(last, k), micro(cost(last, k)), micro(cost(first, k)))
	}
	for i := range l.Bars {
		l.Bars[i].Figures = l.Bars[i].Figures[:len(l.Heads)]
	}
	l.finish(false, true, 0)
	return nonEmpty(l)
}

// idleCells are those with more and more idle connections.
func (r *Report) idleCells() (cells []*Cell) {
	for _, c := range r.Cells {
		if c.Workload == "idle" {
			cells = append(cells, c)
		}
	}
	slices.SortStableFunc(cells, func(a, b *Cell) int { return a.Idle - b.Idle })
	return cells
}

// memoryBars are what an idle connection costs.
func (r *Report) memoryBars() (all []barList) {
	for _, c := range r.sectionCells(workload.Idle) {
		l := barList{Title: "Memory of an idle connection", Note: c.Name, Heads: []string{"bytes"}}
		for _, e := range c.Entries {
			k, _ := r.Find(e.Contestant)
			l.add(k, e.PerConn.Median, fmt.Sprintf("%.0f", e.PerConn.Median))
		}
		if l.finish(false, true, 0); len(l.Bars) > 0 {
			all = append(all, l)
		}
	}
	return all
}

// throughputBars are the cells with several loops.
func (r *Report) throughputBars() (all []barList) {
	for _, c := range r.sectionCells(workload.Loops) {
		l := barList{
			Title: c.Name,
			Note:  strings.ToUpper(c.Unit[:1]) + c.Unit[1:] + " a second. More is better.",
			Heads: []string{"a second", "p99 µs", "CPU µs"},
		}
		if c.Shared {
			l.Note += " The server and the load shared their processors."
		}
		for _, e := range c.Entries {
			k, _ := r.Find(e.Contestant)
			l.add(k, e.Throughput.Median, count(e.Throughput.Median), micro(e.Closed.P99.Median), micro(e.CPUSpread().Median))
		}
		if l.finish(true, false, 0); len(l.Bars) > 0 {
			all = append(all, l)
		}
	}
	return all
}

// programBars are the cells of what people run.
func (r *Report) programBars() (all []barList) {
	for _, c := range r.sectionCells(workload.Programs) {
		l := barList{
			Title: c.Name,
			Note:  "Processor time of the server per " + strings.TrimSuffix(c.Unit, "s") + ". Less is better; the line is " + c.baselineName() + ".",
			Heads: []string{"µs", "× base", "a second"},
		}
		mark := 0.0
		for _, e := range c.Entries {
			k, _ := r.Find(e.Contestant)
			cpu := e.CPUSpread().Median
			if e.Contestant == c.baselineName() {
				mark = cpu
			}
			l.add(k, cpu, micro(cpu), ratio(c.Ratio(e.Contestant, c.baselineName())), count(e.Throughput.Median))
		}
		if l.finish(false, false, mark); len(l.Bars) > 0 {
			all = append(all, l)
		}
	}
	return all
}

package report

import (
	"fmt"
	"io"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// Compare writes what has changed from a to b. It compares ratios to the baseline within
// each round, in which the machine's drift cancels, and which outlast another day and, to a
// degree, another machine; where a report has no baseline, the figures themselves. A change
// has an interval of 95 %, and is one only if that leaves out none.
func Compare(w io.Writer, a, b *Report) error {
	if a.Machine != b.Machine {
		fmt.Fprintf(w, "the machines differ: %s, Linux %s, %s; then %s, Linux %s, %s\n",
			a.Machine.CPU, a.Machine.Kernel, a.Machine.Go, b.Machine.CPU, b.Machine.Kernel, b.Machine.Go)
	}
	fmt.Fprintf(w, "CPU per request relative to %s, from %s to %s, and the change with its 95 %% interval\n",
		contestant.Baseline, a.Date.Format("2006-01-02 15:04"), b.Date.Format("2006-01-02 15:04"))
	changes := make(map[string][]float64) // by contestant
	compared := 0
	for _, cb := range b.Cells {
		ca := a.Cell(cb.Name)
		if ca == nil {
			continue
		}
		g := grid{Title: cb.Name, Heads: []string{"", "before", "after", "change", "interval", ""}}
		for _, k := range b.Contestants {
			before, after := figures(ca, cb, k.Name)
			change, interval := stats.Change(before, after)
			if change == 0 {
				continue
			}
			changes[k.Name] = append(changes[k.Name], change)
			g.Rows = append(g.Rows, []string{
				k.Name, figure(stats.Median(before)), figure(stats.Median(after)),
				fmt.Sprintf("%+.1f %%", 100*(change-1)),
				fmt.Sprintf("%+.1f to %+.1f %%", 100*(interval.Low-1), 100*(interval.High-1)), verdict(interval),
			})
		}
		if len(g.Rows) > 0 {
			g.text(w)
			compared++
		}
	}
	if compared == 0 {
		return fmt.Errorf("the reports have no cell and contestant in common")
	}
	g := grid{Title: "geometric mean of the changes", Heads: []string{"", "change", "cells"}}
	for _, k := range b.Contestants {
		if c := changes[k.Name]; len(c) > 1 {
			g.Rows = append(g.Rows, []string{k.Name, fmt.Sprintf("%+.1f %%", 100*(stats.GeoMean(c)-1)), fmt.Sprint(len(c))})
		}
	}
	if len(g.Rows) > 0 {
		g.text(w)
	}
	return nil
}

// figure writes a ratio, or processor time, or bytes: what is not a ratio is much larger.
func figure(v float64) string {
	if v >= 20 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// figures are what is compared of a contestant in a cell, round by round.
func figures(a, b *Cell, name string) (before, after []float64) {
	ea, eb := a.Entry(name), b.Entry(name)
	if ea == nil || eb == nil {
		return nil, nil
	}
	if name != contestant.Baseline && name != b.baselineName() {
		before, after = a.ratios(name, contestant.Baseline), b.ratios(name, contestant.Baseline)
	}
	if len(before) == 0 || len(after) == 0 {
		before, after = ea.positiveCPU(), eb.positiveCPU()
	}
	if len(before) == 0 || len(after) == 0 { // memory
		before, after = []float64{ea.PerConn.Median}, []float64{eb.PerConn.Median}
	}
	return before, after
}

func verdict(i stats.Interval) string {
	switch {
	case i.High < 1:
		return "better"
	case i.Low > 1:
		return "worse"
	default:
		return "no difference seen"
	}
}

package report

import (
	"fmt"
	"io"
	"math"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// Compare writes what has changed from a to b. It compares ratios to the
// baseline, which outlast another day and, to a degree, another machine; where
// a report has no baseline, the figures themselves. A change is clear when the
// rounds of the one and of the other do not overlap.
func Compare(w io.Writer, a, b *Report) error {
	if a.Machine != b.Machine {
		fmt.Fprintf(w, "the machines differ: %s, Linux %s, %s; then %s, Linux %s, %s\n",
			a.Machine.CPU, a.Machine.Kernel, a.Machine.Go, b.Machine.CPU, b.Machine.Kernel, b.Machine.Go)
	}
	fmt.Fprintf(w, "CPU per request relative to %s, from %s to %s; clear where the rounds do not overlap\n",
		contestant.Baseline, a.Date.Format("2006-01-02 15:04"), b.Date.Format("2006-01-02 15:04"))
	changes := make(map[string][]float64) // by contestant
	compared := 0
	for _, cb := range b.Cells {
		ca := a.Cell(cb.Name)
		if ca == nil {
			continue
		}
		g := grid{Title: cb.Name, Heads: []string{"", "before", "after", "change", "", "CPU µs before", "after"}}
		for _, k := range b.Contestants {
			before, after, ok := figures(ca, cb, k.Name)
			if !ok {
				continue
			}
			change := after.Median / before.Median
			changes[k.Name] = append(changes[k.Name], change)
			g.Rows = append(g.Rows, []string{
				k.Name, fmt.Sprintf("%.3g", before.Median), fmt.Sprintf("%.3g", after.Median),
				fmt.Sprintf("%+.1f %%", 100*(change-1)), verdict(before, after),
				micro(ca.Entry(k.Name).CPUSpread().Median), micro(cb.Entry(k.Name).CPUSpread().Median),
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

// figures are what is compared of a contestant in a cell.
func figures(a, b *Cell, name string) (before, after stats.Spread, ok bool) {
	if a.Entry(name) == nil || b.Entry(name) == nil {
		return before, after, false
	}
	if name != contestant.Baseline {
		before, after = a.Ratio(name, contestant.Baseline), b.Ratio(name, contestant.Baseline)
	}
	if before.Median == 0 || after.Median == 0 {
		before, after = a.Entry(name).CPUSpread(), b.Entry(name).CPUSpread()
	}
	if before.Median == 0 || after.Median == 0 { // memory
		before, after = a.Entry(name).PerConn, b.Entry(name).PerConn
	}
	return before, after, before.Median > 0 && after.Median > 0 && !math.IsInf(before.Median, 0)
}

func verdict(before, after stats.Spread) string {
	switch {
	case after.Max < before.Min:
		return "better"
	case after.Min > before.Max:
		return "worse"
	default:
		return ""
	}
}

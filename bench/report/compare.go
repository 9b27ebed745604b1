package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// Compare writes what has changed from a to b. It compares ratios to the baseline within
// each round, in which the machine's drift cancels, and which outlast another day and, to a
// degree, another machine; where there are none, the figures themselves. A change has an
// interval of 95 %, and is one only if that leaves out 1.
func Compare(w io.Writer, a, b *Report) error {
	if differ := a.Machine.differences(b.Machine); len(differ) > 0 {
		fmt.Fprintf(w, "the machines differ: %s; a change may be theirs\n", strings.Join(differ, "; "))
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
		g := grid{Title: cb.Name, Heads: []string{"", "before", "after", "after/before", ""}}
		for _, k := range b.Contestants {
			before, after, unit := figures(ca, cb, k.Name)
			change, interval := stats.Change(before, after)
			if change == 0 {
				continue
			}
			changes[k.Name] = append(changes[k.Name], change)
			g.Rows = append(g.Rows, []string{
				k.Name, figure(stats.Median(before), unit), figure(stats.Median(after), unit), fmt.Sprintf("%.3f", change), verdict(interval),
			})
		}
		if ca.Entry(contestant.Baseline) == nil || cb.Entry(contestant.Baseline) == nil {
			g.Below = append(g.Below, contestant.Baseline+" is not in both reports: what is compared are the times themselves, and the machine's drift is in them")
		}
		if len(g.Rows) > 0 {
			g.text(w)
			compared++
		}
	}
	if compared == 0 {
		return fmt.Errorf("the reports have no cell and contestant in common")
	}
	g := grid{Title: "geometric mean of the changes", Heads: []string{"", "after/before", "cells"}}
	for _, k := range b.Contestants {
		if c := changes[k.Name]; len(c) > 1 {
			g.Rows = append(g.Rows, []string{k.Name, fmt.Sprintf("%.3f", stats.GeoMean(c)), fmt.Sprint(len(c))})
		}
	}
	if len(g.Rows) > 0 {
		g.text(w)
	}
	return nil
}

// differences are what two machines differ in that a measurement may show. Memory is told
// in GiB: a kernel keeps more or less of it for itself.
func (m Machine) differences(later Machine) (all []string) {
	gib := func(m Machine) string { return fmt.Sprintf("%.0f GiB", float64(m.Memory)/(1<<30)) }
	cores := func(m Machine) string { return fmt.Sprintf("server on core %d and load on %d", m.Server, m.Client) }
	for _, d := range []struct{ before, after string }{
		{m.CPU, later.CPU},
		{fmt.Sprintf("%d cores", m.Cores), fmt.Sprintf("%d cores", later.Cores)},
		{gib(m), gib(later)},
		{"Linux " + m.Kernel, "Linux " + later.Kernel},
		{m.Go, later.Go},
		{cores(m), cores(later)},
	} {
		if d.before != d.after {
			all = append(all, d.before+", then "+d.after)
		}
	}
	return all
}

// figure writes a ratio, which has no unit, or something else.
func figure(v float64, unit string) string {
	if unit == "" {
		return fmt.Sprintf("%.3f", v)
	}
	return plain(v) + " " + unit
}

// figures are what is compared of a contestant in a cell, round by round.
func figures(a, b *Cell, name string) (before, after []float64, unit string) {
	ea, eb := a.Entry(name), b.Entry(name)
	if ea == nil || eb == nil {
		return nil, nil, ""
	}
	if name != contestant.Baseline && name != b.baselineName() {
		before, after = a.ratios(name, contestant.Baseline), b.ratios(name, contestant.Baseline)
		if len(before) > 0 && len(after) > 0 {
			return before, after, ""
		}
	}
	before, after = ea.positiveCPU(), eb.positiveCPU()
	if len(before) > 0 && len(after) > 0 {
		return before, after, "ns"
	}
	return []float64{ea.PerConn.Median}, []float64{eb.PerConn.Median}, "bytes"
}

// verdict says what an interval means.
func verdict(i stats.Interval) string {
	text := fmt.Sprintf("%.3f to %.3f of before: ", i.Low, i.High)
	switch {
	case !i.Known():
		return "too few rounds to tell"
	case i.High < 1:
		return text + "better"
	case i.Low > 1:
		return text + "worse"
	default:
		return text + "no difference seen"
	}
}

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
	"github.com/goproactor/goproactor/bench/workload"
)

// summaryCells are the points of the echo that the summary shows.
var summaryCells = []workload.Cell{
	{Workload: "echo", Size: 64, Conns: 64, Window: 1},
	{Workload: "echo", Size: 64, Conns: 1000, Window: 1},
	{Workload: "echo", Size: 64, Conns: 64, Window: 16},
	{Workload: "echo", Size: 16 << 10, Conns: 64, Window: 1},
}

// Summary writes the report as a short table in Markdown: processor time
// relative to standard net, the latency of a lone connection, and the memory of
// an idle one.
func (r *Report) Summary(w io.Writer) error {
	alone := r.Cell(workload.Cell{Workload: "echo", Size: 64, Conns: 1, Window: 1}.ID())
	heads := []string{"", "echo, mean"}
	var cells []*Cell
	for _, c := range summaryCells {
		if cell := r.Cell(c.ID()); cell != nil {
			cells = append(cells, cell)
			heads = append(heads, strings.TrimPrefix(cell.Name, "echo "))
		}
	}
	heads = append(heads, "p50 of one, µs", "bytes an idle connection")
	var b strings.Builder
	row := func(fields []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(fields, " | ")) }
	row(heads)
	fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---:|", len(heads)-1))
	for _, k := range r.Contestants {
		if k.Family == string(contestant.Textbook) {
			continue
		}
		if fields := r.summaryRow(k, cells, alone); slices.ContainsFunc(fields[1:], func(f string) bool { return f != none }) {
			row(fields) // it is a server of echo
		}
	}
	m := r.Machine
	fmt.Fprintf(&b, "\n%s, %d cores, Linux %s, %s, %s; %d rounds of %.2g s.\n",
		m.CPU, m.Cores, m.Kernel, strings.Replace(m.Go, "go", "Go ", 1), r.Date.Format("2006-01-02"), r.Rounds, r.Seconds)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) summaryRow(k Contestant, cells []*Cell, alone *Cell) []string {
	name := k.Name
	if k.Family == string(contestant.Ours) {
		name = "**" + name + "**"
	}
	mean, n := r.Mean("echo", k.Name, func(*Cell) string { return contestant.Baseline })
	if _, all := r.Mean("echo", contestant.Baseline, func(*Cell) string { return contestant.Baseline }); 2*n < all {
		mean = 0 // it plays in few cells
	}
	fields := []string{name, some(mean, "%.2f")}
	for _, c := range cells {
		fields = append(fields, ratio(c.Ratio(k.Name, contestant.Baseline)))
	}
	p50 := none
	if alone != nil {
		if e := alone.Entry(k.Name); e != nil {
			p50 = micro(e.Closed.P50.Median)
		}
	}
	var idle stats.Spread
	for _, c := range r.Cells {
		if e := c.Entry(k.Name); c.Workload == "memory" && e != nil {
			idle = e.PerConn
		}
	}
	return append(fields, p50, some(idle.Median, "%.0f"))
}

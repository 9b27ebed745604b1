package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/stats"
)

// bulkSize is from which size on a request is one that moves bytes.
const bulkSize = 64 << 10

// Goal is the ratio to package net that a program is to keep to in a place.
func (c *Cell) Goal(at contestant.Place) float64 {
	bulk := c.Unit == "MiB" || c.Unit == "connections" || c.Size >= bulkSize
	switch {
	case at == contestant.OnNet:
		return 1
	case at == contestant.Detached:
		return 1.03
	case at == contestant.OnIOUring && !bulk:
		return 0.90
	default:
		return 1.00
	}
}

// ProgramTable writes, as a table in Markdown, what each program costs in the other places in
// relation to package net. A ratio beyond its goal is in bold.
func (r *Report) ProgramTable(w io.Writer) error {
	var b bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&b, "Processor time of the server for a request or a MiB, or its memory for a silent connection, as a ratio to the same program on package net: median over %d rounds of the ratio within the round, lowest and highest in brackets. ", r.Rounds)
	fmt.Fprintf(&b, "%.2g s measured in each run; server alone on one core, load on another; %s, Linux %s, %s. In bold what is beyond its goal: detached 1.03, in coroutines 0.90 on io_uring and 1.00 on epoll, for what moves bytes and for memory 1.00 on both.\n\n",
		r.Seconds, m.CPU, m.Kernel, m.Go)
	fmt.Fprintln(&b, "| program | | net | detached | coroutine, io_uring | coroutine, epoll |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|")
	for _, c := range r.Cells {
		for _, p := range r.programs(c) {
			fields := []string{p.name, c.Name, p.cost(c)}
			for _, at := range contestant.Places[1:] {
				fields = append(fields, p.ratio(c, at))
			}
			fmt.Fprintln(&b, "| "+strings.Join(fields, " | ")+" |")
		}
	}
	for i, line := range r.failures() {
		if i == 0 {
			fmt.Fprintln(&b)
		}
		fmt.Fprintln(&b, line)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// placed is a program of a cell.
type placed struct {
	name string
	at   map[contestant.Place]*Entry
}

// programs are those of a cell that run on package net and in other places.
func (r *Report) programs(c *Cell) (all []placed) {
	byName := make(map[string]int)
	for _, e := range c.Entries {
		k, ok := r.Find(e.Contestant)
		if !ok || k.Program == "" {
			continue
		}
		i, seen := byName[k.Program]
		if !seen {
			i = len(all)
			byName[k.Program] = i
			all = append(all, placed{k.Program, make(map[contestant.Place]*Entry)})
		}
		all[i].at[contestant.Place(k.Place)] = e
	}
	kept := all[:0]
	for _, p := range all {
		if p.at[contestant.OnNet] != nil && len(p.at) > 1 {
			kept = append(kept, p)
		}
	}
	return kept
}

// cost is what a request costs on package net.
func (p placed) cost(c *Cell) string {
	e := p.at[contestant.OnNet]
	unit := strings.TrimSuffix(c.Unit, "s")
	switch {
	case !e.Measured():
		return "failed"
	case e.PerConn.Median > 0:
		return fmt.Sprintf("%.1f KiB/%s", e.PerConn.Median/(1<<10), unit)
	default:
		return fmt.Sprintf("%.1f µs/%s", e.CPUSpread().Median/1000, unit)
	}
}

func (p placed) ratio(c *Cell, at contestant.Place) string {
	e, net := p.at[at], p.at[contestant.OnNet]
	if e == nil {
		return none
	}
	spread := stats.Of(stats.Ratios(e.CPU, net.CPU))
	if e.PerConn.Median > 0 && net.PerConn.Median > 0 {
		spread = stats.Of([]float64{e.PerConn.Median / net.PerConn.Median})
	}
	if spread.Median == 0 {
		return "failed"
	}
	text := fmt.Sprintf("%.2f", spread.Median)
	if spread.Median > c.Goal(at) {
		text = "**" + text + "**"
	}
	return fmt.Sprintf("%s (%.2f–%.2f)", text, spread.Min, spread.Max)
}

// failures says what failed.
func (r *Report) failures() (lines []string) {
	for _, c := range r.Cells {
		for _, e := range c.Entries {
			if len(e.Failures) > 0 {
				lines = append(lines, fmt.Sprintf("%s, %s, failed: %s.", c.Name, e.Contestant, e.Failures[0]))
			}
		}
	}
	return lines
}

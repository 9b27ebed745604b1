package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/program"
	"github.com/goproactor/goproactor/bench/stats"
)

// Programs is what was measured of the programs of package program.
type Programs struct {
	machine Machine
	rounds  int
	seconds time.Duration
	rows    []*programRow
}

type programRow struct {
	program.Program
	costs    map[program.Place][]float64 // processor time for a request by round, zero where it failed
	failures map[program.Place]string
}

// NewPrograms returns an empty table.
func NewPrograms(m Machine, rounds int, seconds time.Duration) *Programs {
	return &Programs{machine: m, rounds: rounds, seconds: seconds}
}

// Add adds a row.
func (t *Programs) Add(p program.Program) {
	row := &programRow{Program: p, costs: make(map[program.Place][]float64), failures: make(map[program.Place]string)}
	for _, at := range program.Places {
		row.costs[at] = make([]float64, t.rounds)
	}
	t.rows = append(t.rows, row)
}

// Measured records a run.
func (t *Programs) Measured(p program.Program, at program.Place, round int, r *load.Result, err error) {
	row := t.rows[slices.IndexFunc(t.rows, func(row *programRow) bool { return row.Name == p.Name })]
	if err != nil {
		row.failures[at] = err.Error()
		return
	}
	row.costs[at][round] = r.CPU.Seconds() / r.Requests
}

// Goal is the ratio to package net that a program is to keep to.
func Goal(p program.Program, at program.Place) float64 {
	switch {
	case at == program.Net:
		return 1
	case at == program.Detached:
		return 1.03
	case at == program.IOUring && !p.Bulk:
		return 0.90
	default:
		return 1.00
	}
}

// Markdown writes the table. A ratio beyond its goal is in bold.
func (t *Programs) Markdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Processor time of the server for a request or a MiB, as a ratio to the same program on package net: median over %d rounds of the ratio within the round, lowest and highest in brackets. ", t.rounds)
	fmt.Fprintf(&b, "%v measured in each run; server alone on one core, load on another; %s, Linux %s, %s. In bold what is beyond its goal: detached 1.03, in coroutines 0.90 on io_uring and 1.00 on epoll, for MiB 1.00 on both.\n\n",
		t.seconds, t.machine.CPU, t.machine.Kernel, t.machine.Go)
	fmt.Fprintln(&b, "| program | | net | detached | coroutine, io_uring | coroutine, epoll |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|")
	for _, row := range t.rows {
		cells := []string{row.Name, row.About, row.cost()}
		for _, at := range program.Places[1:] {
			cells = append(cells, row.ratio(at))
		}
		fmt.Fprintln(&b, "| "+strings.Join(cells, " | ")+" |")
	}
	t.notes(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// cost is what a request costs on package net.
func (row *programRow) cost() string {
	if failure := row.failures[program.Net]; failure != "" {
		return "failed"
	}
	cost := time.Duration(stats.Median(row.costs[program.Net]) * float64(time.Second))
	return fmt.Sprintf("%.1f µs/%s", float64(cost)/float64(time.Microsecond), row.Unit)
}

func (row *programRow) ratio(at program.Place) string {
	if _, ok := row.Runs(at); !ok {
		return "–"
	}
	spread := stats.Of(stats.Ratios(row.costs[at], row.costs[program.Net]))
	if spread.Median == 0 {
		return "failed"
	}
	text := fmt.Sprintf("%.2f", spread.Median)
	if spread.Median > Goal(row.Program, at) {
		text = "**" + text + "**"
	}
	return fmt.Sprintf("%s (%.2f–%.2f)", text, spread.Min, spread.Max)
}

// notes says what failed, and what does not run in a coroutine.
func (t *Programs) notes(w io.Writer) {
	var lines []string
	for _, row := range t.rows {
		for _, at := range program.Places {
			if failure := row.failures[at]; failure != "" {
				lines = append(lines, fmt.Sprintf("%s, %s, failed: %s.", row.Name, at, failure))
			}
		}
		if why, ok := row.Runs(program.IOUring); !ok {
			lines = append(lines, fmt.Sprintf("%s does not run in a coroutine: %s.", row.Name, why))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	}
}

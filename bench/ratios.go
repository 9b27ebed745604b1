package main

import (
	"context"
	"flag"
	"io"
	"os"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/workload"
)

// compareWithNet is 'bench ratios': the programs that run on package net and on this
// library, in a table of their own.
func compareWithNet(ctx context.Context, args []string) error {
	o, output, err := parseRatios(args)
	if err != nil {
		return err
	}
	h, err := newHarness(o.serverCore, o.clientCore)
	if err != nil {
		return err
	}
	defer h.close()
	m := newMatch(h, o)
	if err := m.measure(ctx); err != nil {
		return err
	}
	if output == "" {
		return m.report.ProgramTable(os.Stdout)
	}
	f, err := os.Create(output)
	if err != nil {
		return err
	}
	if err := m.report.ProgramTable(io.MultiWriter(f, os.Stdout)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// parseRatios makes the options of a comparison without what the table does not show.
func parseRatios(args []string) (o *options, output string, err error) {
	o = &options{busy: 2 * time.Second}
	f := flag.NewFlagSet("ratios", flag.ContinueOnError)
	work := f.String("work", "", "workloads, separated by commas (default those with such programs, see 'bench list')")
	only := f.String("only", "", "programs, separated by commas")
	f.IntVar(&o.rounds, "rounds", 9, "rounds; the table has medians of the ratios within each")
	f.DurationVar(&o.seconds, "duration", 400*time.Millisecond, "measured in each run")
	f.DurationVar(&o.warmup, "warmup", 150*time.Millisecond, "before that")
	f.DurationVar(&o.busy, "busy", o.busy, "to add to the time announced, for a machine that does something else as well")
	f.StringVar(&output, "o", "", "file for the table, in Markdown, beside standard output")
	f.IntVar(&o.serverCore, "server-core", 0, "processor of the server")
	f.IntVar(&o.clientCore, "client-core", 1, "processor of the load generator")
	if err := parseFlags(f, args); err != nil {
		return nil, "", err
	}
	switch {
	case f.NArg() > 0:
		return nil, "", usagef("unexpected argument %q: see 'bench ratios -h'", f.Arg(0))
	case o.rounds < 1 || o.rounds > 1000:
		return nil, "", usagef("-rounds %d: want 1 to 1000", o.rounds)
	case o.seconds <= 0 || o.warmup < 0 || o.busy < 0 || max(o.seconds, o.warmup, o.busy) > time.Hour:
		return nil, "", usagef("-duration %v, -warmup %v, -busy %v: want a positive time, up to an hour", o.seconds, o.warmup, o.busy)
	}
	if err := o.checkCores(); err != nil {
		return nil, "", err
	}
	if o.cells, err = programCells(*work); err != nil {
		return nil, "", usageError{err}
	}
	o.only = list(*only)
	o.placed = true
	if err := o.checkPatterns(); err != nil {
		return nil, "", usageError{err}
	}
	return o, output, nil
}

// programCells are the cells of workloads whose programs run in several places.
func programCells(work string) (cells []workload.Cell, err error) {
	var compared []workload.Workload
	for _, w := range workload.All() {
		if w.Section == workload.Programs && w.Contestants != nil {
			compared = append(compared, w)
		}
	}
	if compared, err = chooseWork(work, compared); err != nil {
		return nil, err
	}
	for _, w := range compared {
		cells = append(cells, w.Cells...)
	}
	return cells, nil
}

// isPlaced reports whether the contestant is one of a program's on package net and in
// other places.
func isPlaced(c contestant.Contestant, among []contestant.Contestant) bool {
	for _, other := range among {
		if c.Program != "" && other.Program == c.Program && other.Place == contestant.OnNet {
			return true
		}
	}
	return false
}

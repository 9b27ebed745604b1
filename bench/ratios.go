package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/bench/filereads"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/program"
	"github.com/goproactor/goproactor/bench/report"
)

// ratioOptions is what the command line of 'bench ratios' asks for.
type ratioOptions struct {
	programs        []program.Program
	rounds          int
	seconds, warmup time.Duration
	output          string // file for the table, empty for standard output
	cores           options
}

// compareWithNet is 'bench ratios': the programs of package program, each on package
// net and on this library.
func compareWithNet(ctx context.Context, args []string) error {
	o, err := parseRatios(args)
	if err != nil {
		return err
	}
	h, err := newHarness(o.cores.serverCore, o.cores.clientCore)
	if err != nil {
		return err
	}
	defer h.close()
	r := &ratios{ratioOptions: o, harness: h, table: report.NewPrograms(report.ThisMachine(o.cores.serverCore, o.cores.clientCore), o.rounds, o.seconds)}
	if err := r.makeFile(); err != nil {
		return err
	}
	if err := r.measure(ctx); err != nil {
		return err
	}
	if o.output == "" {
		return r.table.Markdown(os.Stdout)
	}
	f, err := os.Create(o.output)
	if err != nil {
		return err
	}
	if err := r.table.Markdown(io.MultiWriter(f, os.Stdout)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func parseRatios(args []string) (*ratioOptions, error) {
	o := new(ratioOptions)
	f := flag.NewFlagSet("ratios", flag.ContinueOnError)
	only := f.String("only", "", "programs: names or prefix*, separated by commas (default all, see 'bench list')")
	f.IntVar(&o.rounds, "rounds", 9, "rounds; the table has medians of the ratios within each")
	f.DurationVar(&o.seconds, "duration", 400*time.Millisecond, "measured in each run")
	f.DurationVar(&o.warmup, "warmup", 150*time.Millisecond, "before that")
	f.StringVar(&o.output, "o", "", "file for the table, in Markdown, beside standard output")
	f.IntVar(&o.cores.serverCore, "server-core", 0, "processor of the server")
	f.IntVar(&o.cores.clientCore, "client-core", 1, "processor of the load generator")
	if err := parseFlags(f, args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, usagef("unexpected argument %q: see 'bench ratios -h'", f.Arg(0))
	}
	if o.rounds < 1 || o.rounds > 1000 {
		return nil, usagef("-rounds %d: want 1 to 1000", o.rounds)
	}
	if o.seconds <= 0 || o.warmup < 0 || o.seconds > time.Hour || o.warmup > time.Hour {
		return nil, usagef("-duration %v, -warmup %v: want a positive time, up to an hour", o.seconds, o.warmup)
	}
	if err := o.cores.checkCores(); err != nil {
		return nil, err
	}
	var err error
	if o.programs, err = program.Select(list(*only)); err != nil {
		return nil, usageError{err}
	}
	return o, nil
}

// ratios is such a comparison under way.
type ratios struct {
	*ratioOptions
	harness *harness
	table   *report.Programs
	file    string
}

// fileSize is the size of the file that is served.
const fileSize = 1 << 30

// makeFile makes the file, if one of the programs needs it. Having been written it is
// in the page cache.
func (r *ratios) makeFile() error {
	for _, p := range r.programs {
		if p.NeedsFile {
			r.file = filepath.Join(r.harness.dir, "file")
			return filereads.Prepare(r.file, fileSize)
		}
	}
	return nil
}

// measure runs, round by round, all programs, each in all places, so that what is
// compared runs within seconds of each other.
func (r *ratios) measure(ctx context.Context) error {
	for _, p := range r.programs {
		r.table.Add(p)
	}
	runs := 0
	for _, p := range r.programs {
		runs += len(places(p))
	}
	progress := newProgress(r.rounds * runs)
	defer progress.finish()
	for round := range r.rounds {
		for _, p := range r.programs {
			at := places(p)
			for _, i := range rand.New(rand.NewPCG(uint64(round), 0)).Perm(len(at)) {
				progress.step(round+1, p.Name, string(at[i]))
				result, err := r.run(ctx, p, at[i])
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r.table.Measured(p, at[i], round, result, err)
			}
		}
	}
	return nil
}

// places are those where the program can run.
func places(p program.Program) (all []program.Place) {
	for _, at := range program.Places {
		if _, ok := p.Runs(at); ok {
			all = append(all, at)
		}
	}
	return all
}

func (r *ratios) run(ctx context.Context, p program.Program, at program.Place) (*load.Result, error) {
	h := r.harness
	server, addr, err := h.launch(ctx, []string{h.self, "program", "-addr", "127.0.0.1:0", "-file", r.file, p.Name, string(at)})
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	job := p.Load
	job.Workload, job.Warmup, job.Duration = p.Name, r.warmup, r.seconds
	return h.drive(ctx, server, addr, []string{h.self, "program-client"}, job)
}

// serveProgram is a program's process: bench program [flags] NAME PLACE.
func serveProgram(args []string) error {
	flags := flag.NewFlagSet("program", flag.ContinueOnError)
	o := program.Options{Listening: func(addr string) { fmt.Fprintln(os.Stderr, "listening on tcp", addr) }}
	flags.StringVar(&o.Addr, "addr", "127.0.0.1:0", "address to listen on")
	flags.StringVar(&o.File, "file", "", "file to serve")
	profile := flags.String("cpuprofile", "", "write a processor profile to this file, on an interrupt")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return usagef("program: want a name and a place, see 'bench list'")
	}
	p, err := program.Find(flags.Arg(0))
	if err != nil {
		return usageError{err}
	}
	if *profile != "" {
		if err := profileUntilInterrupt(*profile); err != nil {
			return err
		}
	}
	return program.Serve(p, program.Place(flags.Arg(1)), o)
}

// profileUntilInterrupt ends the process with the profile.
func profileUntilInterrupt(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		pprof.StopCPUProfile()
		f.Close()
		os.Exit(0)
	}()
	return nil
}

// generateProgram is the load generator's process for a program: as generate.
func generateProgram() error {
	var job load.Job
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	result, err := program.Drive(job)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// Command bench compares servers, those of package contestant and of package program: it
// starts each as a process of its own on one core, loads it from another, and measures.
//
//	go -C bench run .                     the whole comparison
//	go -C bench run . -quick              in under two minutes
//	go -C bench run . -only net,ours -work echo -size 64 -conns 64 -rounds 7
//	go -C bench run . -work http,kv,proxy what people run; 'list' has more
//	go -C bench run . -work loops -loops 1,2,4
//	go -C bench run . list                what there is to choose from
//	go -C bench run . files               random reads of a file against os.File
//	go -C bench run . ratios              programs that run on package net and on this library, in a table of their own;
//	                                      with -o FILE the table for docs/performance.md
//	go -C bench run . soak -for 10m       all kinds of traffic at once, every byte compared, memory flat
//	go -C bench run . -only ours -work echo -against OLD.json    did my change help?
//	go -C bench run . compare A.json B.json                      the same of two reports
//	go -C bench run . report A.json       the tables of a report again; with -o DIR its page and charts,
//	                                      with -summary the table in the README
//
// 'bench -h' lists the flags. Linux only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/heapstats"
	"github.com/goproactor/goproactor/bench/load"
	_ "github.com/goproactor/goproactor/bench/program" // its workloads
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return compete(ctx, nil)
	}
	switch args[0] {
	case "list":
		return listAll()
	case "compare":
		return compare(args[1:])
	case "report":
		return show(args[1:])
	case "files":
		return compareFiles(ctx, args[1:])
	case "server":
		return serve(ctx, args[1:])
	case "client":
		return generate()
	case "upstream":
		return serveUpstream(ctx, args[1:])
	case "ratios":
		return compareWithNet(ctx, args[1:])
	case "soak":
		return runSoak(ctx, args[1:])
	default:
		return compete(ctx, args)
	}
}

func listAll() error {
	fmt.Println("contestants (-only takes names, families, or a prefix*):")
	listContestants("  ", contestant.All())
	fmt.Println("workloads (-work), and the contestants of those that have their own")
	fmt.Println("(-only takes programs and places, too: net, detached, io_uring, epoll):")
	for _, w := range workload.All() {
		fmt.Printf("  %-30s %3d cells  %s\n", w.Name, len(w.Cells), w.About)
		listContestants("    ", w.Contestants)
	}
	return nil
}

func listContestants(indent string, all []contestant.Contestant) {
	for _, c := range all {
		fmt.Printf("%s%-30s %-9s %s\n", indent, c.Name, c.Family, c.About)
	}
}

// ownFlags are the arguments that tell a server of this program its options.
func ownFlags(o contestant.Options) []string {
	return []string{"-addr", o.Addr, "-loops", strconv.Itoa(o.Loops), "-dir", o.Dir, "-upstream", o.Upstream}
}

// serve is a server's process: bench server NAME -work WORKLOAD -addr HOST:PORT.
func serve(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usagef("server: which contestant?")
	}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	o := contestant.Options{Listening: listening}
	work := flags.String("work", "echo", "workload")
	flags.StringVar(&o.Addr, "addr", "127.0.0.1:0", "address to listen on")
	flags.IntVar(&o.Loops, "loops", 0, "event loops, 0 for one")
	flags.StringVar(&o.Dir, "dir", os.TempDir(), "folder with what the workload needs")
	flags.StringVar(&o.Upstream, "upstream", "", "address of the upstream, for a proxy")
	profile := flags.String("cpuprofile", "", "write a processor profile to this file, on an interrupt")
	if err := parseFlags(flags, args[1:]); err != nil {
		return err
	}
	w, err := workload.Find(*work)
	if err != nil {
		return usageError{err}
	}
	c, err := w.Server(args[0])
	if err != nil {
		return usageError{err}
	}
	o.Broadcast = w.Broadcast
	serve := c.Serve
	if w.Messages {
		serve = c.ServeMessages
	}
	if serve == nil {
		return usagef("server: %s is a program of its own, or does not do that", c.Name)
	}
	finish, err := startProfile(*profile)
	if err != nil {
		return err
	}
	defer endWith(ctx, finish)()
	heapstats.Publish()
	return serve(o)
}

// listening tells the benchmark where a server listens.
func listening(addr string) { fmt.Fprintln(os.Stderr, "listening on tcp", addr) }

// startProfile writes a processor profile from now on, until finish is called. Without a
// path it does nothing.
func startProfile(path string) (finish func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// endWith ends the process, a server that serves until then, when it is interrupted. A
// server that ends by itself calls stop.
func endWith(ctx context.Context, finish func()) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		finish()
		os.Exit(0)
	})
}

// serveUpstream is the process that the proxies of a workload are for: bench upstream -work WORKLOAD.
func serveUpstream(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("upstream", flag.ContinueOnError)
	work := flags.String("work", "proxy", "workload")
	addr := flags.String("addr", "127.0.0.1:0", "address to listen on")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	w, err := workload.Find(*work)
	if err != nil {
		return usageError{err}
	}
	if w.Upstream == nil {
		return usagef("upstream: workload %s has none", w.Name)
	}
	defer endWith(ctx, func() {})()
	return w.Upstream(contestant.Options{Addr: *addr, Listening: listening})
}

// generate is the load generator's process: a job comes in on standard input,
// its result goes out on standard output.
func generate() error {
	runtime.LockOSThread()
	var job load.Job
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	result, err := workload.Drive(job)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// show prints the tables of a report again, and draws it into a folder if one is
// given.
func show(args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	dir := flags.String("o", "", "folder for report.html and the charts as SVG")
	summary := flags.Bool("summary", false, "print the short table, in Markdown, that the README shows")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return usagef("report: want one report.json")
	}
	r, err := report.Load(flags.Arg(0))
	if err != nil {
		return err
	}
	if *summary {
		return r.Summary(os.Stdout)
	}
	if *dir == "" {
		return r.Table(os.Stdout)
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	if err := r.WritePage(filepath.Join(*dir, "report.html")); err != nil {
		return err
	}
	charts, err := r.Charts()
	if err != nil {
		return err
	}
	for _, c := range charts {
		if err := os.WriteFile(filepath.Join(*dir, c.Name+".svg"), c.SVG, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare compares two reports.
func compare(args []string) error {
	if len(args) != 2 {
		return usagef("compare: want two report.json, the earlier first")
	}
	var reports [2]*report.Report
	for i, path := range args {
		var err error
		if reports[i], err = report.Load(path); err != nil {
			return err
		}
	}
	return report.Compare(os.Stdout, reports[0], reports[1])
}

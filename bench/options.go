package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/workload"
)

// options is what the command line asks for.
type options struct {
	only, skip []string // patterns of contestants
	cells      []workload.Cell

	rounds  int
	seconds time.Duration // measured in each run
	warmup  time.Duration
	busy    time.Duration // added to the time announced
	rated   int           // rounds that have runs at a constant rate
	counted time.Duration // measured in a run that counts

	placed bool // only programs that run on package net and elsewhere

	open  bool    // measure latency at a constant rate, too
	rate  float64 // that rate, zero for half of what the baseline did
	count bool    // count system calls and allocations
	check bool
	spin  bool

	against                *report.Report // an earlier one to compare with, or nil
	dir                    string         // for report.json and report.html, empty for none
	serverCore, clientCore int
}

// parseFlags parses. A mistake is one line; the list of flags is for -h.
func parseFlags(f *flag.FlagSet, args []string) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(os.Stdout)
		f.Usage()
		return err
	default:
		return usageError{err}
	}
}

// quickContestants is who takes part in a quick run.
var (
	quickContestants = []string{"ours", contestant.Baseline, "gnet-lt", "netpoll", "fib", "select", "poll", "epoll-lt", "ceiling"}
	quickSkip        = []string{string(contestant.Detached)}
)

// countSeconds is the interval of a run that counts.
const (
	countSeconds      = 250 * time.Millisecond
	quickCountSeconds = 100 * time.Millisecond
)

func parse(args []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := f.String("only", "", "contestants: names, families (ours, peer, textbook, ceiling) or prefix*, separated by commas")
	skip := f.String("skip", "", "contestants to leave out, the same way")
	work := f.String("work", "", "workloads, separated by commas (default all, or echo when a size or a number of connections is given)")
	sizes := f.String("size", "", "message sizes in bytes, separated by commas; K and M are understood")
	conns := f.String("conns", "", "numbers of active connections, separated by commas")
	windows := f.String("window", "", "messages on the way on each connection, separated by commas")
	idles := f.String("idle", "", "numbers of idle connections besides, separated by commas")
	loops := f.String("loops", "", "numbers of event loops, each on a processor of its own: in the workloads of several loops, or, with -size, -conns, -window or -idle, in the cells given (default 1,2 there)")
	quick := f.Bool("quick", false, "a selection, in under two minutes")
	f.IntVar(&o.rounds, "rounds", 5, "rounds; in each, every contestant has its turn")
	seconds := f.Float64("seconds", 0.4, "seconds measured in each run; longer where much is on the way at once")
	warmup := f.Float64("warmup", 0.15, "seconds of load before that")
	busy := f.Float64("busy", 2, "seconds to add to the time announced, for a machine that does something else as well")
	f.BoolVar(&o.open, "open", true, "also measure latency at a constant rate: in the standard cells that are for it, or, when this flag or -rate is given, in those given")
	f.Float64Var(&o.rate, "rate", 0, "that rate in messages a second (default half of what "+contestant.Baseline+" does at full load)")
	f.BoolVar(&o.count, "count", true, "also count system calls and allocations, in a run of their own")
	f.BoolVar(&o.check, "check", false, "compare every byte that comes back (costs the load generator time)")
	f.BoolVar(&o.spin, "spin", false, "never let the load generator sleep, so that its waking up is not part of the latency")
	f.StringVar(&o.dir, "o", "", "folder for report.json and report.html (default results, none with -against, or when cells are given by -size, -conns, -window or -idle)")
	f.IntVar(&o.serverCore, "server-core", 0, "processor of the server")
	against := f.String("against", "", "report.json of an earlier run: measure its cells, or those given, again and say what has changed, with 95 % intervals")
	f.IntVar(&o.clientCore, "client-core", 1, "processor of the load generator")
	if err := parseFlags(f, args); err != nil {
		return nil, err
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if f.NArg() > 0 {
		return nil, usagef("unexpected argument %q: see 'bench -h'", f.Arg(0))
	}

	if *quick {
		quickly(given, o, only, skip, seconds, warmup)
	}
	for name, v := range map[string]float64{"seconds": *seconds, "warmup": *warmup, "busy": *busy, "rate": o.rate} {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) || name == "seconds" && v == 0 {
			return nil, usagef("-%s %v: want a positive number", name, v)
		}
	}
	if *seconds > 3600 || *warmup > 3600 || *busy > 3600 {
		return nil, usagef("-seconds, -warmup and -busy go up to 3600")
	}
	if o.rounds < 1 || o.rounds > 1000 {
		return nil, usagef("-rounds %d: want 1 to 1000", o.rounds)
	}
	o.seconds = time.Duration(*seconds * float64(time.Second))
	o.warmup = time.Duration(*warmup * float64(time.Second))
	o.busy = time.Duration(*busy * float64(time.Second))
	if err := o.checkCores(); err != nil {
		return nil, err
	}

	var err error
	if *against != "" {
		if o.against, err = report.Load(*against); err != nil {
			return nil, usageError{fmt.Errorf("-against: %w", err)}
		}
	}
	custom := given["size"] || given["conns"] || given["window"] || given["idle"]
	if custom {
		o.cells, err = customCells(*work, *sizes, *conns, *windows, *idles)
	} else {
		o.cells, err = standardCells(*work, *quick)
	}
	if err != nil {
		return nil, usageError{err}
	}
	if given["loops"] {
		if o.cells, err = onLoops(o.cells, *loops, custom); err != nil {
			return nil, usageError{err}
		}
	}
	if o.against != nil {
		if err := o.asBefore(given, only); err != nil {
			return nil, usageError{err}
		}
	}
	if o.rated, o.counted = o.rounds, countSeconds; *quick {
		o.rated, o.counted = 1, quickCountSeconds
	}
	o.only, o.skip = list(*only), list(*skip)
	if err := o.checkPatterns(); err != nil {
		return nil, usageError{err}
	}
	if custom && (given["open"] || given["rate"]) {
		if err := openLoops(o.cells); err != nil {
			return nil, usageError{err}
		}
	}
	// A comparison must not replace the report that it compares with.
	if o.dir == "" && !custom && o.against == nil {
		o.dir = "results"
	}
	return o, nil
}

// asBefore has the cells measured that the earlier report has, and the baseline beside
// whoever is chosen: ratios to it are compared, in which the machine's drift cancels.
func (o *options) asBefore(given map[string]bool, only *string) error {
	o.cells = slices.DeleteFunc(o.cells, func(c workload.Cell) bool { return o.against.Cell(c.ID()) == nil })
	if len(o.cells) == 0 {
		return errors.New("-against: the report has none of these cells")
	}
	if *only != "" {
		*only += "," + contestant.Baseline
	}
	if !given["rounds"] {
		o.rounds = againstRounds
	}
	return nil
}

// againstRounds is how many rounds tell a change of a few percent from noise.
const againstRounds = 9

// quickly sets what the command line does not.
func quickly(given map[string]bool, o *options, only, skip *string, seconds, warmup *float64) {
	if !given["only"] {
		*only = strings.Join(quickContestants, ",")
	}
	if !given["only"] && !given["skip"] {
		*skip = strings.Join(quickSkip, ",")
	}
	if !given["rounds"] {
		o.rounds = 3
	}
	if !given["seconds"] {
		*seconds = 0.13
	}
	if !given["warmup"] {
		*warmup = 0.06
	}
}

func (o *options) checkCores() error {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for name, core := range map[string]int{"server-core": o.serverCore, "client-core": o.clientCore} {
		if core < 0 || core >= 1024 || !may.IsSet(core) {
			return usagef("-%s %d: this process may not run on that processor (%d to choose from)", name, core, runtime.NumCPU())
		}
	}
	if o.serverCore == o.clientCore {
		return usagef("server and load generator need a processor each, both are on %d", o.serverCore)
	}
	return nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// checkPatterns reports patterns that no contestant of the cells matches, and a choice that
// leaves none.
func (o *options) checkPatterns() error {
	var all []contestant.Contestant
	for _, c := range o.cells {
		w, err := workload.Find(c.Workload)
		if err != nil {
			return err
		}
		all = append(all, w.Servers()...)
	}
	for _, patterns := range [][]string{o.only, o.skip} {
		if _, err := contestant.Select(all, patterns); err != nil {
			return err
		}
	}
	if len(o.choose(all)) == 0 {
		return errors.New("-skip leaves no contestant")
	}
	return nil
}

// choose returns those that take part.
func (o *options) choose(all []contestant.Contestant) (chosen []contestant.Contestant) {
	for _, c := range all {
		if (len(o.only) == 0 && !c.OnRequest || c.Matches(o.only)) && !c.Matches(o.skip) && (!o.placed || isPlaced(c, all)) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func chooseWork(names string, none []workload.Workload) ([]workload.Workload, error) {
	if names == "" {
		return none, nil
	}
	var chosen []workload.Workload
	for _, name := range list(names) {
		w, err := workload.Find(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, w)
	}
	return chosen, nil
}

func standardCells(work string, quick bool) ([]workload.Cell, error) {
	chosen, err := chooseWork(work, workload.All())
	if err != nil {
		return nil, err
	}
	var cells []workload.Cell
	for _, w := range chosen {
		for _, c := range w.Cells {
			if c.Quick || !quick {
				cells = append(cells, c)
			}
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("-quick has no cell of -work %s", work)
	}
	return cells, nil
}

// customCells are all combinations of the numbers given.
func customCells(work, sizes, conns, windows, idles string) ([]workload.Cell, error) {
	echo, err := workload.Find("echo")
	if err != nil {
		return nil, err
	}
	chosen, err := chooseWork(work, []workload.Workload{echo})
	if err != nil {
		return nil, err
	}
	var lists [4][]int
	for i, l := range []struct {
		name, text string
		least      int
	}{{"size", sizes, 1}, {"conns", conns, 1}, {"window", windows, 1}, {"idle", idles, 0}} {
		if lists[i], err = numbers(l.name, l.text, l.least); err != nil {
			return nil, err
		}
	}
	var cells []workload.Cell
	seen := make(map[string]bool)
	for _, w := range chosen {
		for _, size := range lists[0] {
			for _, conns := range lists[1] {
				for _, window := range lists[2] {
					for _, idle := range lists[3] {
						c := w.Custom(size, conns, window, idle)
						if !seen[c.ID()] {
							seen[c.ID()] = true
							cells = append(cells, c)
						}
					}
				}
			}
		}
	}
	return cells, nil
}

// onLoops has cells measured with so many loops each: those that have a number of loops, or,
// if they are custom, all.
func onLoops(cells []workload.Cell, text string, custom bool) (all []workload.Cell, err error) {
	counts, err := numbers("loops", text, 1)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, c := range cells {
		if !custom && c.Loops == 0 {
			all = append(all, c)
			continue
		}
		for _, c.Loops = range counts {
			if !seen[c.ID()] {
				seen[c.ID()] = true
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// openLoops has cells measured at a constant rate, too, where that is possible.
func openLoops(cells []workload.Cell) error {
	for i := range cells {
		w, err := workload.Find(cells[i].Workload)
		if err != nil {
			return err
		}
		cells[i].OpenLoop = w.Rated
	}
	return nil
}

// numbers reads "64,16K"; no text is one zero, the workload's default.
func numbers(name, text string, least int) ([]int, error) {
	if text == "" {
		return []int{0}, nil
	}
	var ns []int
	for _, field := range list(text) {
		digits, unit := field, 1
		switch field[len(field)-1] {
		case 'k', 'K':
			digits, unit = field[:len(field)-1], 1<<10
		case 'm', 'M':
			digits, unit = field[:len(field)-1], 1<<20
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > (1<<30)/unit || n*unit < least {
			return nil, fmt.Errorf("-%s %q: want a number from %d", name, field, least)
		}
		ns = append(ns, n*unit)
	}
	if len(ns) == 0 {
		return nil, fmt.Errorf("-%s %q: no number", name, text)
	}
	return ns, nil
}

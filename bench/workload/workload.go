// Package workload holds what the servers are made to do, each in one file: the
// cells that the benchmark measures and the load generator's side of them.
//
//   - [Workload], one kind of work;
//   - [Cell], one point of it that is measured: a size, a number of
//     connections, and so on;
//   - [Drive] runs a job in the load generator's process.
package workload

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
)

// Section is a part of the report.
type Section string

// The sections, in the order of the report.
const (
	Echo     Section = ""         // what echo servers do
	Idle     Section = "idle"     // what idle connections cost
	Loops    Section = "loops"    // several loops, skew, neighbors
	Programs Section = "programs" // what people run
)

// Workload is one kind of work.
type Workload struct {
	Name  string
	About string // one line for the report
	Unit  string // what requests are: messages

	// Section is the part of the report that shows it.
	Section Section

	// Cells are the points measured by default. Those of the quick run have
	// Quick set.
	Cells []Cell

	// Custom makes a cell from the numbers given on the command line, where
	// zero is the default.
	Custom func(size, conns, window, idle int) Cell

	// Rated says that it can be done at a constant rate.
	Rated bool

	// Static says that nothing is measured but memory, for which one round
	// is as good as many, and nothing is counted.
	Static bool

	// ByRate says that ratios are of the time that passes for a request, not of the
	// server's processor time: how many requests it gets done is what counts.
	ByRate bool

	// Connect is what one connection takes to open, zero for the usual.
	Connect time.Duration

	// Broadcast starts the servers with it.
	Broadcast bool

	// Datagrams starts the servers that echo UDP messages.
	Messages bool

	// Contestants are the servers of a workload that is not for echo servers, and
	// Baseline is the one of them that ratios refer to.
	Contestants []contestant.Contestant
	Baseline    string

	// Prepare makes in a folder what the servers read there; nil for nothing.
	Prepare func(dir string) error

	// Upstream is what the servers are proxies for: a process beside the load
	// generator. Nil for nothing.
	Upstream func(contestant.Options) error

	// Drive does a job: it loads the server and measures it.
	Drive func(load.Job) (load.Result, error)
}

// Cell is one point of a workload.
type Cell struct {
	Workload string `json:"workload"`
	Size     int    `json:"size"`
	Conns    int    `json:"conns"`
	Window   int    `json:"window"`
	Idle     int    `json:"idle"`
	OpenLoop bool   `json:"open_loop,omitempty"` // measured at a constant rate, too
	Quick    bool   `json:"-"`

	// Light is the number of connections that ask for little, beside Conns.
	Light int `json:"light,omitempty"`
	// Loops and Procs are of the server: event loops, and processors that it may run on
	// (GOMAXPROCS). Zero is one.
	Loops int `json:"loops,omitempty"`
	Procs int `json:"procs,omitempty"`
	// Steady says that it is measured at shares of each server's own maximum, too.
	Steady bool `json:"steady,omitempty"`
}

// ID names the cell, the same in every report.
func (c Cell) ID() string {
	id := fmt.Sprintf("%s %s × %d", c.Workload, Bytes(c.Size), c.Conns)
	if c.Window > 1 {
		id += fmt.Sprintf(", %d deep", c.Window)
	}
	if c.Idle > 0 {
		id += fmt.Sprintf(", %d idle", c.Idle)
	}
	if c.Light > 0 {
		id += fmt.Sprintf(", %d light", c.Light)
	}
	switch {
	case c.Loops == 1:
		id += ", 1 loop"
	case c.Loops > 1:
		id += fmt.Sprintf(", %d loops", c.Loops)
	}
	if c.Procs > 0 {
		id += fmt.Sprintf(", GOMAXPROCS %d", c.Procs)
	}
	return id
}

// Total is the number of connections that the server holds.
func (c Cell) Total() int { return c.Conns + c.Idle + c.Light }

// Processors is how many the server may run on.
func (c Cell) Processors() int { return max(c.Loops, c.Procs, 1) }

// Job is what the load generator is told.
func (c Cell) Job() load.Job {
	return load.Job{Workload: c.Workload, Size: c.Size, Conns: c.Conns, Window: c.Window, Idle: c.Idle, Light: c.Light}
}

// Bytes writes a number of bytes: 64 B, 16 KiB.
func Bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

var registered []Workload

// Register adds a workload.
func Register(w Workload) struct{} {
	if w.Baseline == "" {
		w.Baseline = contestant.Baseline
	}
	registered = append(registered, w)
	return struct{}{}
}

// All returns the workloads by name.
func All() []Workload {
	return slices.SortedFunc(slices.Values(registered), func(a, b Workload) int { return strings.Compare(a.Name, b.Name) })
}

// Find returns the workload of that name.
func Find(name string) (Workload, error) {
	for _, w := range registered {
		if w.Name == name {
			return w, nil
		}
	}
	return Workload{}, fmt.Errorf("no workload %q: see 'bench list'", name)
}

// Drive does a job: it loads the server and measures it. The calling goroutine
// must be locked to its thread.
func Drive(job load.Job) (load.Result, error) {
	w, err := Find(job.Workload)
	if err != nil {
		return load.Result{}, err
	}
	return w.Drive(job)
}

// Servers are the contestants of the workload.
func (w Workload) Servers() []contestant.Contestant {
	if w.Contestants != nil {
		return w.Contestants
	}
	return contestant.All()
}

// Server returns the contestant of that name.
func (w Workload) Server(name string) (contestant.Contestant, error) {
	for _, c := range w.Servers() {
		if c.Name == name {
			return c, nil
		}
	}
	return contestant.Contestant{}, fmt.Errorf("workload %s has no contestant %q: see 'bench list'", w.Name, name)
}

func dialAll(n *load.Net, job load.Job) error {
	to, err := netip.ParseAddrPort(job.Addr)
	if err != nil {
		return err
	}
	for i := range job.Idle {
		if _, err := n.Dial(to, load.Source(i/20000), true); err != nil {
			return fmt.Errorf("idle connection %d of %d: %w", i+1, job.Idle, err)
		}
	}
	for i := range job.Conns {
		if _, err := n.Dial(to, load.Source(i/20000), false); err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, job.Conns, err)
		}
	}
	return nil
}

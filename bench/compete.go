package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/process"
	"github.com/goproactor/goproactor/bench/report"
	"github.com/goproactor/goproactor/bench/stats"
	"github.com/goproactor/goproactor/bench/workload"
)

// compete is the benchmark: build, announce, measure, report.
func compete(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.dir != "" { // now, rather than after an hour
		if err := os.MkdirAll(o.dir, 0o755); err != nil {
			return err
		}
	}
	h, err := newHarness(o.serverCore, o.clientCore)
	if err != nil {
		return err
	}
	defer h.close()

	m := newMatch(h, o)
	m.report.Command = strings.Join(append([]string{"bench"}, args...), " ")
	if err := m.measure(ctx); err != nil {
		return err
	}
	if err := m.report.Table(os.Stdout); err != nil {
		return err
	}
	if o.against != nil {
		fmt.Println()
		if err := report.Compare(os.Stdout, o.against, m.report); err != nil {
			return err
		}
	}
	return m.write()
}

// measure prepares and plays.
func (m *match) measure(ctx context.Context) error {
	if err := m.prepare(ctx); err != nil {
		return err
	}
	release, err := process.Confine(m.clientCore)
	if err != nil {
		return err
	}
	defer release()
	return m.play(ctx)
}

// match is a benchmark under way.
type match struct {
	*options
	harness  *harness
	report   *report.Report
	cells    []*cellRun
	progress *progress
	deadline time.Time
	perRun   time.Duration // what a run takes besides its interval and its connections
}

// cellRun is what has been measured of a cell.
type cellRun struct {
	*report.Cell
	workload workload.Workload
	playing  []contestant.Contestant // those not left out
	entries  map[string]*entryRun
	rate     float64 // of the open loop, once known
}

// entryRun is what has been measured of a contestant in a cell.
type entryRun struct {
	*report.Entry
	closed []*load.Result // by round, nil where it failed
	open   rated
	steady []*rated // by share
}

// rated is what has been measured at a constant rate.
type rated struct {
	share    float64 // of the contestant's own maximum, zero for a common rate
	rate     float64 // once known
	results  []*load.Result
	failures []string
}

// shares of its own maximum at which a contestant's latency is measured.
var shares = []float64{0.5, 0.8}

func newMatch(h *harness, o *options) *match {
	return &match{options: o, harness: h, perRun: usualOverhead, report: &report.Report{
		Schema:  report.Schema,
		Date:    time.Now().Truncate(time.Second),
		Machine: report.ThisMachine(o.serverCore, o.clientCore),
		Ring:    report.ThisRing(),
		Rounds:  o.rounds,
		Seconds: o.seconds.Seconds(),
	}}
}

func (m *match) notef(format string, args ...any) {
	m.report.Notes = append(m.report.Notes, fmt.Sprintf(format, args...))
}

// prepare decides who plays where, and makes ready what that needs.
func (m *match) prepare(ctx context.Context) error {
	if err := m.plan(); err != nil {
		return err
	}
	for _, c := range m.cells {
		if err := m.harness.prepareWorkload(c.workload); err != nil {
			return fmt.Errorf("workload %s: %w", c.workload.Name, err)
		}
	}
	for _, k := range m.report.Contestants {
		if err := m.build(ctx, k.Name); err != nil {
			return err
		}
	}
	m.report.Contestants = slices.DeleteFunc(m.report.Contestants, func(k report.Contestant) bool { return !m.harness.ready(k.Name) })
	if len(m.report.Contestants) == 0 {
		return fmt.Errorf("no contestant is left")
	}
	return nil
}

// plan makes the cells.
func (m *match) plan() error {
	for _, cell := range m.options.cells {
		w, err := workload.Find(cell.Workload)
		if err != nil {
			return err
		}
		run := &cellRun{
			Cell:     &report.Cell{Cell: cell, Name: cell.ID(), Unit: w.Unit, Section: w.Section, ByRate: w.ByRate},
			workload: w,
			entries:  make(map[string]*entryRun),
		}
		if w.Baseline != contestant.Baseline {
			run.Baseline = w.Baseline
		}
		_, _, run.Shared = m.harness.cores(cell.Processors())
		chosen := m.choose(w.Servers())
		if len(chosen) == 0 {
			continue // the contestants asked for have other workloads
		}
		for _, c := range chosen {
			m.enter(run, c)
		}
		m.cells = append(m.cells, run)
		m.report.Cells = append(m.report.Cells, run.Cell)
	}
	m.order()
	return nil
}

// enter has a contestant take part in a cell, or says why it does not.
func (m *match) enter(run *cellRun, c contestant.Contestant) {
	e := &entryRun{Entry: &report.Entry{Contestant: c.Name, LeftOut: leftOut(c, run.workload, run.Cell.Cell)}}
	run.Entries = append(run.Entries, e.Entry)
	run.entries[c.Name] = e
	if e.LeftOut == "" {
		run.playing = append(run.playing, c)
	}
	if _, ok := m.report.Find(c.Name); !ok {
		m.report.Contestants = append(m.report.Contestants, report.Contestant{
			Name: c.Name, Family: string(c.Family), About: c.About, Ceiling: c.Against,
			Program: c.Program, Place: string(c.Place),
		})
	}
}

// order sorts the contestants by family; those of one stay in the order of the workloads.
func (m *match) order() {
	slices.SortStableFunc(m.report.Contestants, func(a, b report.Contestant) int {
		return slices.Index(contestant.Families, contestant.Family(a.Family)) - slices.Index(contestant.Families, contestant.Family(b.Family))
	})
}

// build makes a contestant ready. One that cannot be built is left out of all cells.
func (m *match) build(ctx context.Context, name string) error {
	for _, run := range m.cells {
		i := slices.IndexFunc(run.playing, func(c contestant.Contestant) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		err := m.harness.prepare(ctx, run.playing[i])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			return nil
		}
		m.notef("%s is left out: %v", name, err)
		fmt.Fprintf(os.Stderr, "%s is left out: %v\n", name, err)
		break
	}
	for _, run := range m.cells {
		isNamed := func(c contestant.Contestant) bool { return c.Name == name }
		run.playing = slices.DeleteFunc(run.playing, isNamed)
		run.Entries = slices.DeleteFunc(run.Entries, func(e *report.Entry) bool { return e.Contestant == name && e.LeftOut == "" })
	}
	return nil
}

// spareFiles is what a process has open besides its connections.
const spareFiles = 64

func leftOut(c contestant.Contestant, w workload.Workload, cell workload.Cell) string {
	var files unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	switch {
	case uint64(cell.Total()+spareFiles) > files.Max:
		return fmt.Sprintf("%d connections do not fit the limit of %d descriptors", cell.Total(), files.Max)
	case cell.Processors() > runtime.NumCPU():
		return fmt.Sprintf("there are %d processors", runtime.NumCPU())
	case cell.Loops > 1 && !c.MultiLoop:
		return "its server has one loop, as it is compared here"
	case c.MaxConns > 0 && cell.Total() > c.MaxConns:
		return c.Limit
	case w.Broadcast && c.NoBroadcast != "":
		return c.NoBroadcast
	case w.Messages && c.ServeMessages == nil:
		return "its server echoes streams only, as far as it is compared here"
	}
	return ""
}

// usualOverhead is what a run takes besides its interval: two processes to start
// and to end.
const usualOverhead = 100 * time.Millisecond

// overhead adds the connections.
func (m *match) overhead(c *cellRun) time.Duration {
	return m.perRun + time.Duration(c.Total())*connectTime(c.workload)
}

// try runs once, to see how long that takes on this machine today.
func (m *match) try(ctx context.Context) error {
	const interval = 20 * time.Millisecond
	for _, c := range m.cells {
		if c.workload.Static {
			continue
		}
		job := c.Job()
		job.Conns, job.Idle, job.Window, job.Duration = 1, 0, 1, interval
		for _, k := range c.playing {
			began := time.Now()
			_, err := m.harness.run(ctx, k, c.Cell.Cell, job)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				m.perRun = max(m.perRun, (time.Since(began)-interval)*3/2)
				return nil
			}
		}
	}
	return nil
}

func (m *match) isCounted(c *cellRun) bool { return m.count && !c.workload.Static }

// roundsOf is in how many rounds a cell is measured: memory does not drift.
func (m *match) roundsOf(c *cellRun) int {
	if c.workload.Static {
		return 1
	}
	return m.rounds
}

func (m *match) opens(c *cellRun) bool { return m.open && c.OpenLoop }

func (m *match) steadies(c *cellRun) bool { return m.open && c.Steady }

// ratedRuns is how many runs at a constant rate a contestant has in a round.
func (m *match) ratedRuns(c *cellRun) (runs int) {
	if m.opens(c) {
		runs++
	}
	if m.steadies(c) {
		runs += len(shares)
	}
	return runs
}

// estimate is what a round of a cell takes.
func (m *match) estimate(c *cellRun, round int) time.Duration {
	job := c.Job()
	job.Warmup, job.Duration = m.warmup, m.seconds
	one := job.Expected() + m.overhead(c)
	if round < m.options.rated {
		one += time.Duration(m.ratedRuns(c)) * (m.warmup + m.seconds + m.overhead(c))
	}
	return time.Duration(len(c.playing)) * one
}

func (m *match) estimateCount(c *cellRun) time.Duration {
	if !m.isCounted(c) {
		return 0
	}
	job := c.Job()
	job.Warmup, job.Duration = m.warmup, m.counted
	return time.Duration(len(c.playing)) * (job.Expected() + m.overhead(c))
}

// announce is how many runs there are, and how long they may take.
func (m *match) announce() (runs int, total time.Duration) {
	for _, c := range m.cells {
		rounds := m.roundsOf(c)
		for round := range rounds {
			total += m.estimate(c, round)
		}
		total += m.estimateCount(c)
		runs += len(c.playing) * (rounds + min(rounds, m.options.rated)*m.ratedRuns(c) + b2i(m.isCounted(c)))
	}
	return runs, total + total/10 + m.busy
}

// play measures: round by round all cells, in each cell all contestants, so
// that those to be compared run within seconds of each other. It keeps to the
// time it announces: when the machine is slower than thought, the last round
// is not finished, or not begun.
func (m *match) play(ctx context.Context) error {
	if err := m.try(ctx); err != nil {
		return err
	}
	runs, total := m.announce()
	if runs == 0 {
		return fmt.Errorf("nothing to measure: every contestant is left out of every cell")
	}
	start := time.Now()
	m.deadline = start.Add(total)
	fmt.Fprintf(os.Stderr, "%d runs: %d contestants, %d cells, %d rounds; at most %v, done by %s\n",
		runs, len(m.report.Contestants), len(m.cells), m.rounds, total.Round(time.Second), m.deadline.Format(time.TimeOnly))
	m.progress = newProgress(runs)
	defer m.progress.finish()

	// Counting follows the first round, so that it is there even if time runs
	// out.
	for round := range m.rounds {
		for _, c := range m.cells {
			if round >= m.roundsOf(c) {
				continue
			}
			err := error(errLate)
			if !m.out(m.estimate(c, round)) {
				err = m.round(ctx, c, round)
			}
			if err == nil && round == 0 && m.isCounted(c) {
				err = m.counts(ctx, c)
			}
			if errors.Is(err, errLate) {
				m.notef("time ran out in round %d of %d", round+1, m.rounds)
				return m.finish(start)
			}
			if err != nil {
				return err
			}
		}
	}
	return m.finish(start)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// errLate says that the announced time is over.
var errLate = errors.New("time ran out")

// run runs a contestant once, unless the announced time is over. The error is
// the match's, not the contestant's: that is in failure.
func (m *match) run(ctx context.Context, c contestant.Contestant, cell workload.Cell, job load.Job) (result *load.Result, failure, err error) {
	if m.out(0) {
		return nil, nil, errLate
	}
	limited, cancel := context.WithDeadline(ctx, m.deadline)
	defer cancel()
	result, failure = m.harness.run(limited, c, cell, job)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if limited.Err() != nil {
		return nil, nil, errLate
	}
	return result, failure, nil
}

func (m *match) out(needed time.Duration) bool { return time.Now().Add(needed).After(m.deadline) }

// mostFailures is after how many failures in a cell a contestant is not tried
// there again.
const mostFailures = 2

func (m *match) round(ctx context.Context, c *cellRun, round int) error {
	order := rand.New(rand.NewPCG(uint64(round), 0)).Perm(len(c.playing))
	job := c.Job()
	job.Warmup, job.Duration, job.Check, job.Spin = m.warmup, m.seconds, m.check, m.spin
	for _, i := range order {
		k := c.playing[i]
		e := c.entries[k.Name]
		m.progress.step(round+1, c.Name, e.Contestant)
		if len(e.Failures) >= mostFailures {
			e.closed = append(e.closed, nil)
			continue
		}
		result, failure, err := m.run(ctx, k, c.Cell.Cell, job)
		if err != nil {
			return err
		}
		if failure != nil {
			e.Failures = append(e.Failures, failure.Error())
		}
		e.closed = append(e.closed, result)
	}
	if round >= m.options.rated {
		return nil
	}
	return m.atRates(ctx, c, round, job, order)
}

// atRates measures latency at a constant rate: at the same one for all, and at shares of what
// each can do.
func (m *match) atRates(ctx context.Context, c *cellRun, round int, job load.Job, order []int) error {
	common := 0.0
	if m.opens(c) {
		common = m.openRate(c)
	}
	for _, i := range order {
		e := c.entries[c.playing[i].Name]
		if m.opens(c) {
			e.open.rate = common
			if err := m.atRate(ctx, c, round, job, c.playing[i], &e.open); err != nil {
				return err
			}
		}
	}
	if !m.steadies(c) {
		return nil
	}
	for s, share := range shares {
		for _, i := range order {
			e := c.entries[c.playing[i].Name]
			if len(e.steady) == s {
				e.steady = append(e.steady, &rated{share: share, rate: share * e.throughput()})
			}
			if err := m.atRate(ctx, c, round, job, c.playing[i], e.steady[s]); err != nil {
				return err
			}
		}
	}
	return nil
}

// atRate runs a contestant at a constant rate, unless that is unknown or it has failed.
func (m *match) atRate(ctx context.Context, c *cellRun, round int, job load.Job, k contestant.Contestant, to *rated) error {
	e := c.entries[k.Name]
	what := c.Name + " at a constant rate"
	if to.share > 0 {
		what = fmt.Sprintf("%s at %.0f %%", c.Name, 100*to.share)
	}
	m.progress.step(round+1, what, k.Name)
	if to.rate == 0 || len(e.Failures)+len(to.failures) >= mostFailures {
		return nil
	}
	job.Rate = to.rate
	result, failure, err := m.run(ctx, k, c.Cell.Cell, job)
	switch {
	case err != nil:
		return err
	case failure != nil:
		to.failures = append(to.failures, failure.Error())
	default:
		to.results = append(to.results, result)
	}
	return nil
}

// throughput is what the contestant does at full load.
func (e *entryRun) throughput() float64 {
	var rates []float64
	for _, r := range e.closed {
		if r != nil {
			rates = append(rates, r.Requests/r.Elapsed.Seconds())
		}
	}
	return stats.Median(rates)
}

// openRate is the rate of a cell's open loop, the same for all contestants and
// rounds: half of what the baseline did in a closed one, or, where it does not
// take part, the slowest contestant.
func (m *match) openRate(c *cellRun) float64 {
	if m.rate > 0 {
		return m.rate
	}
	if c.rate > 0 {
		return c.rate
	}
	slowest := 0.0
	for name, e := range c.entries {
		rate := e.throughput()
		switch {
		case rate == 0:
		case name == c.workload.Baseline:
			c.rate = rate / 2
			return c.rate
		case slowest == 0 || rate < slowest:
			slowest = rate
		}
	}
	c.rate = slowest / 2
	return c.rate
}

// counts counts what slows a server down when counted.
func (m *match) counts(ctx context.Context, c *cellRun) error {
	job := c.Job()
	job.Warmup, job.Duration, job.Count = m.warmup, m.counted, true
	for _, k := range c.playing {
		e := c.entries[k.Name]
		m.progress.step(1, c.Name+", counting", k.Name)
		if len(e.Failures) > 0 {
			continue
		}
		result, failure, err := m.run(ctx, k, c.Cell.Cell, job)
		if err != nil {
			return err
		}
		if failure != nil {
			m.notef("%s, %s: counting failed: %v", c.Name, k.Name, failure)
			continue
		}
		if result.SyscallsError != "" && !m.report.HasNote("system calls") {
			m.notef("system calls are not counted: %s", result.SyscallsError)
		}
		e.Syscalls = result.Syscalls / result.Requests
		switch {
		case result.Heap != nil:
			objects, size := float64(result.Heap.Objects)/result.Requests, float64(result.Heap.Bytes)/result.Requests
			e.Allocs, e.AllocBytes = &objects, &size
		case result.HeapError != "":
			m.notef("%s, %s: allocations are not counted: %s", c.Name, k.Name, result.HeapError)
		}
	}
	return nil
}

// finish turns results into figures.
func (m *match) finish(start time.Time) error {
	for _, c := range m.cells {
		for _, k := range c.playing {
			e := c.entries[k.Name]
			e.Fill(e.closed)
			if c.ByRate {
				e.FillWall(e.closed)
			}
			e.Open = e.open.figures()
			for _, at := range e.steady {
				if o := at.figures(); o != nil {
					e.Steady = append(e.Steady, o)
				}
			}
		}
	}
	m.report.Took = time.Since(start).Round(time.Millisecond)
	return nil
}

// figures are those at a constant rate, nil if there are none.
func (r *rated) figures() *report.OpenLoop {
	if len(r.results)+len(r.failures) == 0 {
		return nil
	}
	o := &report.OpenLoop{Rate: r.rate, Share: r.share, Latency: report.PercentilesOf(r.results), Failures: r.failures}
	for _, result := range r.results {
		o.Missed += result.Missed
	}
	return o
}

func (m *match) write() error {
	if m.dir == "" {
		return nil
	}
	path := filepath.Join(m.dir, "report.json")
	if err := m.report.Write(path); err != nil {
		return err
	}
	page := filepath.Join(m.dir, "report.html")
	if err := m.report.WritePage(page); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "wrote", path, "and", page)
	return nil
}

package load

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/goproactor/goproactor/bench/heapstats"
	"github.com/goproactor/goproactor/bench/process"
)

// Meter delimits the measured interval, which begins after the warm-up, and
// counts what happens in it.
type Meter struct {
	job    Job
	clock  func() time.Duration
	state  phase
	change time.Duration // when the state ends
	limit  time.Duration // when it ends at the latest

	begun, ended time.Duration
	before       process.Usage
	cpu, client  time.Duration
	counter      *syscallCounter
	heap         heapstats.Stats
	heapError    error
	requests     float64 // in this state
	answered     float64 // in the interval
	latency      *hdrhistogram.Histogram
	result       Result
	err          error
}

type phase int

const (
	unstarted phase = iota
	warming
	measuring
	done
)

// NewMeter makes a meter for a job, on a clock such as [Net.Clock].
func NewMeter(job Job, clock func() time.Duration) *Meter {
	return &Meter{job: job, clock: clock, latency: hdrhistogram.New(1, int64(time.Minute), 3)}
}

// Requests on the way when the interval begins or ends are counted on one side
// and paid for on the other. So, however short it is to be, the warm-up goes on
// until all that are on the way at once have been answered so many times, and
// the interval likewise; but either at most MostLonger times as long.
const (
	WarmTurns     = 2
	MeasuredTurns = 8
	MostLonger    = 5
)

// Running is asked between polls, with the current time. It reports false when
// the interval is over.
func (m *Meter) Running(now time.Duration) bool {
	if m.state != unstarted && now < m.change {
		return true // the usual case
	}
	switch m.state {
	case unstarted:
		m.state, m.change, m.limit = warming, now+m.job.Warmup, now+MostLonger*m.job.Warmup
	case warming:
		if !m.goOn(now, WarmTurns) {
			m.begin()
		}
	case measuring:
		if !m.goOn(now, MeasuredTurns) && !m.serverIsDue(now) {
			m.end()
		}
	}
	return m.state != done
}

// bit is by how much a state is prolonged at a time.
const bit = 2 * time.Millisecond

// goOn prolongs the state, if so many turns have not been answered.
func (m *Meter) goOn(now time.Duration, turns int) bool {
	if m.job.Rate > 0 || m.requests >= float64(turns*m.job.Turn()) || now >= m.limit {
		return false
	}
	m.change = now + bit
	return true
}

// serverIsDue prolongs the interval if the server has not had a processor at all, which
// happens to a short one on a machine that does something else: it tells nothing.
func (m *Meter) serverIsDue(now time.Duration) bool {
	cpu, err := process.CPU(m.job.PID)
	if err != nil || cpu > m.cpu || now >= m.limit {
		return false
	}
	m.change = now + bit
	return true
}

// Left is how long the present state lasts.
func (m *Meter) Left(now time.Duration) time.Duration { return max(m.change-now, 0) }

// Answered counts requests, or parts of one.
func (m *Meter) Answered(requests float64) {
	m.requests += requests
}

// Took records the latency of one request.
func (m *Meter) Took(d time.Duration) {
	if m.state == measuring {
		m.latency.RecordValue(int64(min(max(d, 1), time.Minute)))
	}
}

// TookSince records the latency of a request of an open loop, if it was due in
// the interval. Its answer may come later: a request that is left out because
// it took too long makes a server look better than it is.
func (m *Meter) TookSince(due, now time.Duration) {
	if m.state == measuring && due >= m.begun || m.state == done && due >= m.begun && due < m.ended {
		m.latency.RecordValue(int64(min(max(now-due, 1), time.Minute)))
	}
}

// Missed says how many requests of an open loop are unanswered at its end.
func (m *Meter) Missed(requests int) { m.result.Missed = requests }

func (m *Meter) begin() {
	if m.before, m.err = process.Read(m.job.PID); m.err != nil {
		m.state = done
		return
	}
	if m.job.HeapStats != "" {
		heap, err := heapstats.Ask(m.job.PID, m.job.HeapStats)
		m.heap, m.heapError = heap, err
	}
	if m.job.Count {
		if m.counter, m.err = countSyscalls(m.job.PID); m.err != nil {
			m.result.SyscallsError, m.err = m.err.Error(), nil
		}
	}
	m.client, _ = process.CPU(os.Getpid())
	m.cpu, m.err = process.CPU(m.job.PID)
	m.begun = m.clock()
	m.change, m.limit = m.begun+m.job.Duration, m.begun+MostLonger*m.job.Duration
	m.requests = 0
	m.state = measuring
}

func (m *Meter) end() {
	m.state, m.answered = done, m.requests
	cpu, err := process.CPU(m.job.PID)
	if err != nil {
		m.err = err
		return
	}
	m.ended = m.clock()
	client, _ := process.CPU(os.Getpid())
	if m.counter != nil {
		n, err := m.counter.stop()
		if err != nil {
			m.result.SyscallsError = err.Error()
		}
		m.result.Syscalls = float64(n)
	}
	if m.job.HeapStats != "" {
		m.endHeap()
	}
	after, err := process.Read(m.job.PID)
	if err != nil {
		m.err = err
		return
	}
	r := &m.result
	r.Requests, r.Elapsed = m.answered, m.ended-m.begun
	r.CPU, r.ClientCPU = cpu-m.cpu, client-m.client
	user, system := after.User-m.before.User, after.System-m.before.System
	if sum := user + system; sum > 0 {
		r.User = time.Duration(float64(r.CPU) * float64(user) / float64(sum))
		r.System = r.CPU - r.User
	}
	r.Voluntary = after.Voluntary - min(after.Voluntary, m.before.Voluntary)
	r.Involuntary = after.Involuntary - min(after.Involuntary, m.before.Involuntary)
	r.RSS = after.RSS
}

func (m *Meter) endHeap() {
	after, err := heapstats.Ask(m.job.PID, m.job.HeapStats)
	if err = cmp.Or(m.heapError, err); err != nil {
		m.result.HeapError = err.Error()
		return
	}
	m.result.Heap = &Heap{after.Mallocs - m.heap.Mallocs, after.TotalAlloc - m.heap.TotalAlloc}
}

// Result returns what was measured, once Running has returned false.
func (m *Meter) Result() (Result, error) {
	if m.err != nil {
		return Result{}, m.err
	}
	if m.answered == 0 && m.result.PerConn == 0 {
		return Result{}, fmt.Errorf("no request was answered in %v", m.job.Duration)
	}
	r := m.result
	at := func(q float64) time.Duration { return time.Duration(m.latency.ValueAtQuantile(q)) }
	r.Latency = Latency{at(50), at(90), at(99), at(99.9), time.Duration(m.latency.Max())}
	return r, nil
}

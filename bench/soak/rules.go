package soak

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goproactor/goproactor/proactor"
)

// count is a number of things, by name.
type count struct {
	count int64
	what  string
}

// open is what clients, and handlers for them, have open: nothing when they pause.
func open(s proactor.LoopStats) []count {
	return []count{
		{int64(s.Conns), "connections"},
		{int64(s.Tasks), "handlers"},
		{int64(s.Files), "files"},
		{int64(s.BuffersOut), "leases"},
		{s.Held, "bytes held"},
		{int64(s.AlignedBytes), "bytes of aligned memory"},
		{int64(s.Timers), "timers"},
	}
}

// Sample is what there was when all clients paused.
type Sample struct {
	After       time.Duration
	Episodes    int64
	Goroutines  int64
	Descriptors int64
	InFlight    int64 // operations, that is slots in use: of listeners and wake-ups
	Buffers     int64 // bytes of receive buffers
	Heap        int64 // other bytes that live, after a collection
	Resident    int64 // bytes of the process, after memory was given back
}

const (
	// settleLimit is how long what was open when the clients paused may take to end. It
	// only bounds a soak that has failed.
	settleLimit = 30 * time.Second

	// idleLimit is how long a sample waits for what was kept for the next and has more
	// than before. Not all of it ends.
	idleLimit = 2 * time.Second
)

// sample waits until nothing is left of the clients, and counts.
func (s *soak) sample(after time.Duration) Sample {
	for _, w := range s.worlds {
		l, _ := w.now()
		l.goroutines.Wait()
		var left []count
		settle(settleLimit, func() bool {
			left = slices.DeleteFunc(open(l.rt.Stats().Total()), func(c count) bool { return c.count == 0 })
			return len(left) == 0
		})
		for _, c := range left {
			w.failf("all clients paused %v ago, and there are %d %s, expected 0", settleLimit, c.count, c.what)
		}
	}
	bounds := s.most
	settle(settleLimit, func() bool {
		operations, _ := s.inUse()
		return bounds.InFlight == 0 || operations <= bounds.InFlight
	})
	settle(idleLimit, func() bool {
		debug.FreeOSMemory()
		return bounds.Goroutines == 0 || int64(runtime.NumGoroutine()) <= bounds.Goroutines+goroutineSlack &&
			descriptors() <= bounds.Descriptors+descriptorSlack
	})
	for range collections {
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	operations, buffers := s.inUse()
	return Sample{
		After: after, Episodes: s.episodes.Load(), Goroutines: int64(runtime.NumGoroutine()), Descriptors: descriptors(),
		InFlight: operations, Buffers: buffers, Heap: int64(m.HeapAlloc) - buffers, Resident: resident(),
	}
}

// collections is how many garbage collections free what the runtime that was replaced
// last held: a sync.Pool lets go of what is in it with the second, and what a cleanup
// keeps goes with the one after it.
const collections = 3

// inUse counts the operations in flight, and the bytes of receive buffers.
func (s *soak) inUse() (operations, buffers int64) {
	for _, w := range s.worlds {
		l, _ := w.now()
		total := l.rt.Stats().Total()
		operations, buffers = operations+int64(total.InFlight), buffers+int64(total.BufferBytes)
	}
	return operations, buffers
}

// settle waits for what is about to happen.
func settle(limit time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func descriptors() int64 {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return int64(len(names)) - 1 // without the one that reads
}

func resident() (bytes int64) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	fmt.Sscan(string(text), &size, &pages)
	return pages * int64(unix.Getpagesize())
}

// The rule: the first quarter of the samples is the warm-up. Operations in flight may
// never be more than they were by then. Goroutines and descriptors may in the median of
// the last quarter exceed that by a fixed slack: coroutines, workers and pipes that have
// served are kept for the next, and a runtime has the more of them the older it is. Of bytes, the median of the last quarter may exceed
// the median of the quarter after the warm-up by a tenth and a fixed slack. How many
// receive buffers a runtime has depends on its age, too: the heap is counted without them,
// and resident memory may grow by the most that there were, as nobody knows how many of
// them were touched.
var rules = []rule{
	{what: "goroutines", of: func(s Sample) int64 { return s.Goroutines }, slack: goroutineSlack},
	{what: "descriptors", of: func(s Sample) int64 { return s.Descriptors }, slack: descriptorSlack},
	{what: "operations in flight", of: func(s Sample) int64 { return s.InFlight }},
	{what: "heap", of: func(s Sample) int64 { return s.Heap }, bytes: true, slack: 4 << 20},
	{what: "resident memory", of: func(s Sample) int64 { return s.Resident }, bytes: true, slack: 32 << 20, withBuffers: true},
}

const (
	goroutineSlack  = 64
	descriptorSlack = 16
)

type rule struct {
	what  string
	of    func(Sample) int64
	bytes bool
	slack int64

	withBuffers bool // counts the receive buffers that were touched
}

// Verdict is what a rule says about the samples.
type Verdict struct {
	What                 string
	Before, After, Limit int64
	Bytes                bool
	Holds                bool
}

// leastSamples is how many it takes for a verdict: one in each quarter.
const leastSamples = 4

func (r rule) judge(samples []Sample) Verdict {
	quarter := len(samples) / 4
	values := func(of []Sample) (all []int64) {
		for _, s := range of {
			all = append(all, r.of(s))
		}
		slices.Sort(all)
		return all
	}
	median := func(of []Sample) int64 { return values(of)[len(of)/2] }
	v := Verdict{What: r.what, Bytes: r.bytes}
	switch {
	case r.slack == 0:
		v.Before, v.After = slices.Max(values(samples[:quarter])), slices.Max(values(samples[quarter:]))
		v.Limit = v.Before
	case !v.Bytes:
		v.Before, v.After = slices.Max(values(samples[:quarter])), median(samples[len(samples)-quarter:])
		v.Limit = v.Before + r.slack
	default:
		v.Before, v.After = median(samples[quarter:2*quarter]), median(samples[len(samples)-quarter:])
		v.Limit = v.Before + v.Before/10 + r.slack
		if r.withBuffers {
			v.Limit += slices.MaxFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Buffers, b.Buffers) }).Buffers
		}
	}
	v.Holds = v.After <= v.Limit
	return v
}

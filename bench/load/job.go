// Package load generates the load and measures. It runs in a process of its
// own, on the other core than the server.
//
//   - [Job] and [Result] pass between the benchmark and the generator;
//   - [Net] moves the bytes: one thread on a queue of package ring;
//   - [Meter] delimits the measured interval and counts.
//
// What is done with them is a workload, in package workload.
package load

import "time"

// Job is one run: what to do, to which server, for how long.
type Job struct {
	Workload string `json:"workload"`
	Addr     string `json:"addr"`
	PID      int    `json:"pid"` // the server's

	Size   int `json:"size"`            // bytes a message
	Conns  int `json:"conns"`           // active connections
	Window int `json:"window"`          // messages outstanding on each
	Idle   int `json:"idle,omitempty"`  // connections that do nothing
	Light  int `json:"light,omitempty"` // connections that ask for little

	// Rate, messages a second over all connections, makes an open loop: a
	// message is due at its time whether or not earlier ones have been
	// answered, and its latency counts from then. Zero is a closed loop.
	Rate float64 `json:"rate,omitempty"`

	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`

	Check bool `json:"check,omitempty"` // compare every byte
	Spin  bool `json:"spin,omitempty"`  // never sleep, so that waking up is not part of the latency
	Count bool `json:"count,omitempty"` // count system calls: exact, but each costs a little more

	HeapStats string `json:"heap_stats,omitempty"` // file to ask the server for allocations by, if it can tell
}

// Turn is how many requests are on the way at once.
func (j Job) Turn() int { return j.Conns * max(j.Window, 1) }

// Longest is how long the job may take, see [MostLonger].
func (j Job) Longest() time.Duration {
	if j.Rate > 0 {
		return j.Warmup + j.Duration
	}
	return MostLonger * (j.Warmup + j.Duration)
}

// Expected is how long it probably takes: a message costs some ten
// microseconds, less when many come together, and its bytes take their time.
func (j Job) Expected() time.Duration {
	if j.Rate > 0 {
		return j.Warmup + j.Duration
	}
	message := 10*time.Microsecond/time.Duration(max(j.Window, 1)) + time.Duration(float64(j.Size)/1.2)
	turn := time.Duration(j.Turn()) * message
	return min(max(j.Warmup, WarmTurns*turn), MostLonger*j.Warmup) + min(max(j.Duration, MeasuredTurns*turn), MostLonger*j.Duration)
}

// Result is what a run measured.
type Result struct {
	Requests float64       `json:"requests"` // answered in the interval; a part of a message is a part of a request
	Elapsed  time.Duration `json:"elapsed"`

	CPU         time.Duration `json:"cpu"`    // of the server
	User        time.Duration `json:"user"`   // its share in user mode
	System      time.Duration `json:"system"` // and in the kernel
	Voluntary   uint64        `json:"voluntary_switches"`
	Involuntary uint64        `json:"involuntary_switches"`
	RSS         int64         `json:"rss"` // bytes, at the end

	Latency Latency `json:"latency"`

	Syscalls      float64 `json:"syscalls,omitempty"` // of the server, if counted
	SyscallsError string  `json:"syscalls_error,omitempty"`

	Heap      *Heap  `json:"heap,omitempty"` // what the server allocated, if asked
	HeapError string `json:"heap_error,omitempty"`

	PerConn int64 `json:"bytes_per_conn,omitempty"` // memory an idle connection takes
	Missed  int   `json:"missed,omitempty"`         // messages of an open loop that were unanswered when it ended

	ClientCPU time.Duration `json:"client_cpu"` // of the generator
}

// Heap is what was allocated in the interval.
type Heap struct {
	Objects uint64 `json:"objects"`
	Bytes   uint64 `json:"bytes"`
}

// Latency is a distribution.
type Latency struct {
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

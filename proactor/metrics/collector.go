package metrics

import (
	"strconv"

	"github.com/goproactor/goproactor/proactor"
	"github.com/prometheus/client_golang/prometheus"
)

// Option changes what NewCollector makes.
type Option func(*collector)

// WithNamespace has the names begin with another word than goproactor.
func WithNamespace(namespace string) Option {
	return func(c *collector) { c.namespace = namespace }
}

// WithLabels adds labels to every metric: two runtimes in one registry need some that
// differ.
func WithLabels(labels prometheus.Labels) Option {
	return func(c *collector) { c.labels = labels }
}

// NewCollector makes a collector of the runtime's counters, a value for each loop, to be
// registered with a prometheus.Registerer. Any goroutine may collect; a loop that a
// handler holds up delays that by a tenth of a second at most, see
// proactor.Runtime.Stats. Turns are there as a histogram if the runtime has
// proactor.WithTurnLatency.
func NewCollector(rt *proactor.Runtime, opts ...Option) prometheus.Collector {
	c := &collector{rt: rt, namespace: "goproactor"}
	for _, set := range opts {
		set(c)
	}
	for _, m := range loopMetrics {
		c.loops = append(c.loops, c.describe(m.name, m.help, "loop"))
	}
	c.turn = c.describe("turn_duration_seconds", "How long turns of a loop took, without waiting and system calls.", "loop")
	c.info = c.describe("backend_info", "The backend and the kernel of the runtime, and 1.", "backend", "kernel")
	return c
}

// loopMetric is a number that each loop has.
type loopMetric struct {
	name  string
	help  string
	kind  prometheus.ValueType
	value func(s *proactor.LoopStats) float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// loopMetrics are all fields of proactor.LoopStats but the histogram.
var loopMetrics = []loopMetric{
	{"operations_submitted_total", "Operations handed to the queue.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Submitted) }},
	{"completions_total", "Completions taken from the queue.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Completed) }},
	{"enters_total", "System calls that submit, wait, or both.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Enters) }},
	{"syscalls_total", "System calls made for operations and waiting.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Syscalls) }},
	{"completion_overflows_total", "Times that the completion queue was full.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Overflows) }},
	{"operations_abandoned", "Canceled operations that hold a thread still.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Abandoned) }},
	{"turns_total", "Turns of the loop.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Turns) }},
	{"operations_in_flight", "Operations submitted and not completed.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.InFlight) }},
	{"connections", "Open connections.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Conns) }},
	{"files", "Open files.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Files) }},
	{"sockets", "Sockets of listeners, packet sockets, dials and polls under way.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Others) }},
	{"tasks", "Running handlers and other tasks.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Tasks) }},
	{"timers", "Armed timers.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Timers) }},
	{"receive_buffers", "Receive buffers allocated.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Buffers) }},
	{"receive_buffer_bytes", "Memory allocated for receive buffers. What no receive has filled is not resident.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.BufferBytes) }},
	{"receive_buffers_leased", "Receive buffers that are leased.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.BuffersOut) }},
	{"aligned_memory_bytes", "Aligned memory that is not released.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.AlignedBytes) }},
	{"registered_memory_bytes", "Aligned memory that is registered with the queue.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.RegisteredBytes) }},
	{"connections_accepted_total", "Connections accepted.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Accepted) }},
	{"accept_pauses_total", "Times that accepting paused at the limit of connections.", counter, func(s *proactor.LoopStats) float64 { return float64(s.AcceptsPaused) }},
	{"accept_shortages_total", "Times that accepting paused for want of descriptors or memory.", counter, func(s *proactor.LoopStats) float64 { return float64(s.AcceptShortages) }},
	{"receives_without_buffer_total", "Receives refused for want of a buffer (ENOBUFS), and armed again.", counter, func(s *proactor.LoopStats) float64 { return float64(s.NoBuffers) }},
	{"receive_pauses_total", "Receives paused because nobody read.", counter, func(s *proactor.LoopStats) float64 { return float64(s.ReceivesPaused) }},
	{"held_bytes", "Received data, and memory to send, that is held.", gauge, func(s *proactor.LoopStats) float64 { return float64(s.Held) }},
	{"conns_rebalanced_total", "Connections that rebalancing has moved to another loop.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Rebalanced) }},
	{"receives_copied_total", "Receives copied out of their buffer at once.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Copied) }},
	{"connections_over_budget_total", "Connections ended because more was held than may be.", counter, func(s *proactor.LoopStats) float64 { return float64(s.OverBudget) }},
	{"late_completions_total", "Completions of operations that were over.", counter, func(s *proactor.LoopStats) float64 { return float64(s.Late) }},
	{"posts_delayed_total", "Calls of Loop.Do that waited because the loop did not keep up.", counter, func(s *proactor.LoopStats) float64 { return float64(s.PostsDelayed) }},
	{"longest_turn_seconds", "For how long the watchdog has seen the loop held up at most.", gauge, func(s *proactor.LoopStats) float64 { return s.LongestTurn.Seconds() }},
}

// collector implements prometheus.Collector.
type collector struct {
	rt        *proactor.Runtime
	namespace string
	labels    prometheus.Labels
	loops     []*prometheus.Desc // of loopMetrics
	turn      *prometheus.Desc
	info      *prometheus.Desc
}

func (c *collector) describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(c.namespace, "", name), help, labels, c.labels)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.loops {
		to <- d
	}
	to <- c.turn
	to <- c.info
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for i, s := range c.rt.Stats() {
		loop := strconv.Itoa(i)
		for j, m := range loopMetrics {
			to <- prometheus.MustNewConstMetric(c.loops[j], m.kind, m.value(&s), loop)
		}
		if h := s.TurnLatency; h != nil {
			to <- prometheus.MustNewConstHistogram(c.turn, h.Count(), h.Sum.Seconds(), bucketsOf(h), loop)
		}
	}
	backend := c.rt.Backend()
	to <- prometheus.MustNewConstMetric(c.info, gauge, 1, backend.Backend.String(), backend.Kernel)
}

// bucketsOf are the cumulative counts by their bounds in seconds. That of the last
// bucket is the count of all, which Prometheus adds.
func bucketsOf(h *proactor.Histogram) map[float64]uint64 {
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, n := range h.Counts[:proactor.HistogramBuckets-1] {
		sum += n
		buckets[proactor.HistogramBound(i).Seconds()] = sum
	}
	return buckets
}

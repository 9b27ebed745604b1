package proactor

import (
	"context"
	"sync"
	"time"

	"github.com/goproactor/goproactor/ring"
)

// counters are a loop's own, written by its thread only.
type counters struct {
	accepted        uint64
	acceptsPaused   uint64
	acceptShortages uint64
	noBuffers       uint64
	paused          uint64
	overBudget      uint64
	rebalanced      uint64
}

// LoopStats are the counters of one loop since it started.
type LoopStats struct {
	ring.Stats
	Turns           uint64 // rounds of the loop
	InFlight        int    // operations submitted and not completed
	Conns           int    // open connections
	Files           int    // open files
	Others          int    // what else is open: sockets of listeners, PacketConns, dials and polls under way
	Tasks           int    // running handlers
	Timers          int    // armed timers
	Buffers         int    // receive buffers allocated
	BufferBytes     int    // memory allocated for them; what no receive has filled is not resident
	BuffersOut      int    // of them, leased
	AlignedBytes    int    // of AlignedMemory, not released
	RegisteredBytes int    // of them, registered with the queue
	Accepted        uint64 // connections accepted
	AcceptsPaused   uint64 // times accepting paused at the connection limit
	AcceptShortages uint64 // times accepting paused for want of descriptors or memory, or was refused by a policy
	NoBuffers       uint64 // receives refused for want of a buffer (ENOBUFS), and armed again
	ReceivesPaused  uint64 // receives paused because nobody read
	Held            int64  // bytes held: received data, Loop.Buffer, Reader and Writer, see WithMemoryBudget
	Copied          uint64 // receives copied out of their buffer at once: the connection held its share of buffers, or nobody waited
	OverBudget      uint64 // connections ended with ErrOverBudget
	Rebalanced      uint64 // connections that rebalancing has moved to another loop, see WithRebalancing
	Late            uint64 // completions of operations that had ended before
	PostsDelayed    uint64 // calls of Loop.Do that waited because the loop did not keep up

	// LongestTurn is the longest stall that the watchdog has seen, to within half
	// the stall limit (WithStallLimit); zero if no turn took longer than the limit.
	LongestTurn time.Duration

	// TurnLatency is how long turns took, nil without WithTurnLatency. A turn is all
	// that a loop does between two looks for completions: it runs the callbacks and
	// handlers that have something to do. What becomes ready meanwhile waits until its
	// end. The system calls in which a loop submits and waits are no part of it.
	TurnLatency *Histogram
}

// Stats are the counters of a runtime, one LoopStats for each loop.
type Stats []LoopStats

// Stats returns the counters of each loop, or the last ones of a loop that has
// ended. Any goroutine may call it, and a handler too.
//
// It asks the loops, and waits a tenth of a second at most. If a loop has not
// answered by then, because a handler blocks it, its counters are those of the end
// of its last turn. On a loop Stats does not wait: the counters of that loop are
// the present ones, and those of the others are of the end of their last turn.
func (rt *Runtime) Stats() Stats {
	stats := make(Stats, len(rt.loops))
	if here := rt.currentLoop(); here != nil {
		for i, l := range rt.loops {
			stats[i] = l.lastStats()
		}
		stats[here.index()] = here.snapshot()
		return rt.withLatency(stats)
	}
	answers := make([]chan LoopStats, len(rt.loops))
	for i, l := range rt.loops {
		answer := make(chan LoopStats, 1)
		answers[i] = answer
		l.engine.Do(func() { answer <- l.snapshot() })
	}
	patience, enough := context.WithTimeout(context.Background(), rt.options.statsPatience)
	defer enough()
	for i, l := range rt.loops {
		select {
		case stats[i] = <-answers[i]:
			continue
		case <-l.engine.Stopped():
		case <-patience.Done():
		}
		stats[i] = l.lastStats()
	}
	return rt.withLatency(stats)
}

// withLatency adds what is not copied in each turn.
func (rt *Runtime) withLatency(stats Stats) Stats {
	for i, l := range rt.loops {
		stats[i].TurnLatency = histogramOf(l.engine.TurnLatency())
	}
	return stats
}

// publication is a copy of a loop's counters for callers that cannot wait for
// the loop. The mutex is held only while they are copied.
type publication struct {
	mu    sync.Mutex
	stats LoopStats
}

// offer publishes the counters, unless somebody is reading.
func (p *publication) offer(l *Loop) {
	if p.mu.TryLock() {
		p.stats = l.snapshot()
		p.mu.Unlock()
	}
}

// lastStats are the counters at the end of the last turn. LongestTurn includes the
// present turn.
func (l *Loop) lastStats() LoopStats {
	p := &l.published
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.LongestTurn = l.engine.LongestTurn()
	buffers, bytes := l.engine.EndedLate()
	stats.BuffersOut -= buffers
	stats.Held -= bytes
	return stats
}

// Total is the sum over the loops; its LongestTurn is the longest of all.
func (s Stats) Total() LoopStats {
	var t LoopStats
	for _, l := range s {
		t.Submitted += l.Submitted
		t.Completed += l.Completed
		t.Enters += l.Enters
		t.Syscalls += l.Syscalls
		t.Overflows += l.Overflows
		t.Abandoned += l.Abandoned
		t.Turns += l.Turns
		t.InFlight += l.InFlight
		t.Conns += l.Conns
		t.Files += l.Files
		t.Others += l.Others
		t.Tasks += l.Tasks
		t.Timers += l.Timers
		t.Buffers += l.Buffers
		t.BufferBytes += l.BufferBytes
		t.BuffersOut += l.BuffersOut
		t.AlignedBytes += l.AlignedBytes
		t.RegisteredBytes += l.RegisteredBytes
		t.Accepted += l.Accepted
		t.AcceptsPaused += l.AcceptsPaused
		t.AcceptShortages += l.AcceptShortages
		t.NoBuffers += l.NoBuffers
		t.ReceivesPaused += l.ReceivesPaused
		t.Held += l.Held
		t.Copied += l.Copied
		t.OverBudget += l.OverBudget
		t.Rebalanced += l.Rebalanced
		t.Late += l.Late
		t.PostsDelayed += l.PostsDelayed
		t.LongestTurn = max(t.LongestTurn, l.LongestTurn)
		t.TurnLatency = t.TurnLatency.plus(l.TurnLatency)
	}
	return t
}

func (l *Loop) snapshot() LoopStats {
	return LoopStats{
		Stats:           l.engine.Queue().Stats(),
		Turns:           l.engine.Turns(),
		InFlight:        l.engine.InFlight(),
		Conns:           len(l.conns),
		Files:           len(l.openFiles),
		Others:          len(l.residents),
		Tasks:           l.engine.Tasks().Len(),
		Timers:          l.engine.Timers(),
		Buffers:         l.buffers.Buffers() + l.bulk.Buffers() + l.messages.Buffers(),
		BufferBytes:     l.buffers.Bytes() + l.bulk.Bytes() + l.messages.Bytes(),
		BuffersOut:      l.buffers.Out() + l.bulk.Out() + l.messages.Out(),
		AlignedBytes:    l.memory.bytes,
		RegisteredBytes: l.memory.registered,
		Accepted:        l.counts.accepted,
		AcceptsPaused:   l.counts.acceptsPaused,
		AcceptShortages: l.counts.acceptShortages,
		NoBuffers:       l.counts.noBuffers,
		ReceivesPaused:  l.counts.paused,
		Held:            l.engine.Held(),
		Copied:          l.buffers.Copied() + l.bulk.Copied() + l.messages.Copied(),
		OverBudget:      l.counts.overBudget,
		Rebalanced:      l.counts.rebalanced,
		Late:            l.engine.Late(),
		PostsDelayed:    l.postsDelayed.Load(),
		LongestTurn:     l.engine.LongestTurn(),
	}
}

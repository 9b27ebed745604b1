package proactor

import (
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"time"

	"github.com/goproactor/goproactor/ring"
)

// Option changes how New sets a runtime up.
type Option func(*options) error

type options struct {
	backend       Backend
	loops         int
	pin           bool
	entries       uint32
	bufferSize    int
	bufferCount   int
	memoryBudget  int64
	highWater     int
	zeroCopy      int
	drainTimeout  time.Duration
	maxConns      int
	listenBacklog int
	stallLimit    time.Duration
	busyPoll      time.Duration
	turnLatency   bool
	fileWorkers   int
	logger        *slog.Logger
	tracer        Tracer
}

func defaultOptions() options {
	return options{
		backend:       Auto,
		loops:         runtime.GOMAXPROCS(0),
		entries:       1024,
		bufferSize:    32 << 10,
		bufferCount:   4096,
		memoryBudget:  1 << 30,
		highWater:     256 << 10,
		drainTimeout:  10 * time.Second,
		listenBacklog: 4096,
		stallLimit:    time.Second,
		fileWorkers:   16,
	}
}

// WithBackend asks for a backend. The default, Auto, takes io_uring where it
// is to be had and epoll where not; asking for IOUring where it is not is an
// error.
func WithBackend(b Backend) Option {
	return func(o *options) error {
		if b != Auto && b != IOUring && b != Epoll {
			return fmt.Errorf("proactor: backend %d: want Auto, IOUring or Epoll", b)
		}
		o.backend = b
		return nil
	}
}

// WithLoops sets the number of loops. The default is GOMAXPROCS.
func WithLoops(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 1024 {
			return fmt.Errorf("proactor: %d loops: want 1 to 1024", n)
		}
		o.loops = n
		return nil
	}
}

// WithPinning binds each loop's thread to a processor of its own, in order,
// among those the process may use.
func WithPinning() Option {
	return func(o *options) error { o.pin = true; return nil }
}

// WithBuffers sets the size in bytes of a receive buffer and how many of them
// a loop may have. Memory is taken as it is needed. The default is 4096 of
// 32 KiB. Connections that fill such buffers use others eight times as large,
// of which a loop may have an eighth as many.
func WithBuffers(size, count int) Option {
	return func(o *options) error {
		if size < 64 || size > 16<<20 {
			return fmt.Errorf("proactor: buffers of %d bytes: want 64 to %d", size, 16<<20)
		}
		if count < 1 || count > ring.MaxBufferRing {
			return fmt.Errorf("proactor: buffer count %d: want 1 to %d", count, ring.MaxBufferRing)
		}
		o.bufferSize, o.bufferCount = size, 1<<bits.Len(uint(count-1))
		return nil
	}
}

// WithMemoryBudget sets how many bytes of received data the runtime's connections
// may hold together: leases that the program has, data that nobody has read, data
// that waits to be sent on, and what a Writer has and has queued. Each loop has an
// equal part of it, and one connection at most a quarter of that. The connections that
// hold most are ended first, with ErrOverBudget; it is logged, and counted in
// LoopStats. The default is 1 GiB.
//
// A connection holds a few buffers at most (see LoopStats.Copied): what it holds
// beyond is memory of its own, so that buffers for others are always there.
func WithMemoryBudget(bytes int64) Option {
	return func(o *options) error {
		if bytes < 1 {
			return fmt.Errorf("proactor: memory budget of %d bytes: want at least 1", bytes)
		}
		o.memoryBudget = bytes
		return nil
	}
}

// WithHighWater sets how many bytes a connection may have queued to send
// before Queue waits. The default is 256 KiB.
func WithHighWater(bytes int) Option {
	return func(o *options) error {
		if bytes < 1 {
			return fmt.Errorf("proactor: high-water mark of %d bytes: want at least 1", bytes)
		}
		o.highWater = bytes
		return nil
	}
}

// WithZeroCopy has every send of a connection of at least that many bytes go out
// as by SendZeroCopy, futures and leases ending as late included. The default,
// zero, is never: it costs more than a copy unless the messages are large and the
// network is real.
func WithZeroCopy(bytes int) Option {
	return func(o *options) error {
		if bytes < 0 {
			return fmt.Errorf("proactor: sends without copy from %d bytes on: want zero (never) or more", bytes)
		}
		o.zeroCopy = bytes
		return nil
	}
}

// WithDrainTimeout sets how long a closed connection goes on sending what is
// queued. The default is 10 seconds; zero drops it.
func WithDrainTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("proactor: drain timeout %v: want zero or more", d)
		}
		o.drainTimeout = d
		return nil
	}
}

// WithMaxConns limits how many accepted connections of a listener are open at
// once. At the limit accepting pauses, and the kernel's queue fills. The
// default, zero, is no limit.
func WithMaxConns(n int) Option {
	return func(o *options) error {
		if n < 0 {
			return fmt.Errorf("proactor: at most %d connections: want zero (no limit) or more", n)
		}
		o.maxConns = n
		return nil
	}
}

// WithBusyPoll makes a loop with nothing to do look for completions for d
// before it sleeps: what comes in within that time is answered without the cost
// of waking up, and a processor is busy meanwhile. Give each such loop a
// processor of its own (WithPinning, and fewer loops than GOMAXPROCS). The
// default, zero, is to sleep at once.
func WithBusyPoll(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("proactor: busy polling for %v: want zero (off) or more", d)
		}
		o.busyPoll = d
		return nil
	}
}

// WithTurnLatency has each loop record how long its turns take, in
// LoopStats.TurnLatency: the time for which what is ready may have to wait. It costs one
// look at the clock a turn, some 40 ns.
func WithTurnLatency() Option {
	return func(o *options) error { o.turnLatency = true; return nil }
}

// WithFileWorkers sets how many goroutines of a loop at most, each with a thread
// while it works, perform what may block on epoll: the operations on files. They
// are started when there is work. What they have no time for waits in its order.
// With io_uring the kernel has its own. The default is 16.
func WithFileWorkers(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 1024 {
			return fmt.Errorf("proactor: %d file workers: want 1 to 1024", n)
		}
		o.fileWorkers = n
		return nil
	}
}

// WithLogger has handlers' failures, panics and stalled loops logged, and what a loop
// runs short of: memory (WithMemoryBudget), receive buffers, descriptors to accept
// with, each once a second at most. Without one nothing is.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error { o.logger = l; return nil }
}

// WithStallLimit sets after how long a loop that does not turn is reported to
// the logger, if there is one, with the stack that holds it, and counted in
// LoopStats.LongestTurn. The default is a second; zero
// turns the watchdog off.
func WithStallLimit(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("proactor: stall limit %v: want zero (off) or more", d)
		}
		o.stallLimit = d
		return nil
	}
}

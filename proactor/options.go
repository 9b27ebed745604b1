package proactor

import (
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"slices"
	"time"

	"github.com/goproactor/goproactor/internal/kernelmask"
	"github.com/goproactor/goproactor/internal/queuehook"
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
	closePatience time.Duration // how long Close of a listener waits for the loops
	statsPatience time.Duration // how long Stats waits for the loops
	maxConns      int
	listenBacklog int
	stallLimit    time.Duration
	busyPoll      time.Duration
	submission    submissionThreads
	turnLatency   bool
	rebalancing   *rebalancing
	fileWorkers   int
	logger        *slog.Logger
	tracer        Tracer
	hook          queuehook.Hook
	masked        kernelmask.Mask
}

// HookQueue implements queuehook.Hooked, for packages of this module.
func (o *options) HookQueue(h queuehook.Hook) { o.hook = h }

// MaskKernel implements kernelmask.Maskable, for tests of this module.
func (o *options) MaskKernel(m kernelmask.Mask) { o.masked = m }

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
		closePatience: 5 * time.Second,
		statsPatience: 100 * time.Millisecond,
		listenBacklog: 4096,
		stallLimit:    time.Second,
		fileWorkers:   16,
	}
}

// WithBackend chooses the backend. The default, Auto, is io_uring if the system has it,
// else epoll. New fails with IOUring if the system does not have it.
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
// a loop may have. Memory is allocated as it is needed. The default is 4096 of
// 32 KiB. Connections that fill these buffers use others that are eight times as large,
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
// may hold together: leases that the program has, data that nobody has read, received
// data that waits to be sent, and the memory of Writers. Each loop has an
// equal part of the budget, and one connection at most a quarter of that. When it is
// exceeded, the connections that hold most are ended first, with ErrOverBudget; that is
// logged, and counted in LoopStats. The default is 1 GiB.
//
// A connection holds only a few receive buffers (see LoopStats.Copied). The rest of what
// it holds is copied to memory of its own, so that there are always buffers for others.
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

// WithZeroCopy makes every send of at least that many bytes a SendZeroCopy: its future
// resolves, and its lease ends, as late as with that. The default, zero, is never: on
// loopback, or for small messages, it costs more than a copy.
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
// once. At the limit accepting pauses, and the kernel's queue fills: a connection
// is taken from it only when there is a place, for which a loop polls before each
// accept. The default, zero, is no limit.
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
// before it sleeps: it handles those that come in this time without the cost
// of waking up, but keeps a processor busy. Give each such loop a
// processor of its own (WithPinning, and fewer loops than GOMAXPROCS). With the
// default, zero, it sleeps at once.
func WithBusyPoll(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("proactor: busy polling for %v: want zero (off) or more", d)
		}
		o.busyPoll = d
		return nil
	}
}

// WithSubmissionThread gives each loop a thread of the kernel that submits what the loop
// starts, and takes in what comes, such as the data of a receive (IORING_SETUP_SQPOLL of
// io_uring_setup(2)). The loop makes no system call then unless it has nothing to do, or the
// thread sleeps. The thread looks for something to do for idle, rounded up to
// milliseconds, before it sleeps: give it a time in which something always comes. With zero,
// the default, there is no such thread.
//
// The loop's thread of the kernel is bound to the processor of that number, if any are
// given: the i-th loop's to the i-th, and from the first again when there are fewer.
//
// It is for a server whose loops are at their limit while processors are idle. Each loop
// then takes two, all the time: its own, and one on which the kernel's thread spins. Where
// anything else is to run on that one, either waits for the other's time slice, milliseconds
// each time: a loop on it does a tenth of its work (docs/performance.md). So bind the
// threads, and keep loops and goroutines away from there. A thread that is not bound runs on any processor, also where the
// process may not. The loop still waits until what it has started has been begun, so that
// hardly anything else changes: ring.SubmissionThread lists it.
//
// The threads have the credentials (user, groups, capabilities) that the process had in New:
// give up privileges before, or files are opened with them.
//
// It needs io_uring. Every kernel that is a backend has such threads, but a security module
// may refuse them, and the process may not be allowed on a processor given. New with IOUring
// fails then; Auto takes epoll, and BackendInfo.Reason says why. The option has no effect on
// the epoll backend, whose loops do all by themselves.
func WithSubmissionThread(idle time.Duration, processors ...int) Option {
	return func(o *options) error {
		if idle < 0 || idle > ring.MaxIdle {
			return fmt.Errorf("proactor: submission thread that is idle for %v: want zero (off) to %v", idle, ring.MaxIdle)
		}
		for _, p := range processors {
			if p < 0 {
				return fmt.Errorf("proactor: submission thread on processor %d: want zero or more", p)
			}
		}
		o.submission = submissionThreads{idle, slices.Clone(processors)}
		return nil
	}
}

// submissionThreads are those of the kernel that submit for the loops.
type submissionThreads struct {
	idle       time.Duration // zero for none
	processors []int
}

// of is the thread of the i-th loop.
func (s *submissionThreads) of(i int) *ring.SubmissionThread {
	if s.idle == 0 {
		return nil
	}
	t := &ring.SubmissionThread{Idle: s.idle}
	if n := len(s.processors); n > 0 {
		t.Bound, t.Processor = true, s.processors[i%n]
	}
	return t
}

// WithTurnLatency has each loop record how long its turns take, in
// LoopStats.TurnLatency: the time that a completion may have to wait. It costs one
// reading of the clock for each turn, about 40 ns.
func WithTurnLatency() Option {
	return func(o *options) error { o.turnLatency = true; return nil }
}

// WithFileWorkers sets the maximum number of goroutines of a loop that perform
// operations on files, which may block, on the epoll backend. Each takes a thread while it
// works. They are started when there is work; more operations wait in their order. With
// io_uring the kernel has its own workers. The default is 16.
func WithFileWorkers(n int) Option {
	return func(o *options) error {
		if n < 1 || n > 1024 {
			return fmt.Errorf("proactor: %d file workers: want 1 to 1024", n)
		}
		o.fileWorkers = n
		return nil
	}
}

// WithLogger sets the logger for errors and panics of handlers, for stalled loops, and for
// shortages of a loop: memory (WithMemoryBudget), receive buffers, and descriptors to
// accept with, each at most once a second. Without it only panics and the failure of a loop
// are logged, by slog.Default().
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error { o.logger = l; return nil }
}

// WithStallLimit sets the time after which a loop whose handler or callback does not
// return counts as stalled. The logger gets the stack of that handler, and
// LoopStats.LongestTurn the time. The default is a second; zero turns the watchdog off.
func WithStallLimit(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("proactor: stall limit %v: want zero (off) or more", d)
		}
		o.stallLimit = d
		return nil
	}
}

package proactor_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stalls are ways to hold up a loop, until release.
var stalls = []struct {
	state, instead, function string
	make                     func(t *testing.T) (hold, release func())
}{
	{"waits on a channel", "futures.Promise", "receiveFrom", func(*testing.T) (hold, release func()) {
		c := make(chan struct{})
		return func() { receiveFrom(c) }, func() { close(c) }
	}},
	{"waits on a channel", "futures.Promise", "sendTo", func(*testing.T) (hold, release func()) {
		c := make(chan struct{})
		return func() { sendTo(c) }, func() { <-c }
	}},
	{"waits on a channel", "futures.Promise", "selectFrom", func(*testing.T) (hold, release func()) {
		c := make(chan struct{})
		return func() { selectFrom(c) }, func() { close(c) }
	}},
	{"waits for a mutex", "Loop.Do", "lock", func(*testing.T) (hold, release func()) {
		var mu sync.Mutex
		mu.Lock()
		return func() { lock(&mu) }, mu.Unlock
	}},
	{"waits for a mutex", "Loop.Do", "lock", func(*testing.T) (hold, release func()) {
		var mu sync.RWMutex
		mu.Lock()
		return func() { lock(mu.RLocker()) }, mu.Unlock
	}},
	{"waits for other goroutines", "futures.All", "waitFor", func(*testing.T) (hold, release func()) {
		var group sync.WaitGroup
		group.Add(1)
		return func() { waitFor(&group) }, group.Done
	}},
	{"sleeps", "Runtime.Sleep", "sleepUntil", func(*testing.T) (hold, release func()) {
		var done atomic.Bool
		return func() { sleepUntil(&done) }, func() { done.Store(true) }
	}},
	{"computes", "futures.Blocking", "compute", func(*testing.T) (hold, release func()) {
		var done atomic.Bool
		return func() { compute(&done) }, func() { done.Store(true) }
	}},
	{"is in a system call", "futures.Blocking", "systemCall", func(t *testing.T) (hold, release func()) {
		ends := osPipe(t)
		fd := int(ends[0].Fd()) // which makes it blocking
		return func() { systemCall(fd) }, func() { wrote(t, ends[1], "!") }
	}},
	{"waits for input or output", "futures.Blocking", "readFile", func(t *testing.T) (hold, release func()) {
		ends := osPipe(t)
		return func() { readFile(ends[0]) }, func() { wrote(t, ends[1], "!") }
	}},
}

//go:noinline
func receiveFrom(c chan struct{}) { <-c }

//go:noinline
func sendTo(c chan struct{}) { c <- struct{}{} }

//go:noinline
func selectFrom(c chan struct{}) {
	select {
	case <-c:
	case <-make(chan int):
	}
}

//go:noinline
func lock(l sync.Locker) {
	l.Lock()
	defer l.Unlock()
}

//go:noinline
func waitFor(group *sync.WaitGroup) { group.Wait() }

//go:noinline
func sleepUntil(done *atomic.Bool) {
	for !done.Load() {
		time.Sleep(time.Second / 4) // what the watchdog is to find: a handler that sleeps
	}
}

//go:noinline
func compute(done *atomic.Bool) {
	for !done.Load() {
	}
}

//go:noinline
func systemCall(fd int) { unix.Read(fd, make([]byte, 1)) }

//go:noinline
func readFile(r io.Reader) { io.ReadFull(r, make([]byte, 1)) }

// places are where a handler may be.
var places = map[string]func(rt *proactor.Runtime, l *proactor.Loop, hold func()){
	"a task": func(rt *proactor.Runtime, l *proactor.Loop, hold func()) {
		l.Go(context.Background(), func(context.Context) error { hold(); return nil })
	},
	"a callback": func(rt *proactor.Runtime, l *proactor.Loop, hold func()) { l.Do(hold) },
	"a sequence in a task": func(rt *proactor.Runtime, l *proactor.Loop, hold func()) {
		l.Go(context.Background(), func(context.Context) error {
			next, stop := iter.Pull(func(func(int) bool) { hold() })
			defer stop()
			next()
			return nil
		})
	},
}

// reported is what the watchdog has logged of a loop.
func reported(log *syncBuffer, loop int) string {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "loop stalled") && strings.Contains(line, fmt.Sprintf("loop=%d ", loop)) {
			return line
		}
	}
	return ""
}

// The watchdog names the handler, what it does and what to use instead, in one
// line for each loop, whatever else holds up other loops or is locked to a thread.
func TestWatchdogNamesTheHandlerThatStalls(t *testing.T) {
	for place, run := range places {
		for _, s := range stalls {
			t.Run(s.function+" in "+place, func(t *testing.T) {
				var log syncBuffer
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					other := make(chan struct{})
					rt.Loops()[0].Do(func() { receiveFrom(other) })
					defer close(other)
					got := ""
					there := func() bool {
						switch {
						case strings.Contains(got, `function=""`): // in the library: the machine stood still
							return false
						case strings.Contains(got, "state=computes"):
							return s.state == "computes" && strings.Contains(got, s.function)
						}
						return true
					}
					for got == "" || !there() { // it was on its way
						log.Reset()
						hold, release := s.make(t)
						run(rt, rt.Loops()[1], hold)
						eventually(t, func() bool { got = reported(&log, 1); return got != "" }, log.String)
						release()
					}
					require.Contains(t, got, s.state)
					require.Contains(t, got, "function=github.com/goproactor/goproactor/proactor_test."+s.function+" ")
					require.Contains(t, got, "watchdog_linux_test.go:")
					require.Contains(t, got, s.instead)
					require.GreaterOrEqual(t, rt.Stats().Total().LongestTurn, 5*time.Millisecond)
				}, proactor.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), proactor.WithStallLimit(5*time.Millisecond), proactor.WithStatsPatience(1))
			})
		}
	}
}

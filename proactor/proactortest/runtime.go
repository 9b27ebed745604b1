package proactortest

import (
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// patience is for how long the end of a test waits for what is about to end. It only
// bounds a test that has failed.
const patience = 10 * time.Second

// Start starts a runtime of one loop, which is closed when the test ends. By then
// everything that the test has opened on it has to be closed: the test fails for
// leases that were not released, and connections, files, listeners, tasks and timers
// that are left.
//
// What the runtime logs goes to the log of the test. opts may change that, and the
// number of loops.
func Start(t testing.TB, opts ...proactor.Option) *proactor.Runtime {
	t.Helper()
	out := &output{t: t}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	defaults := []proactor.Option{proactor.WithLoops(1), proactor.WithLogger(log)}
	rt, err := proactor.New(append(defaults, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer out.end()
		checkLeftovers(t, rt)
		end(t, "the runtime has not closed: a task does not return when its context ends", func() {
			if err := rt.Close(); err != nil {
				t.Error("closing the runtime: ", err)
			}
		})
	})
	return rt
}

// checkLeftovers fails the test for what is open on the runtime. What has just been
// closed is on its way, and waited for.
func checkLeftovers(t testing.TB, rt *proactor.Runtime) {
	t.Helper()
	var left []leftover
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left = leftovers(rt.Stats().Total())
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for _, l := range left {
		t.Errorf("%d %s left over", l.count, l.what)
	}
}

// leftover is what a test has not closed.
type leftover struct {
	count int64
	what  string
}

func leftovers(s proactor.LoopStats) (left []leftover) {
	for _, l := range []leftover{
		{int64(s.Tasks), "tasks: handlers, or what Go started, that have not returned are"},
		{int64(s.Conns), "connections: of Dial, Adopt or Accept, that nobody has closed, are"},
		{int64(s.Files), "files that nobody has closed are"},
		{int64(s.Others), "listeners, PacketConns, dials or polls that nobody has ended are"},
		{int64(s.BuffersOut), "leases that nobody has released are"},
		{s.Held, "bytes of leases that nobody has released are"},
		{int64(s.AlignedBytes), "bytes of aligned memory that nobody has released are"},
		{int64(s.Timers), "timers: of Every, Sleep or AfterFunc, that nobody has stopped, are"},
	} {
		if l.count > 0 {
			left = append(left, l)
		}
	}
	return left
}

// end runs fn and fails the test if it does not return, with the stacks of all
// goroutines.
func end(t testing.TB, failure string, fn func()) {
	t.Helper()
	if !within(patience, fn) {
		stacks := make([]byte, 1<<20)
		t.Errorf("%s:\n%s", failure, stacks[:runtime.Stack(stacks, true)])
	}
}

// within reports whether fn returns in time. If not, it goes on.
func within(d time.Duration, fn func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-done:
		return true
	case <-limit.C:
		return false
	}
}

// output is the log of a test. It may be written to when that has ended.
type output struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return len(p), nil
	}
	return o.t.Output().Write(p)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}

package engine

import (
	"fmt"
	"strings"

	"github.com/goproactor/goproactor/internal/goroutine"
)

// report logs what holds up a loop: in what state it is, where in the program,
// and what to use instead. It returns false if that is no handler: the loop turns
// again, or waits for a processor.
func (w *Watchdog) report(l *Loop) bool {
	log := l.config.Logger
	if log == nil {
		return true
	}
	holder, ok := goroutine.Holder(goroutine.All(), int(l.goroutine.Load()))
	if !ok || holder.Runs("engine.(*Loop).enter") {
		return false
	}
	stall := stallOf(holder.State)
	frame := culprit(holder)
	if frame == (goroutine.Frame{}) && (stall == computing || holder.State == "semacquire") { // the Go runtime's own
		return false
	}
	log.Warn("loop stalled: a handler or callback holds its thread",
		"loop", l.config.Index, "limit", w.limit, "state", stall.state,
		"function", frame.Function, "at", fmt.Sprintf("%s:%d", frame.File, frame.Line),
		"use", stall.instead, "stack", holder.Text)
	return true
}

// stall is what a handler does that holds up its loop.
type stall struct {
	state   string // in words
	instead string // what the library has for it
}

// computing is a stall in which nothing is waited for.
var computing = stall{"computes", "futures.Blocking around what takes long"}

// stallOf tells it from the state of the goroutine, as the runtime names it.
func stallOf(state string) stall {
	switch {
	case strings.HasPrefix(state, "chan "), strings.HasPrefix(state, "select"):
		return stall{"waits on a channel", "Await of a futures.Promise or futures.Stream in place of the channel, or futures.Blocking around the wait"}
	case strings.HasPrefix(state, "sync.Mutex"), strings.HasPrefix(state, "sync.RWMutex"):
		return stall{"waits for a mutex", "state of one loop, reached with Loop.Do, in place of the mutex; hold a mutex for a few instructions and never across Await"}
	case strings.HasPrefix(state, "sync."), state == "semacquire":
		return stall{"waits for other goroutines", "futures.Go and futures.All, or futures.Blocking around the wait"}
	case state == "sleep":
		return stall{"sleeps", "Runtime.Sleep and Await"}
	case state == "IO wait":
		return stall{"waits for input or output", "the connections and files of package proactor, or futures.Blocking around the call"}
	case state == "syscall":
		return stall{"is in a system call", "the connections and files of package proactor, or futures.Blocking around the call"}
	case state == "running", state == "runnable":
		return computing
	}
	return stall{"waits: " + state, "futures.Blocking around the wait"}
}

// library is what the import paths of the library's own packages begin with.
const library = "github.com/goproactor/goproactor/"

// culprit is the program's function that does it: the innermost that is neither of
// the standard library, nor a wrapper of a system call, nor of this library.
func culprit(s goroutine.Stack) goroutine.Frame {
	for _, f := range s.Frames {
		if !f.Standard() && !isLibrary(f.Package()) {
			return f
		}
	}
	return goroutine.Frame{}
}

func isLibrary(path string) bool {
	inside, ok := strings.CutPrefix(path, library)
	switch inside {
	case "proactor", "futures", "ring", "epollfallback":
		return ok
	}
	return ok && strings.HasPrefix(inside, "internal/") || strings.HasPrefix(path, "golang.org/x/sys/")
}

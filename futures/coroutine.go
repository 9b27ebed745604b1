package futures

import (
	"context"
	"iter"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"

	"github.com/goproactor/goproactor/internal/goroutine"
)

// coroutine runs one task after the other. It is created, resumed and ended
// by the executor's goroutine: the runtime stops the process if the locked
// thread is not always the same.
type coroutine struct {
	task      *Task
	next      func() (struct{}, bool)
	stop      func()
	yield     func(struct{}) bool
	goroutine uintptr
}

func newCoroutine() *coroutine {
	c := new(coroutine)
	c.next, c.stop = iter.Pull(c.live)
	return c
}

// goexit is what comes out of next in place of a Goexit. See live.
type goexit struct{}

// switchTo enters a coroutine until it gives way. It returns false when the
// task has taken the coroutine with it by runtime.Goexit.
func switchTo(enter func() (struct{}, bool)) (alive bool) {
	defer func() {
		if value := recover(); value != nil && value != (goexit{}) {
			panic(value)
		}
	}()
	enter()
	return true
}

// live runs one task after the other.
//
// Nothing stops a Goexit, and iter.Pull would repeat it in the goroutine that
// called next: the loop's own. But what iter.Pull finds first is a panic, so a
// panic raised while the goroutine exits is what comes out of next, and that
// can be recovered. The goroutine ends, the loop never notices.
func (c *coroutine) live(yield func(struct{}) bool) {
	c.yield, c.goroutine = yield, goroutine.Current()
	over := false
	defer func() {
		if !over {
			panic(goexit{})
		}
	}()
	for {
		c.run()
		pprof.SetGoroutineLabels(context.Background()) // what the task left set is not the next one's
		if !yield(struct{}{}) {
			over = true
			return
		}
	}
}

// run is the life of a task.
func (c *coroutine) run() {
	t := c.task
	t.leave, t.goroutine = c.yield, c.goroutine
	defer c.ran(t)
	t.result = ErrGoexit        // unless it says otherwise
	pprof.SetGoroutineLabels(t) // those of its parent
	if trace.IsEnabled() {
		defer trace.StartRegion(t, t.name()).End()
	}
	t.result = t.job.Run(t)
	t.phase = finished
}

// ran deals with functions that did not return. A panic ends here. A Goexit goes on:
// see live. So does one whose deferred functions panic, after the panic is recovered.
func (c *coroutine) ran(t *Task) {
	if t.phase == finished {
		return
	}
	t.phase = finished
	if value := recover(); value != nil {
		t.result = &PanicError{value, debug.Stack()}
	}
}

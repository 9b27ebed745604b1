package futures

import (
	"context"
	"runtime"
)

// Yield lets others run: a task that computes for long calls it now and then. The
// loop first runs everything that is ready, and a loop of package proactor delivers
// the completions that have come, before the task goes on. On an ordinary goroutine
// Yield is runtime.Gosched.
//
// The error is ctx's if that has ended, so that a long computation ends with it. In
// a callback of a loop, which cannot wait, it is ErrNoTask. Yield allocates nothing.
func Yield(ctx context.Context) error {
	e, err := taskEntry(ctx)
	if err != nil {
		return err
	}
	if e == nil {
		runtime.Gosched()
	} else {
		e.task.scheduler.exec.Post((*yielded)(e))
		e.wait(context.Background())
		e.releaseTask()
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	return nil
}

// yielded is the entry of a task that yields as the Runnable that resumes it.
type yielded waitEntry

func (y *yielded) Run() {
	y.told.Store(true)
	(*resumption)(y.task).Run()
}

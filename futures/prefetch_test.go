package futures

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// prefetcher is how an executor asks a Runnable for the hints.
type prefetcher interface {
	PrefetchTask()
	PrefetchStack()
}

// The hints are taken at any time in a task's life, for anything that runs.
func TestPrefetchIsAHint(t *testing.T) {
	l := newLoop(t)
	var task *Task
	hint := func() {
		r := Runnable((*resumption)(task)).(prefetcher)
		r.PrefetchTask()
		r.PrefetchStack()
	}
	l.do(func() {
		p := newBound(l)
		f := renew(p)
		task = l.scheduler.Start(context.Background(), func(ctx context.Context) error {
			hint() // active
			_, err := f.Await(ctx)
			return err
		}, nil)
		hint() // fresh
		p.exec.Post(function(func() {
			require.NotZero(t, task.parkedAt)
			require.NotZero(t, task.goroutine)
			hint() // parked
			p.Resolve(1)
		}))
	})
	<-task.Done()
	l.do(func() {
		hint() // finished
	})
}

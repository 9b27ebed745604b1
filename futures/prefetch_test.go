package futures

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// The hints are taken at any time in a task's life, for anything that runs.
func TestPrefetchIsAHint(t *testing.T) {
	l := newLoop(t)
	var task *Task
	hint := func() {
		PrefetchTask((*resumption)(task))
		PrefetchStack((*resumption)(task))
	}
	l.do(func() {
		p := newBound(l)
		f := p.Renew()
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
		PrefetchTask(function(nil))
		PrefetchStack(function(nil))
	})
}

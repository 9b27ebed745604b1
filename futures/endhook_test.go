package futures

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// lease is something that a task has, and that has to come back.
type lease struct {
	hook  EndHook
	name  string
	ended func(l *lease, t *Task)
}

func (l *lease) TaskEnded(t *Task) { l.ended(l, t) }

func TestEndHook(t *testing.T) {
	l := newLoop(t)
	for name, end := range map[string]func() error{
		"return": func() error { return errTest },
		"panic":  func() error { panic(errTest) },
		"Goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var order []string
			told := func(l *lease, _ *Task) { order = append(order, l.name) }
			done := make(chan struct{})
			var task *Task
			l.do(func() {
				task = l.scheduler.Start(context.Background(), func(ctx context.Context) error {
					defer func() { order = append(order, "function") }()
					leases := make([]*lease, 5)
					for i, name := range []string{"a", "b", "c", "d", "e"} {
						leases[i] = &lease{name: name, ended: told}
						l.scheduler.Current().AddEndHook(&leases[i].hook, leases[i])
						require.True(t, leases[i].hook.Added())
					}
					leases[1].ended = func(b *lease, ended *Task) {
						told(b, ended)
						require.Equal(t, task, ended)
						require.True(t, l.Inside())
						require.Nil(t, l.scheduler.Current())
						require.False(t, b.hook.Added())
						leases[0].hook.Remove() // it is not told any more
						panic("contained")
					}
					for _, i := range []int{4, 2} { // the first of the list, and one in it
						leases[i].hook.Remove()
						require.False(t, leases[i].hook.Added())
						leases[i].hook.Remove()
					}
					return end()
				}, func(error) {
					order = append(order, "done")
					close(done)
				})
			})
			<-done
			require.Equal(t, "contained", <-l.panics)
			require.Equal(t, []string{"function", "d", "b", "done"}, order)
		})
	}
}

func TestEndHookMisuse(t *testing.T) {
	l := newLoop(t)
	var task *Task
	hook := &lease{ended: func(*lease, *Task) {}}
	require.NoError(t, l.task(func(context.Context) error {
		task = l.scheduler.Current()
		task.AddEndHook(&hook.hook, hook)
		require.Panics(t, func() { task.AddEndHook(&hook.hook, hook) }, "in a list")
		return nil
	}))
	l.do(func() { require.Panics(t, func() { task.AddEndHook(&hook.hook, hook) }, "the task has ended") })
}

func TestEndHookAllocatesNothing(t *testing.T) {
	l := newLoop(t)
	require.NoError(t, l.task(func(context.Context) error {
		leases := [3]lease{}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			for i := range leases {
				l.scheduler.Current().AddEndHook(&leases[i].hook, &leases[i])
			}
			for i := range leases {
				leases[i].hook.Remove()
			}
		}))
		return nil
	}))
}

// A result that the task has forgotten comes back when it has ended.
func TestEndHookReclaims(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	reclaimed := 0
	hook := &lease{ended: func(*lease, *Task) { reclaimed, _ = p.Reclaim() }}
	require.NoError(t, l.task(func(context.Context) error {
		l.scheduler.Current().AddEndHook(&hook.hook, hook)
		renew(p)
		p.Resolve(7)
		return nil
	}))
	l.do(func() { require.Equal(t, 7, reclaimed) })
}

package futures

import "context"

// Go runs f concurrently and returns a future of its result. On a loop, where
// ctx is that of a task or derived from one, f is a task of the same loop;
// elsewhere it is a goroutine.
//
// The context of f ends when ctx does, and when the future is canceled. The
// future settles when f returns, panics (*PanicError) or exits (ErrGoexit).
func Go[T any](ctx context.Context, f func(ctx context.Context) (T, error)) Future[T] {
	if s := schedulerOf(ctx); s != nil {
		return goTask(ctx, s, f)
	}
	p := NewPromise[T]()
	ctx, cancel := context.WithCancelCause(ctx)
	p.SetCanceler(CancelFunc(func() { cancel(ErrCanceled) }))
	go try(func() (T, error) {
		defer cancel(nil)
		return f(ctx)
	}, p.settle)
	return p.Future()
}

func goTask[T any](ctx context.Context, s *Scheduler, f func(ctx context.Context) (T, error)) Future[T] {
	p := new(Promise[T])
	var v T
	run := func(ctx context.Context) (err error) {
		v, err = f(ctx)
		return err
	}
	t := s.startWatching(ctx, &functions{run, func(err error) { p.settle(v, err) }, f})
	p.Bind(s.exec, CancelFunc(func() { t.Cancel(ErrCanceled) }))
	return p.Future()
}

// schedulerOf returns the scheduler of ctx's task if the caller is on its loop.
func schedulerOf(ctx context.Context) *Scheduler {
	t, ok := ctx.Value(taskKey{}).(*Task)
	if !ok || !t.scheduler.exec.Inside() {
		return nil
	}
	return t.scheduler
}

// schedulerHere returns the scheduler of the loop that the caller is on, nil on an
// ordinary goroutine. The context is only where to look first: it may be of
// another task, or of none.
func schedulerHere(ctx context.Context) *Scheduler {
	if s := schedulerOf(ctx); s != nil {
		return s
	}
	return schedulers.here()
}

// InTask reports whether the caller is a task, and ctx its context or one derived
// from it: whether Await with ctx gives way to a loop. Any goroutine may call it.
func InTask(ctx context.Context) bool {
	s := schedulerOf(ctx)
	return s != nil && s.current != nil
}

package futures

import (
	"context"
	"sync/atomic"
)

// Once does something once that may await, such as connecting to a database when it
// is needed first. Tasks of any loops and ordinary goroutines may share it. It must
// not be copied after first use.
//
// Unlike sync.Once it is done only when a function has succeeded: one caller whose
// context ends does not spoil it for all.
type Once struct {
	done  atomic.Bool
	mutex Mutex
}

// Do runs f with ctx, unless an f has returned nil before. If one is running Do
// waits until it ends; a task gives way to its loop. If that one fails, Do runs its
// own f: the error of an f, or its panic, goes to the caller who brought it.
//
// If ctx ends while Do waits, the error is ctx's. In a callback of a loop, which
// cannot wait, it is ErrNoTask if an f is running. An f that calls Do of the same
// Once waits for itself.
func (o *Once) Do(ctx context.Context, f func(ctx context.Context) error) error {
	if o.done.Load() {
		return nil
	}
	return o.mutex.Do(ctx, func() error {
		if o.done.Load() {
			return nil
		}
		err := f(ctx)
		if err == nil {
			o.done.Store(true)
		}
		return err
	})
}

// Done reports whether a function has succeeded.
func (o *Once) Done() bool { return o.done.Load() }

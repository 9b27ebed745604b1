package futures

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrPending is what Result answers before there is a result.
	ErrPending = errors.New("futures: no result yet: Await the future first")

	// ErrStale is what a future answers whose promise serves a later operation
	// already.
	ErrStale = errors.New("futures: the promise has been renewed since: take the result before starting the next operation")

	// ErrCanceled is the result of an operation that was canceled before it did
	// anything. errors.Is(ErrCanceled, context.Canceled) holds.
	ErrCanceled error = canceledError{}

	// ErrClosed is the answer when the executor of a promise has ended.
	ErrClosed = errors.New("futures: the loop of this future has ended")

	// ErrNoTask is what Await answers where waiting would block a loop, perhaps
	// for ever: on a loop, but outside of a task or with a context that does not
	// come from the task.
	ErrNoTask = errors.New("futures: Await on a loop without a task: pass the task's context, or use Then")

	// ErrGoexit is the result of a function that called runtime.Goexit, as
	// testing.T.FailNow does.
	ErrGoexit = errors.New("futures: the function called runtime.Goexit")

	// ErrNoFutures is the result of Any and Race without arguments.
	ErrNoFutures = errors.New("futures: none of no futures can be first: pass at least one")
)

// errLeft tells one who waited that it need not any more.
var errLeft = errors.New("futures: stopped waiting")

type canceledError struct{}

func (canceledError) Error() string        { return "futures: operation canceled" }
func (canceledError) Is(target error) bool { return target == context.Canceled }

// PanicError is the result of a function that panicked.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where, as debug.Stack prints it
}

// Error gives the value and the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

// Unwrap gives the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// contextError is why ctx ended: its Err, with its cause where that says more.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case cause == nil || cause == err:
		return err
	case errors.Is(cause, err):
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// endedBy is the error of an operation that was canceled because ctx ended.
func endedBy(ctx context.Context, err error) error {
	switch {
	case err == errLeft || err == ErrCanceled || err == context.Canceled:
		return contextError(ctx)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", contextError(ctx), err) // it says more, such as how far it got
	}
	return err
}

package futures

import (
	"context"
	"errors"
	"fmt"
	"net"
)

var (
	// ErrPending is what Result answers before there is a result.
	ErrPending = errors.New("futures: no result yet: Await the future first")

	// ErrStale is the answer to one who asks again for a result that was taken,
	// when the promise behind the future has served another operation since. A
	// result that nobody has taken never answers so.
	ErrStale = errors.New("futures: the result was taken already, and another operation has begun since: keep the result, not the future")

	// ErrCanceled is the result of an operation that was canceled before it did
	// anything. errors.Is(ErrCanceled, context.Canceled) holds.
	ErrCanceled error = canceledError{}

	// ErrClosed is the result when the executor of a promise has ended before the
	// operation. It is net.ErrClosed for errors.Is, and so is every error that is.
	ErrClosed error = &closedError{"futures: the loop of this future has ended"}

	// ErrNoTask is the result of Await, Lock and whatever else would have to wait in
	// a callback of a loop, where waiting would block the loop.
	ErrNoTask = errors.New("futures: a callback of a loop must not wait: use Then, or start a task with Go")

	// ErrGoexit is the result of a function that called runtime.Goexit, as
	// testing.T.FailNow does.
	ErrGoexit = errors.New("futures: the function called runtime.Goexit")

	// ErrNoFutures is the result of Any, Race and Select without arguments.
	ErrNoFutures = errors.New("futures: Any, Race and Select need at least one future")

	// ErrTooManyUnits is the result of Acquire for more units than the semaphore
	// has.
	ErrTooManyUnits = errors.New("futures: more units than the semaphore has")
)

var (
	// errLeft tells one who waited that it need not any more.
	errLeft = errors.New("futures: stopped waiting")

	// errReclaimed is the answer to one who asks too late. See Promise.Reclaim.
	errReclaimed error = &closedError{"futures: nobody took the result before the connection or task that it belonged to ended"}
)

// closedError is net.ErrClosed for errors.Is, and every error that is that too.
// Package net is needed for nothing else here.
type closedError struct{ message string }

func (e *closedError) Error() string        { return e.message }
func (e *closedError) Is(target error) bool { return errors.Is(target, net.ErrClosed) }

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

package futures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
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
	// operation. errors.Is finds net.ErrClosed in it, and the ErrClosed of package
	// proactor.
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

// closedError is an ErrClosed. Package net is needed for nothing else here.
type closedError struct{ message string }

func (e *closedError) Error() string { return e.message }

// Is finds the errors that say no more than net.ErrClosed. One that says why, such as
// that a connection was moved, is net.ErrClosed too but not this.
func (e *closedError) Is(target error) bool {
	_, plain := target.(interface{ PlainlyClosed() })
	return plain || target == net.ErrClosed || target == ErrClosed
}

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
	timeout := errors.Is(err, context.DeadlineExceeded)
	switch {
	case timeout && (cause == nil || cause == err):
		return errDeadline
	case timeout:
		return &interruption{errDeadline, cause}
	case cause == nil || cause == err:
		return err
	case errors.Is(cause, err):
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// endedBy is the error of an operation that was canceled because ctx ended.
func endedBy(ctx context.Context, err error) error {
	if err == errLeft || errors.Is(err, context.Canceled) {
		return interrupted(err, contextError(ctx))
	}
	return err
}

// interrupted is the error of an operation that was canceled, with err, for the
// reason why. What was canceled is named first, as packages os and net have it.
func interrupted(err, why error) error {
	switch e := err.(type) {
	case *fs.PathError:
		if isCanceled(e.Err) {
			return &fs.PathError{Op: e.Op, Path: e.Path, Err: why}
		}
	case *os.LinkError:
		if isCanceled(e.Err) {
			return &os.LinkError{Op: e.Op, Old: e.Old, New: e.New, Err: why}
		}
	case *os.SyscallError:
		if isCanceled(e.Err) {
			return &os.SyscallError{Syscall: e.Syscall, Err: why}
		}
	case *net.OpError:
		if isCanceled(e.Err) {
			return &net.OpError{Op: e.Op, Net: e.Net, Source: e.Source, Addr: e.Addr, Err: why}
		}
	}
	if err == errLeft || isCanceled(err) {
		return why
	}
	return &interruption{why, err}
}

// isCanceled says that err is a cancel and nothing more.
func isCanceled(err error) bool { return err == ErrCanceled || err == context.Canceled }

// interruption is why an operation was canceled, and what came of it. That it was
// canceled is no part of it when the reason was a deadline.
type interruption struct{ why, err error }

func (i *interruption) Error() string { return i.why.Error() + ": " + i.err.Error() }

func (i *interruption) Is(target error) bool {
	if errors.Is(i.why, target) {
		return true
	}
	return target != context.Canceled && target != ErrCanceled && errors.Is(i.err, target)
}

func (i *interruption) As(target any) bool {
	return errors.As(i.why, target) || errors.As(i.err, target)
}

func (i *interruption) Timeout() bool {
	t, ok := i.why.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func (i *interruption) Temporary() bool { return i.Timeout() }

// errDeadline is the deadline of a context that has passed. It is a timeout for
// package net and for package os.
var errDeadline error = deadlineError{}

type deadlineError struct{}

func (deadlineError) Error() string   { return context.DeadlineExceeded.Error() }
func (deadlineError) Timeout() bool   { return true }
func (deadlineError) Temporary() bool { return true }
func (deadlineError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
}

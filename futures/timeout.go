package futures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// WithTimeout returns a future of f's result, with d as f's limit: when that is
// over, f is canceled, and its terminal result waited for. If f succeeds all
// the same, that is the result. Otherwise the error is a net.Error with
// Timeout() true, for which errors.Is finds os.ErrDeadlineExceeded and
// context.DeadlineExceeded. Canceling the future cancels f.
func WithTimeout[T any](f Future[T], d time.Duration) Future[T] {
	if f.promise == nil || !f.promise.Pending() {
		return f
	}
	p := NewPromise[T]()
	p.SetCanceler(again(f.Cancel))
	expired := new(atomic.Bool)
	stop := startTimer(f.promise.exec, d, func() {
		expired.Store(true)
		f.Cancel()
	})
	f.receive(func(v T, err error) {
		stop()
		if expired.Load() && errors.Is(err, context.Canceled) {
			err = interrupted(err, timeoutError{d})
		}
		p.Settle(v, err)
	})
	return p.Future()
}

// clock is what an executor with timers of its own implements.
type clock interface {
	AfterFunc(d time.Duration, fn func()) (stop func() bool)
}

func startTimer(exec Executor, d time.Duration, fn func()) (stop func() bool) {
	if c, ok := exec.(clock); ok {
		return c.AfterFunc(d, fn)
	}
	return time.AfterFunc(d, fn).Stop
}

// timeoutError is the limit of WithTimeout that has passed.
type timeoutError struct{ limit time.Duration }

func (e timeoutError) Error() string   { return fmt.Sprintf("futures: no result within %v", e.limit) }
func (e timeoutError) Timeout() bool   { return true }
func (e timeoutError) Temporary() bool { return true }

func (e timeoutError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
}

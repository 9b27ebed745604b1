package futures

import "errors"

// Any returns a future of the first success, and cancels the others then. If
// none succeeds it fails with all their errors, joined; of no arguments, with
// ErrNoFutures.
//
// It has its result when every input has ended, the canceled ones too, so that
// nothing uses their memory any more; an input that does not heed its cancel
// delays it. A loser may succeed all the same: a program whose values must be
// closed looks at the inputs. Canceling it cancels the inputs.
func Any[T any](fs ...Future[T]) Future[T] {
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	var winner *T
	failures := make([]error, len(fs))
	return collect(fs, func(i int, v T, err error) bool {
		failures[i] = err
		if err == nil && winner == nil {
			winner = &v
		}
		return err == nil
	}, func() (v T, err error) {
		if winner != nil {
			return *winner, nil
		}
		return v, errors.Join(failures...)
	})
}

// Race returns a future of what the first argument to settle came to, success
// or failure, and cancels the others then; of no arguments, it fails with
// ErrNoFutures. It has its result when every input has ended, as with Any.
// Canceling it cancels the inputs.
func Race[T any](fs ...Future[T]) Future[T] {
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	var first *Outcome[T]
	return collect(fs, func(_ int, v T, err error) bool {
		if first == nil {
			first = &Outcome[T]{v, err}
		}
		return true
	}, func() (T, error) { return first.Value, first.Err })
}

package futures

import (
	"errors"
	"slices"
)

// Any returns a future of the first success, and cancels the others then. If
// none succeeds it fails with all their errors, joined. Without arguments it fails
// with ErrNoFutures.
//
// It has its result when every input has ended, the canceled ones too, so that
// nothing uses their memory any more; an input that does not end when it is
// canceled delays it. A loser may succeed all the same. Its value is still in its
// input then: a program whose values must be closed asks the inputs for them.
// Canceling it cancels the inputs.
func Any[T any](fs ...Future[T]) Future[T] {
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	fs = slices.Clone(fs)
	var winner *T
	failures := make([]error, len(fs))
	return collect(fs, func(i int, v T, err error) choice {
		failures[i] = err
		if err != nil || winner != nil {
			return choice{}
		}
		winner = &v
		return choice{take: true, enough: true}
	}, func() (v T, err error) {
		if winner != nil {
			return *winner, nil
		}
		if err := takeAll(fs); err != nil {
			return v, err
		}
		return v, errors.Join(failures...)
	})
}

// Race returns a future of the result, success or failure, of the argument that
// has one first, and cancels the others then. Without arguments it fails with
// ErrNoFutures. It has its result when every input has ended, and a loser's result
// is still in its input, as with Any.
// Canceling it cancels the inputs.
func Race[T any](fs ...Future[T]) Future[T] {
	if len(fs) == 0 {
		return Failed[T](ErrNoFutures)
	}
	var first *Outcome[T]
	return collect(slices.Clone(fs), func(_ int, v T, err error) choice {
		if first != nil {
			return choice{}
		}
		first = &Outcome[T]{v, err}
		return choice{take: true, enough: true}
	}, func() (T, error) { return first.Value, first.Err })
}

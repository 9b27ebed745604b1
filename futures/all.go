package futures

import "slices"

// All returns a future of all values, in the order of the arguments. It fails with
// the first failure, and then cancels the rest. Without arguments its result is an
// empty slice.
//
// It has its result when every input has ended, the canceled ones too, so that
// nothing uses their memory any more. When it fails, the values of those that
// succeeded all the same are still in the inputs. Canceling it cancels the inputs.
func All[T any](fs ...Future[T]) Future[[]T] {
	fs = slices.Clone(fs)
	values := make([]T, len(fs))
	var failure error
	return collect(fs, func(i int, v T, err error) choice {
		values[i] = v
		if err == nil {
			return choice{} // taken at the end, if all succeed
		}
		first := failure == nil
		if first {
			failure = err
		}
		return choice{take: first, enough: true}
	}, func() ([]T, error) {
		if failure == nil {
			failure = takeAll(fs)
		}
		if failure != nil {
			return nil, failure
		}
		return values, nil
	})
}

// AllSettled returns a future of the values and errors of all arguments, in their
// order. It does not fail.
// Canceling it cancels the inputs.
func AllSettled[T any](fs ...Future[T]) Future[[]Outcome[T]] {
	outcomes := make([]Outcome[T], len(fs))
	return collect(slices.Clone(fs), func(i int, v T, err error) choice {
		outcomes[i] = Outcome[T]{v, err}
		return choice{take: true}
	}, func() ([]Outcome[T], error) { return outcomes, nil })
}

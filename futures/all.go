package futures

// All returns a future of all values, in the order of the arguments; of none,
// an empty slice. It fails with the first failure, and then cancels the rest.
//
// It has its result when every input has ended, the canceled ones too, so that
// nothing uses their memory any more. When it fails, the values of those that
// succeeded all the same are still in the inputs. Canceling it cancels the inputs.
func All[T any](fs ...Future[T]) Future[[]T] {
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

// AllSettled returns a future of how each argument came out; it does not fail.
// Canceling it cancels the inputs.
func AllSettled[T any](fs ...Future[T]) Future[[]Outcome[T]] {
	outcomes := make([]Outcome[T], len(fs))
	return collect(fs, func(i int, v T, err error) choice {
		outcomes[i] = Outcome[T]{v, err}
		return choice{take: true}
	}, func() ([]Outcome[T], error) { return outcomes, nil })
}

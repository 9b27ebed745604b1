package futures

// All returns a future of all values, in the order of the arguments; of none,
// an empty slice. It fails with the first failure, and then cancels the rest.
//
// It has its result when every input has ended, the canceled ones too, so that
// nothing uses their memory any more. Canceling it cancels the inputs.
func All[T any](fs ...Future[T]) Future[[]T] {
	values := make([]T, len(fs))
	var failure error
	return collect(fs, func(i int, v T, err error) bool {
		values[i] = v
		if failure == nil {
			failure = err
		}
		return err != nil
	}, func() ([]T, error) {
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
	return collect(fs, func(i int, v T, err error) bool {
		outcomes[i] = Outcome[T]{v, err}
		return false
	}, func() ([]Outcome[T], error) { return outcomes, nil })
}

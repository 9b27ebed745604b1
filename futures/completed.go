package futures

import (
	"context"
	"iter"
	"slices"
)

// AsCompleted ranges over the futures in the order in which they get their
// results, with the index and the result of each. It may be ranged over once. When ctx ends,
// those left are awaited with it: see Await for what that means. Leaving the
// range leaves the others running, and their results in their futures.
func AsCompleted[T any](ctx context.Context, fs ...Future[T]) iter.Seq2[int, Outcome[T]] {
	type completion struct {
		index   int
		outcome Outcome[T]
	}
	fs = slices.Clone(fs)
	completions := NewStream[completion](nil, 0)
	for i, f := range fs {
		f.observe(func(v T, err error) {
			completions.Push(completion{i, Outcome[T]{v, err}})
		})
	}
	return func(yield func(int, Outcome[T]) bool) {
		given := make([]bool, len(fs))
		for range fs {
			c, err := completions.Next().Await(ctx)
			if err != nil {
				break
			}
			given[c.index] = true
			if err := fs[c.index].take(); err != nil {
				c.outcome = Outcome[T]{Err: err}
			}
			if !yield(c.index, c.outcome) {
				return
			}
		}
		for i, f := range fs {
			if given[i] {
				continue
			}
			v, err := f.Await(ctx)
			if !yield(i, Outcome[T]{v, err}) {
				return
			}
		}
	}
}

package futures

import (
	"context"
	"sync/atomic"
)

// Selectable is a Future of any type.
type Selectable interface {
	// settled reports whether Await would return at once, and leaves no trace.
	settled() bool

	// notify calls fn once, when there is a result, unless stop was called before.
	notify(fn func()) (stop func())
}

// Select waits until one of several futures, of different types perhaps, has a
// result, and returns its index. If several have, it is the first of them in the
// order of the arguments.
//
//	switch i, err := futures.Select(ctx, line, tick); {
//	case err != nil:
//		return err
//	case i == 0:
//		text, err := line.Await(ctx) // returns at once
//
// Select takes no result, so the caller then awaits the future that was chosen, and
// cancels none: the others go on, and may be selected again. No trace of Select is
// left in them.
//
// A task gives way to its loop while it waits. If ctx ends first, the error is ctx's
// and the index -1, and all futures are as they were. Of no arguments, the error is
// ErrNoFutures. In a callback of a loop, which cannot wait, it is ErrNoTask if no
// future has a result.
func Select(ctx context.Context, fs ...Selectable) (int, error) {
	if len(fs) == 0 {
		return -1, ErrNoFutures
	}
	for i, f := range fs {
		if f.settled() {
			return i, nil
		}
	}
	if ctx.Err() != nil {
		return -1, contextError(ctx)
	}
	e, err := taskEntry(ctx)
	switch {
	case err != nil:
		return -1, err
	case e == nil:
		e = newGoroutineEntry()
	default:
		defer e.releaseTask()
	}
	return (&selection{entry: e}).wait(ctx, fs)
}

// selection is a Select that waits.
type selection struct {
	entry  *waitEntry   // may be used only by whoever changes chosen, and by Select
	chosen atomic.Int64 // an index and one more, or selectionLeft
}

const selectionLeft = -1 // ctx has ended

func (s *selection) wait(ctx context.Context, fs []Selectable) (int, error) {
	for i, f := range fs {
		stop := f.notify(func() { s.choose(i) })
		defer stop()
	}
	if !s.entry.wait(ctx) {
		if s.chosen.CompareAndSwap(0, selectionLeft) {
			return -1, contextError(ctx)
		}
		s.entry.wait(context.Background())
	}
	return int(s.chosen.Load()) - 1, nil
}

func (s *selection) choose(i int) {
	if s.chosen.CompareAndSwap(0, int64(i)+1) {
		s.entry.tell()
	}
}

func (f Future[T]) settled() bool {
	if f.promise == nil {
		return true
	}
	word := f.promise.word.Load()
	return word&^flags != f.operation || word&(resolved|ended) != 0
}

func (f Future[T]) notify(fn func()) (stop func()) {
	w := &waiter[T]{call: func(T, error) { fn() }, observes: true}
	f.tell(w)
	return func() { f.promise.unsubscribe(f.operation, w) }
}

package futures

import "sync/atomic"

// Outcome is how a future came out.
type Outcome[T any] struct {
	Value T
	Err   error
}

// waiter is one who waits for a result: a callback, a task or a goroutine. It has
// its own copy of the result, so that the promise may be renewed before the
// waiter gets to run.
type waiter[T any] struct {
	prev, next *waiter[T]     // of the promise's list; nil when not in it
	call       func(T, error) // a callback; else
	task       *Task          // a task; else
	wake       chan struct{}  // a goroutine
	observes   bool           // a callback that looks at the result and does not take it
	outcome    Outcome[T]
	settled    atomic.Bool // outcome may be read
}

// settle delivers the result.
func (w *waiter[T]) settle(v T, err error) {
	w.outcome = Outcome[T]{v, err}
	w.settled.Store(true)
	if w.task != nil {
		w.task.wake()
	} else {
		close(w.wake)
	}
}

// waiters is a list, first come first. It is circular: one word when empty.
type waiters[T any] struct{ first *waiter[T] }

func (l *waiters[T]) add(w *waiter[T]) {
	if l.first == nil {
		w.prev, w.next = w, w
		l.first = w
		return
	}
	last := l.first.prev
	w.prev, w.next = last, l.first
	last.next, l.first.prev = w, w
}

// take reports whether any of them takes the result.
func (l *waiters[T]) take() bool {
	for w := l.first; w != nil; {
		if !w.observes {
			return true
		}
		if w = w.next; w == l.first {
			break
		}
	}
	return false
}

// remove reports whether w was in the list.
func (l *waiters[T]) remove(w *waiter[T]) bool {
	if w.next == nil {
		return false
	}
	if w.next == w {
		l.first = nil
	} else {
		w.prev.next, w.next.prev = w.next, w.prev
		if l.first == w {
			l.first = w.next
		}
	}
	w.prev, w.next = nil, nil
	return true
}

func (l *waiters[T]) pop() *waiter[T] {
	w := l.first
	if w != nil {
		l.remove(w)
	}
	return w
}

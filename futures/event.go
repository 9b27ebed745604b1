package futures

import (
	"context"
	"sync/atomic"
)

// Event is a condition that is set or not, and that tasks of any loops and ordinary
// goroutines wait for. A task that waits gives way to its loop. The zero Event is
// not set. It must not be copied after first use.
//
// A Promise is the event that happens once and brings a value.
type Event struct {
	word  atomic.Uint64 // isSet or not, and waiting
	queue waitQueue
}

// isSet excludes waiting.
const isSet = 1

// Set sets e. All who wait go on, even if e is reset before they run. It does not
// wait.
func (e *Event) Set() {
	for {
		word := e.word.Load()
		switch {
		case word == isSet:
			return
		case word == waiting:
			e.release()
			return
		case e.word.CompareAndSwap(word, isSet):
			return
		}
	}
}

func (e *Event) release() {
	e.queue.mu.Lock()
	e.word.Store(isSet)
	all := e.queue.removeAll()
	e.queue.mu.Unlock()
	tellAll(all)
}

// Reset undoes Set.
func (e *Event) Reset() { e.word.CompareAndSwap(isSet, 0) }

// IsSet reports whether e is set.
func (e *Event) IsSet() bool { return e.word.Load() == isSet }

// Wait waits until e is set. If ctx ends first, the error is ctx's. In a callback
// of a loop, which cannot wait, it is ErrNoTask if e is not set.
func (e *Event) Wait(ctx context.Context) error {
	if e.IsSet() {
		return nil
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	w, err := e.queue.entry(ctx)
	if err != nil {
		return err
	}
	if !e.enqueue(w) {
		e.queue.release(w)
		return nil
	}
	return e.queue.await(ctx, w, e.left)
}

// enqueue adds w to the queue, or returns false if e is set.
func (e *Event) enqueue(w *waitEntry) bool {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	for {
		word := e.word.Load()
		switch {
		case word == isSet:
			return false
		case e.word.CompareAndSwap(word, waiting):
			e.queue.push(w)
			return true
		}
	}
}

func (e *Event) left() *waitEntry {
	if e.queue.first == nil {
		e.word.Store(0)
	}
	return nil
}

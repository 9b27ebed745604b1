package futures

import (
	"context"
	"sync"
	"sync/atomic"
)

// waitQueue is those who wait for their turn, first come first served.
//
// mu is held for a few instructions only, never while somebody is woken: a loop
// may lock it.
type waitQueue struct {
	mu          sync.Mutex // guards all, and the links of what is in the queue
	first, last *waitEntry
	spares      entryPool // of goroutines
}

// waitEntry is one who waits: a task, or a goroutine.
type waitEntry struct {
	prev, next *waitEntry // in the queue; out of it, next links those to be told
	queued     bool
	units      uint64        // that it waits for, where that matters
	task       *Task         // nil: a goroutine
	wake       chan struct{} // of a goroutine; holds one, so that nobody waits to tell it
	told       atomic.Bool   // of a task
}

const (
	// maxSpares is how many entries of goroutines a queue keeps.
	maxSpares = 16
	// maxTaskEntries is how many entries of tasks a scheduler keeps.
	maxTaskEntries = 1024
)

// entryPool is entries to be used again.
type entryPool struct {
	first *waitEntry
	count int
}

func (p *entryPool) get() *waitEntry {
	e := p.first
	if e != nil {
		p.first, e.next = e.next, nil
		p.count--
	}
	return e
}

func (p *entryPool) put(e *waitEntry, limit int) {
	if p.count < limit {
		e.next, p.first = p.first, e
		p.count++
	}
}

// taskEntry makes an entry of the calling task. It returns nil on an ordinary
// goroutine, and ErrNoTask in a callback of a loop.
func taskEntry(ctx context.Context) (*waitEntry, error) {
	s := schedulerHere(ctx)
	switch {
	case s == nil:
		return nil, nil
	case s.current == nil:
		return nil, ErrNoTask
	}
	e := s.entries.get()
	if e == nil {
		e = new(waitEntry)
	}
	e.task = s.current
	return e, nil
}

// releaseTask gives back the entry of the calling task.
func (e *waitEntry) releaseTask() {
	s := e.task.scheduler
	e.task = nil
	e.told.Store(false)
	s.entries.put(e, maxTaskEntries)
}

func newGoroutineEntry() *waitEntry { return &waitEntry{wake: make(chan struct{}, 1)} }

// entry makes an entry of the caller.
func (q *waitQueue) entry(ctx context.Context) (*waitEntry, error) {
	e, err := taskEntry(ctx)
	if e != nil || err != nil {
		return e, err
	}
	q.mu.Lock()
	e = q.spares.get()
	q.mu.Unlock()
	if e == nil {
		e = newGoroutineEntry()
	}
	return e, nil
}

// release gives back the caller's entry, which must not be in the queue.
func (q *waitQueue) release(e *waitEntry) {
	if e.task != nil {
		e.releaseTask()
		return
	}
	q.mu.Lock()
	q.spares.put(e, maxSpares)
	q.mu.Unlock()
}

// push adds e. mu is held.
func (q *waitQueue) push(e *waitEntry) {
	e.prev, e.next, e.queued = q.last, nil, true
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
}

// remove reports whether e was in the queue. mu is held.
func (q *waitQueue) remove(e *waitEntry) bool {
	if !e.queued {
		return false
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.prev, e.next, e.queued = nil, nil, false
	return true
}

// removeAll empties the queue and returns what was in it, linked by next. mu is
// held.
func (q *waitQueue) removeAll() *waitEntry {
	all := q.first
	for e := all; e != nil; e = e.next {
		e.prev, e.queued = nil, false
	}
	q.first, q.last = nil, nil
	return all
}

// await waits until e, which is in the queue, is told. If ctx ends before, e
// leaves the queue and the error is ctx's. left is then called with mu held, and
// returns those whose turn has come by that.
//
// An entry that was taken out of the queue is told, even if its ctx has ended: what
// it was given is not lost.
func (q *waitQueue) await(ctx context.Context, e *waitEntry, left func() *waitEntry) error {
	defer q.release(e)
	if e.wait(ctx) {
		return nil
	}
	q.mu.Lock()
	if !q.remove(e) {
		q.mu.Unlock()
		e.wait(context.Background())
		return nil
	}
	next := left()
	q.mu.Unlock()
	tellAll(next)
	return contextError(ctx)
}

// wait waits until e is told, which it reports, or until ctx ends.
func (e *waitEntry) wait(ctx context.Context) bool {
	t := e.task
	if t == nil {
		select {
		case <-e.wake:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if stop := t.watch(ctx); stop != nil {
		defer stop()
	}
	for !e.told.Load() {
		// Whoever wakes a task may be late or early; what counts is what holds now.
		if ctx.Err() != nil {
			return false
		}
		t.park()
	}
	return true
}

// tell ends the wait of e, which is in no queue. The waiter may use e again before
// tell has returned.
func (e *waitEntry) tell() {
	if t := e.task; t != nil {
		e.told.Store(true)
		t.wake()
		return
	}
	e.wake <- struct{}{}
}

// tellAll tells entries that are linked by next.
func tellAll(e *waitEntry) {
	for e != nil {
		next := e.next
		e.next = nil
		e.tell()
		e = next
	}
}

package futures

import (
	"context"
	"sync/atomic"
)

// units are taken and given back by any number of tasks and goroutines. Mutex,
// RWMutex and Semaphore are made of it. The caller says how many there are.
//
// Units go to those who ask in the order in which they ask: while somebody waits,
// everybody who comes later waits behind, even if there are units enough for him.
// So a request for many is not starved by requests for few.
//
// While nobody waits, units are taken and given back by a CAS on the word. While
// somebody does, the word changes only with the queue's mutex held.
type units struct {
	word  atomic.Uint64 // how many are taken, and whether somebody waits
	queue waitQueue
}

// waiting in a word says that the queue is not empty.
const waiting uint64 = 1 << 63

// try takes n of size units if that takes no waiting.
func (u *units) try(n, size uint64) bool {
	for {
		word := u.word.Load()
		if word&waiting != 0 || word+n > size {
			return false
		}
		if u.word.CompareAndSwap(word, word+n) {
			return true
		}
	}
}

// acquire takes n of size units and waits until that is possible.
func (u *units) acquire(ctx context.Context, n, size uint64) error {
	if u.try(n, size) {
		return nil
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	e, err := u.queue.entry(ctx)
	if err != nil {
		return err
	}
	e.units = n
	if !u.enqueue(e, size) {
		u.queue.release(e)
		return nil
	}
	return u.queue.await(ctx, e, func() *waitEntry {
		return u.grant(u.taken(), size) // e may have held up those behind it
	})
}

// enqueue adds e to the queue, or takes e's units and returns false.
func (u *units) enqueue(e *waitEntry, size uint64) bool {
	u.queue.mu.Lock()
	defer u.queue.mu.Unlock()
	for {
		word := u.word.Load()
		switch {
		case word&waiting == 0 && word+e.units <= size: // given back since
			if u.word.CompareAndSwap(word, word+e.units) {
				return false
			}
		case word&waiting != 0 || u.word.CompareAndSwap(word, word|waiting):
			u.queue.push(e)
			return true
		}
	}
}

// release gives n of size units back. It returns false if fewer are taken.
func (u *units) release(n, size uint64) bool {
	for {
		word := u.word.Load()
		switch {
		case word&^waiting < n:
			return false
		case word&waiting != 0:
			if u.handOver(n, size) {
				return true
			}
		case u.word.CompareAndSwap(word, word-n):
			return true
		}
	}
}

// handOver is release while somebody waits. It returns false if nobody does any
// more, or fewer units are taken.
func (u *units) handOver(n, size uint64) bool {
	u.queue.mu.Lock()
	taken := u.taken()
	if u.queue.first == nil || taken < n {
		u.queue.mu.Unlock()
		return false
	}
	next := u.grant(taken-n, size)
	u.queue.mu.Unlock()
	tellAll(next)
	return true
}

// grant gives units to those in front of the queue, and returns them, linked by
// next. taken is how many units are taken without theirs. The queue's mutex is
// held, and the word has waiting.
func (u *units) grant(taken, size uint64) (granted *waitEntry) {
	last := &granted
	for e := u.queue.first; e != nil && taken+e.units <= size; e = u.queue.first {
		u.queue.remove(e)
		taken += e.units
		*last, last = e, &e.next
	}
	if u.queue.first != nil {
		taken |= waiting
	}
	u.word.Store(taken)
	return granted
}

// taken counts the units that are taken.
func (u *units) taken() uint64 { return u.word.Load() &^ waiting }

package futures

import (
	"context"
	"sync/atomic"
)

// WaitGroup counts what is under way, and lets tasks of any loops and ordinary
// goroutines wait until nothing is. A task that waits gives way to its loop. The
// zero WaitGroup counts zero. It must not be copied after first use.
//
// Group starts functions, counts them and has their first error.
type WaitGroup struct {
	word  atomic.Int64 // twice the count, and someWait
	queue waitQueue
}

const someWait = 1

// Add adds delta, which may be negative, to the count. At zero all who wait go on,
// even if the count rises again before they run. Add panics if the count becomes
// negative.
func (g *WaitGroup) Add(delta int) {
	for {
		word := g.word.Load()
		next := word + int64(delta)*2
		switch {
		case next < 0:
			panic("futures: the count of a WaitGroup has become negative: more Done than Add")
		case next == someWait:
			if g.finish(word) {
				return
			}
		case g.word.CompareAndSwap(word, next):
			return
		}
	}
}

// finish takes the count from what it is in word to zero, if the word is the same
// still, and tells those who wait.
func (g *WaitGroup) finish(word int64) bool {
	g.queue.mu.Lock()
	if !g.word.CompareAndSwap(word, 0) {
		g.queue.mu.Unlock()
		return false
	}
	all := g.queue.removeAll()
	g.queue.mu.Unlock()
	tellAll(all)
	return true
}

// Done takes one from the count.
func (g *WaitGroup) Done() { g.Add(-1) }

// Wait waits until the count is zero. If ctx ends first, the error is ctx's. In a
// callback of a loop, which cannot wait, it is ErrNoTask if the count is not zero.
func (g *WaitGroup) Wait(ctx context.Context) error {
	if g.count() == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	e, err := g.queue.entry(ctx)
	if err != nil {
		return err
	}
	if !g.enqueue(e) {
		g.queue.release(e)
		return nil
	}
	return g.queue.await(ctx, e, g.left)
}

func (g *WaitGroup) count() int64 { return g.word.Load() >> 1 }

// enqueue adds e to the queue, or returns false if the count is zero.
func (g *WaitGroup) enqueue(e *waitEntry) bool {
	g.queue.mu.Lock()
	defer g.queue.mu.Unlock()
	for {
		word := g.word.Load()
		switch {
		case word>>1 == 0:
			return false
		case g.word.CompareAndSwap(word, word|someWait):
			g.queue.push(e)
			return true
		}
	}
}

func (g *WaitGroup) left() *waitEntry {
	if g.queue.first == nil {
		g.word.And(^someWait)
	}
	return nil
}

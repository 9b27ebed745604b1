package futures

import (
	"context"
	"sync"
	"testing"
)

// locks are what is locked in benchmarks, beside those of package sync.
func locks() map[string]struct {
	lock   func()
	unlock func()
} {
	ctx := context.Background()
	var m Mutex
	var rw RWMutex
	s := NewSemaphore(1)
	var std sync.Mutex
	var stdRW sync.RWMutex
	return map[string]struct{ lock, unlock func() }{
		"Mutex":        {func() { m.Lock(ctx) }, m.Unlock},
		"sync.Mutex":   {std.Lock, std.Unlock},
		"RWMutex":      {func() { rw.Lock(ctx) }, rw.Unlock},
		"sync.RWMutex": {stdRW.Lock, stdRW.Unlock},
		"RLock":        {func() { rw.RLock(ctx) }, rw.RUnlock},
		"sync.RLock":   {stdRW.RLock, stdRW.RUnlock},
		"Semaphore":    {func() { s.Acquire(ctx, 1) }, func() { s.Release(1) }},
	}
}

func BenchmarkLockUncontended(b *testing.B) {
	for name, l := range locks() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.lock()
				l.unlock()
			}
		})
	}
}

func BenchmarkLockGoroutines(b *testing.B) {
	for name, l := range locks() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.lock()
					l.unlock()
				}
			})
		})
	}
}

// Tasks of one loop hand a lock to each other.
func BenchmarkMutexHandOver(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	var m Mutex
	const tasks, rounds = 10, 1000
	for b.Loop() {
		l.do(func() {
			var ended WaitGroup
			for range tasks {
				ended.Add(1)
				l.scheduler.Start(context.Background(), func(ctx context.Context) error {
					for range rounds {
						if err := m.Lock(ctx); err != nil {
							return err
						}
						Yield(ctx)
						m.Unlock()
					}
					return nil
				}, func(error) { ended.Done() })
			}
			l.turn(1)
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/tasks/rounds, "ns/hand-over")
}

// Goroutines, as with sync.WaitGroup.
func BenchmarkGroup(b *testing.B) {
	const n = 10
	f := func(context.Context) error { return nil }
	b.Run("tasks", func(b *testing.B) {
		l := newLoop(b)
		b.ReportAllocs()
		l.task(func(ctx context.Context) error {
			for b.Loop() {
				g := NewGroup(ctx)
				for range n {
					g.Go(f)
				}
				g.Wait(ctx)
			}
			return nil
		})
	})
	b.Run("goroutines", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g := NewGroup(b.Context())
			for range n {
				g.Go(f)
			}
			g.Wait(b.Context())
		}
	})
	b.Run("sync.WaitGroup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var g sync.WaitGroup
			for range n {
				g.Go(func() { f(b.Context()) })
			}
			g.Wait()
		}
	})
}

func BenchmarkYield(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.task(func(ctx context.Context) error {
		for b.Loop() {
			Yield(ctx)
		}
		return nil
	})
}

func BenchmarkSelect(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	l.task(func(ctx context.Context) error {
		p, never := newBound(l), newBound(l).Future()
		resolve := function(func() { p.Resolve(1) })
		for b.Loop() {
			f := renew(p)
			l.Post(resolve)
			Select(ctx, never, f)
			f.Await(ctx)
		}
		return nil
	})
}

package futures

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// blocked is something that is waited for, until release.
type blocked struct {
	wait    func(ctx context.Context) error // takes what it gets, and gives it back
	release func()
	queue   *waitQueue // where those who wait are
}

// blocks are all that have a waitQueue.
var blocks = map[string]func() blocked{
	"Mutex": func() blocked {
		m := new(Mutex)
		m.TryLock()
		return blocked{func(ctx context.Context) error { return m.Do(ctx, func() error { return nil }) }, m.Unlock, &m.units.queue}
	},
	"RWMutex for writing": func() blocked {
		m := new(RWMutex)
		m.TryRLock()
		return blocked{func(ctx context.Context) error { return locked(ctx, m) }, m.RUnlock, &m.units.queue}
	},
	"RWMutex for reading": func() blocked {
		m := new(RWMutex)
		m.TryLock()
		return blocked{func(ctx context.Context) error {
			err := m.RLock(ctx)
			if err == nil {
				m.RUnlock()
			}
			return err
		}, m.Unlock, &m.units.queue}
	},
	"Semaphore": func() blocked {
		s := NewSemaphore(3)
		s.TryAcquire(2)
		return blocked{func(ctx context.Context) error {
			err := s.Acquire(ctx, 2)
			if err == nil {
				s.Release(2)
			}
			return err
		}, func() { s.Release(2) }, &s.units.queue}
	},
	"WaitGroup": func() blocked {
		g := new(WaitGroup)
		g.Add(1)
		return blocked{g.Wait, g.Done, &g.queue}
	},
	"Event": func() blocked {
		e := new(Event)
		return blocked{e.Wait, e.Set, &e.queue}
	},
	"Cond": func() blocked {
		m, changed := new(Mutex), false
		c := NewCond(m)
		return blocked{func(ctx context.Context) error {
			return m.Do(ctx, func() error {
				for !changed {
					if err := c.Wait(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		}, func() {
			for !m.TryLock() {
				runtime.Gosched()
			}
			changed = true
			m.Unlock()
			c.Broadcast()
		}, &c.queue}
	},
	"Once": func() blocked {
		o := new(Once)
		o.mutex.TryLock()
		return blocked{func(ctx context.Context) error {
			return o.Do(ctx, func(context.Context) error { return nil })
		}, o.mutex.Unlock, &o.mutex.units.queue}
	},
	"Group": func() blocked {
		g := new(Group)
		end := make(chan bool)
		g.Go(func(ctx context.Context) error {
			<-end
			return nil
		})
		return blocked{g.running.Wait, func() { close(end) }, &g.running.queue}
	},
	"Select": func() blocked {
		p := NewPromise[int]()
		return blocked{func(ctx context.Context) error {
			_, err := Select(ctx, NewPromise[string]().Future(), p.Future())
			return err
		}, func() { p.Resolve(1) }, new(waitQueue)}
	},
}

func locked(ctx context.Context, l Locker) error {
	if err := l.Lock(ctx); err != nil {
		return err
	}
	l.Unlock()
	return nil
}

// waits reports whether somebody is in the queue.
func (q *waitQueue) waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first != nil
}

// untilWaiting returns when somebody waits.
func (q *waitQueue) untilWaiting() {
	for !q.waits() {
		runtime.Gosched()
	}
}

func eachBlock(t *testing.T, test func(t *testing.T, block func() blocked)) {
	for name, block := range blocks {
		t.Run(name, func(t *testing.T) { test(t, block) })
	}
}

// A task that waits holds up no loop, and goes on when it may.
func TestWait(t *testing.T) {
	l := newLoop(t)
	eachBlock(t, func(t *testing.T, block func() blocked) {
		places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
			b := block()
			ended := make(chan error, 1)
			go func() { ended <- run(t.Context(), b.wait) }()
			l.do(func() {})
			l.do(b.release)
			require.NoError(t, <-ended)
			require.NoError(t, run(t.Context(), b.wait), "released")
		})
	})
}

// A wait ends with its context, and leaves no trace.
func TestWaitEndsWithContext(t *testing.T) {
	l := newLoop(t)
	eachBlock(t, func(t *testing.T, block func() blocked) {
		places(t, l, func(t *testing.T, run func(context.Context, func(context.Context) error) error) {
			b := block()
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, b.wait) }()
			cancel(errTest)
			err := <-ended
			require.ErrorIs(t, err, errTest)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, run(ctx, b.wait), errTest, "ended before")
			require.False(t, b.queue.waits())
			b.release()
			require.NoError(t, run(t.Context(), b.wait), "released")
		})
	})
}

func TestWaitInCallback(t *testing.T) {
	l := newLoop(t)
	eachBlock(t, func(t *testing.T, block func() blocked) {
		b := block()
		l.do(func() {
			require.Equal(t, ErrNoTask, b.wait(t.Context()))
			require.Equal(t, ErrNoTask, b.wait(context.Background()))
			require.False(t, b.queue.waits())
		})
		b.release()
		require.NoError(t, b.wait(t.Context()))
		l.do(func() { require.NoError(t, b.wait(t.Context()), "no need to wait") })
	})
}

// Whoever waits may be told, and his context end, at the same time.
func TestWaitToldWhileContextEnds(t *testing.T) {
	l := newLoop(t)
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	eachBlock(t, func(t *testing.T, block func() blocked) {
		for i := range rounds {
			b := block()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 3)
			l.start(func(task context.Context) error { return b.wait(ctx) }, func(err error) { ended <- err })
			task := l.start(b.wait, func(err error) { ended <- err })
			go func() { ended <- b.wait(ctx) }()
			if i%2 == 0 {
				go cancel()
				go task.Cancel(nil)
				b.release()
			} else {
				go b.release()
				task.Cancel(nil)
				cancel()
			}
			for range 3 {
				if err := <-ended; err != nil {
					require.ErrorIs(t, err, context.Canceled)
				}
			}
			require.NoError(t, b.wait(t.Context()), "nothing is lost")
			require.False(t, b.queue.waits())
			cancel()
		}
	})
}

// Waiting allocates nothing, once as many have waited before.
func TestWaitAllocations(t *testing.T) {
	l := newLoop(t)
	var m Mutex
	var rw RWMutex
	var e Event
	var g WaitGroup
	s := NewSemaphore(5)
	changed := NewCond(&m)
	var from int // what is ready from here on is the tasks'
	for name, c := range map[string]struct {
		round func(ctx context.Context) error // of each of some tasks
		step  func()                          // of their loop
	}{
		"Mutex": {func(ctx context.Context) error {
			return errors.Join(m.Lock(ctx), yieldAnd(ctx, m.Unlock))
		}, func() {}},
		"RWMutex": {func(ctx context.Context) error {
			return errors.Join(rw.Lock(ctx), yieldAnd(ctx, rw.Unlock), rw.RLock(ctx), yieldAnd(ctx, rw.RUnlock))
		}, func() {}},
		"Semaphore": {func(ctx context.Context) error {
			return errors.Join(s.Acquire(ctx, 3), yieldAnd(ctx, func() { s.Release(3) }))
		}, func() {}},
		"WaitGroup": {func(ctx context.Context) error {
			return errors.Join(g.Wait(ctx), yieldAnd(ctx, func() {}))
		}, func() { g.Add(1); l.runReady(from); g.Done() }},
		"Event": {func(ctx context.Context) error {
			return errors.Join(e.Wait(ctx), yieldAnd(ctx, func() {}))
		}, func() { e.Reset(); l.runReady(from); e.Set() }},
		"Cond": {func(ctx context.Context) error {
			defer m.Unlock()
			return errors.Join(m.Lock(ctx), changed.Wait(ctx))
		}, func() { changed.Signal(); changed.Broadcast() }},
		"Yield": {Yield, func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			l.do(func() {
				from = len(l.ready)
				end := false
				for range 3 {
					l.scheduler.Start(t.Context(), func(ctx context.Context) (err error) {
						for !end && err == nil {
							err = c.round(ctx)
						}
						return err
					}, func(err error) { require.NoError(t, err) })
				}
				step := func() {
					c.step()
					for range 5 {
						l.runReady(from)
					}
				}
				step()
				require.Zero(t, testing.AllocsPerRun(100, step))
				end = true
				for range 10 {
					step()
				}
			})
		})
	}

	wait := make(chan *Mutex)
	done := make(chan error)
	go func() {
		for m := range wait {
			err := m.Lock(context.Background())
			m.Unlock()
			done <- err
		}
	}()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.TryLock()
		wait <- &m
		m.units.queue.untilWaiting()
		m.Unlock()
		if <-done != nil {
			panic("not locked")
		}
	}), "goroutine")
	close(wait)
}

func yieldAnd(ctx context.Context, fn func()) error {
	defer fn()
	return Yield(ctx)
}

// runReady runs what is ready from an index on, and not what becomes ready by that.
// A callback that do runs calls it.
func (l *loop) runReady(from int) {
	n := len(l.ready)
	for i := from; i < n; i++ {
		l.ready[i].Run()
	}
	l.ready = append(l.ready[:from], l.ready[n:]...)
}

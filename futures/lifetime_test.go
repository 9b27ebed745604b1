package futures

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// recycled counts what a promise tells its Recycler.
type recycled struct{ times int }

func (r *recycled) Cancel()  {}
func (r *recycled) Recycle() { r.times++ }

// newRecycled is a promise whose operation ends only by itself.
func newRecycled(l *loop) (*Promise[int], *recycled) {
	p, r := new(Promise[int]), new(recycled)
	p.Bind(l, r)
	return p, r
}

// either is how often a result is recycled that the executor takes, or the goroutine
// that asked.
const either = -1

// What takes a result, and what only looks at it.
func TestTaken(t *testing.T) {
	l := newLoop(t)
	other := newLoop(t)
	await := func(ctx context.Context, f Future[int]) { _, _ = f.Await(ctx) }
	for name, c := range map[string]struct {
		ask     func(t *testing.T, f Future[int])
		taken   bool
		recycle int
	}{
		"Await in a task": {func(t *testing.T, f Future[int]) {
			require.NoError(t, l.task(func(ctx context.Context) error { await(ctx, f); return nil }))
		}, true, 1},
		"Await in a task, twice": {func(t *testing.T, f Future[int]) {
			require.NoError(t, l.task(func(ctx context.Context) error { await(ctx, f); await(ctx, f); return nil }))
		}, true, 1},
		"Await with another context": {func(t *testing.T, f Future[int]) {
			require.NoError(t, l.task(func(context.Context) error { await(context.Background(), f); return nil }))
		}, true, 1},
		"Await in a task of another loop": {func(t *testing.T, f Future[int]) {
			require.NoError(t, other.task(func(ctx context.Context) error { await(ctx, f); return nil }))
		}, true, 1},
		"Await on a goroutine": {func(t *testing.T, f Future[int]) { await(t.Context(), f) }, true, 1},
		"Then":                 {func(t *testing.T, f Future[int]) { thenIn(l, f) }, true, 1},
		"Then elsewhere": {func(t *testing.T, f Future[int]) {
			called := make(chan bool)
			f.Then(func(int, error) { close(called) })
			<-called
			l.do(func() {})
		}, true, 1},
		"Result":           {func(t *testing.T, f Future[int]) { l.do(func() { f.Result() }) }, true, 1},
		"Result elsewhere": {func(t *testing.T, f Future[int]) { f.Result() }, false, 0},
		"Ready":            {func(t *testing.T, f Future[int]) { l.do(func() { f.Ready() }) }, false, 0},
		"Ready elsewhere":  {func(t *testing.T, f Future[int]) { f.Ready() }, false, 0},
		"Done":             {func(t *testing.T, f Future[int]) { <-f.Done() }, false, 0},
		"Map": {func(t *testing.T, f Future[int]) {
			await(t.Context(), Map(f, func(v int) (int, error) { return v, nil }))
		}, true, 1},
		"FlatMap": {func(t *testing.T, f Future[int]) {
			await(t.Context(), FlatMap(Resolved(0), func(int) Future[int] { return f }))
		}, true, 1},
		"All": {func(t *testing.T, f Future[int]) { _ = All(f, Resolved(1)).error(t.Context()) }, true, either},
		"All that fails": {func(t *testing.T, f Future[int]) {
			_ = All(f, Failed[int](errTest)).error(t.Context())
		}, false, 0},
		"AllSettled":   {func(t *testing.T, f Future[int]) { _ = AllSettled(f).error(t.Context()) }, true, 1},
		"Any, winner":  {func(t *testing.T, f Future[int]) { await(t.Context(), Any(Failed[int](errTest), f)) }, true, 1},
		"Any, loser":   {func(t *testing.T, f Future[int]) { await(t.Context(), Any(Resolved(1), f)) }, false, 0},
		"Race, winner": {func(t *testing.T, f Future[int]) { await(t.Context(), Race(f)) }, true, 1},
		"Race, loser":  {func(t *testing.T, f Future[int]) { await(t.Context(), Race(Resolved(1), f)) }, false, 0},
		"AsCompleted": {func(t *testing.T, f Future[int]) {
			for range AsCompleted(t.Context(), f) {
			}
		}, true, 0},
		"AsCompleted, left early": {func(t *testing.T, f Future[int]) {
			for range AsCompleted(t.Context(), Resolved(1), f) {
				break
			}
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, before := range []bool{true, false} {
				p, r := newRecycled(l)
				f := p.Future()
				resolve := func() { p.Resolve(7) }
				switch {
				case before:
					l.do(resolve)
				case strings.HasPrefix(name, "Result") || strings.HasPrefix(name, "Ready"):
					continue // they do not wait for it
				default:
					go whenAwaited(l, p, resolve)
				}
				c.ask(t, f)
				for p.Pending() {
					runtime.Gosched()
				}
				var renewed bool
				l.do(func() { _, renewed = p.Renew() })
				require.Equal(t, r.times > 0, renewed)
				if c.recycle != either {
					require.Equal(t, c.recycle, r.times)
				}
				if !c.taken {
					v, err := f.Await(t.Context())
					require.NoError(t, err)
					require.Equal(t, 7, v, "it is still there")
				}
			}
		})
	}
}

// thenIn gives f a callback on its loop, and waits for it.
func thenIn(l *loop, f Future[int]) {
	called := make(chan bool)
	l.do(func() { f.Then(func(int, error) { close(called) }) })
	<-called
}

// whenAwaited runs fn on the loop once somebody waits for p.
func whenAwaited(l *loop, p *Promise[int], fn func()) {
	for awaited := false; !awaited; runtime.Gosched() {
		l.do(func() {
			p.mu.Lock()
			awaited = p.task != nil || p.then != nil || p.others.first != nil || p.done != nil
			p.mu.Unlock()
			if awaited {
				fn()
			}
		})
	}
}

// A future gives its result however many operations follow.
func TestReadAhead(t *testing.T) {
	l := newLoop(t)
	require.NoError(t, l.task(func(ctx context.Context) error {
		var fs []Future[int]
		own := newBound(l)
		for i := range 10 { // as a connection does: its own promise, or a new one
			f, ok := own.Renew()
			p := own
			if !ok {
				p = newBound(l)
				f = p.Future()
			}
			p.Resolve(i)
			fs = append(fs, f)
		}
		for _, i := range []int{3, 0, 9, 1, 2, 4, 5, 6, 7, 8} {
			v, err := fs[i].Await(ctx)
			require.NoError(t, err)
			require.Equal(t, i, v)
		}
		return nil
	}))
}

func TestFutureOfAnotherThreadKeepsItsResult(t *testing.T) {
	l := newLoop(t)
	for name, ask := range map[string]func(Future[int]){
		"Result": func(f Future[int]) { _, err := f.Result(); require.Equal(t, ErrPending, err) },
		"Ready":  func(f Future[int]) { require.False(t, f.Ready()) },
		"Done":   func(f Future[int]) { f.Done() },
	} {
		t.Run(name, func(t *testing.T) {
			p, r := newRecycled(l)
			var f Future[int]
			l.do(func() { f = renew(p) })
			ask(f)
			l.do(func() {
				p.Resolve(1)
				v, err := f.Result()
				require.NoError(t, err)
				require.Equal(t, 1, v)
				require.Zero(t, r.times)
				_, ok := p.Renew()
				require.False(t, ok)
			})
			<-f.Done()
			require.True(t, f.Ready())
			v, err := f.Result()
			require.NoError(t, err)
			require.Equal(t, 1, v)
		})
	}
}

// Others ask while the executor renews: they get the result of their operation, or
// learn that it was taken. The race detector looks on.
func TestAskWhileRenewing(t *testing.T) {
	l := newLoop(t)
	var mu sync.Mutex
	var f Future[int]
	operation, stop := 0, false
	var askers sync.WaitGroup
	for i := range 4 {
		askers.Go(func() {
			for {
				mu.Lock()
				f, want, stop := f, operation, stop
				mu.Unlock()
				if stop {
					return
				}
				var v int
				var err error
				switch i {
				case 0:
					v, err = f.Result()
				case 1:
					<-f.Done()
					v, err = f.Result()
				case 2:
					v, err = f.Await(context.Background())
				case 3:
					if !f.Ready() {
						continue
					}
					v, err = f.Result()
				}
				if err == nil && v != want && f.promise != nil {
					t.Errorf("operation %d: result %d", want, v)
				}
				if err != nil && err != ErrStale && err != ErrPending {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	p := newBound(l)
	renewed := 0
	for i := 1; i <= 2000; i++ {
		l.do(func() {
			next, ok := p.Renew()
			if !ok {
				p = newBound(l)
				next = renew(p)
			} else {
				renewed++
			}
			mu.Lock()
			f, operation = next, i
			mu.Unlock()
		})
		l.do(func() {
			p.Resolve(i)
			f.Result()
		})
	}
	mu.Lock()
	stop = true
	mu.Unlock()
	askers.Wait()
	t.Log("renewed", renewed)
}

// Two loops that ask each other's futures do not wait for each other.
func TestLoopsAskEachOther(t *testing.T) {
	var loops [2]*loop
	var promises [2]*Promise[int]
	var streams [2]*Stream[int]
	for i := range loops {
		loops[i] = newLoop(t)
		promises[i] = newBound(loops[i])
		streams[i] = NewStream[int](loops[i], 1)
	}
	var both, done sync.WaitGroup
	both.Add(2)
	for i := range loops {
		done.Go(func() {
			loops[i].do(func() {
				both.Done()
				both.Wait() // both threads are in here, and neither turns
				p, s := promises[1-i], streams[1-i]
				f := p.Future()
				for range 100 {
					require.False(t, f.Ready())
					_, err := f.Result()
					require.Equal(t, ErrPending, err)
					require.True(t, p.Pending())
					f.Done()
					s.Len()
					s.Full()
					s.Push(1)
				}
			})
		})
	}
	done.Wait()
	for i := range loops {
		require.Equal(t, 100, streams[i].Len())
		require.True(t, streams[i].Full())
		done := promises[i].Future().Done()
		promises[i].Resolve(i)
		<-done
	}
}

func TestReclaim(t *testing.T) {
	l := newLoop(t)
	gone := func(t *testing.T, err error) {
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, err, net.ErrClosed)
	}
	for name, p := range map[string]*Promise[int]{"bound": newBound(l), "free": NewPromise[int]()} {
		t.Run(name, func(t *testing.T) {
			f := p.Future()
			reclaim := func() (v int, ok bool) {
				l.do(func() { v, ok = p.Reclaim() })
				return v, ok
			}
			_, ok := reclaim()
			require.False(t, ok, "pending")
			p.Resolve(7)
			l.do(func() { require.True(t, f.Ready()) })
			v, ok := reclaim()
			require.True(t, ok)
			require.Equal(t, 7, v)
			_, ok = reclaim()
			require.False(t, ok, "once")
			_, err := f.Result()
			gone(t, err)
			l.do(func() {
				_, err := f.Result()
				gone(t, err)
				_, err = f.Await(t.Context())
				gone(t, err)
			})
			_, err = f.Await(t.Context())
			gone(t, err)
			_, err = All(f, Resolved(1)).Await(t.Context())
			gone(t, err)
			<-f.Done()
			then := make(chan error)
			f.Then(func(_ int, err error) { then <- err })
			gone(t, <-then)
		})
	}
	l.do(func() {
		p, r := newRecycled(l)
		f := renew(p)
		p.Resolve(1)
		_, ok := p.Reclaim()
		require.True(t, ok)
		require.Zero(t, r.times, "the producer knows")
		g := renew(p)
		_, err := f.Result()
		require.Equal(t, ErrStale, err)
		p.Resolve(2)
		v, err := g.Result()
		require.NoError(t, err)
		require.Equal(t, 2, v)
		_, ok = p.Reclaim()
		require.False(t, ok, "taken")
	})
}

// What is on its way to somebody who waited is not taken back.
func TestReclaimLeavesWaitersTheirs(t *testing.T) {
	l := newLoop(t)
	for name, wait := range map[string]func(f Future[int], got chan Outcome[int]){
		"task": func(f Future[int], got chan Outcome[int]) {
			l.start(func(ctx context.Context) error {
				v, err := f.Await(ctx)
				got <- Outcome[int]{v, err}
				return nil
			}, nil)
		},
		"goroutine": func(f Future[int], got chan Outcome[int]) {
			go func() {
				v, err := f.Await(context.Background())
				got <- Outcome[int]{v, err}
			}()
		},
		"callback": func(f Future[int], got chan Outcome[int]) {
			f.Then(func(v int, err error) { got <- Outcome[int]{v, err} })
		},
		"callback after the result": func(f Future[int], got chan Outcome[int]) {
			l.do(func() {
				f.promise.Resolve(7)
				f.Then(func(v int, err error) { got <- Outcome[int]{v, err} })
				_, ok := f.promise.Reclaim()
				require.False(t, ok)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newBound(l)
			got := make(chan Outcome[int], 1)
			wait(p.Future(), got)
			if p.Pending() {
				whenAwaited(l, p, func() {
					p.Resolve(7)
					_, ok := p.Reclaim()
					require.False(t, ok)
				})
			}
			require.Equal(t, Outcome[int]{7, nil}, <-got)
		})
	}
}

// One goroutine asks, the producer takes back: exactly one of them gets it.
func TestReclaimOrResult(t *testing.T) {
	l := newLoop(t)
	for range 500 {
		p := newBound(l)
		f := p.Future()
		f.Ready()
		result := make(chan bool)
		go func() {
			<-f.Done()
			v, err := f.Result()
			if err == nil && v != 7 {
				t.Error("wrong value", v)
			}
			result <- err == nil
		}()
		var reclaimed bool
		l.do(func() {
			p.Resolve(7)
			runtime.Gosched()
			_, reclaimed = p.Reclaim()
		})
		require.NotEqual(t, reclaimed, <-result)
	}
}

func TestClosedErrors(t *testing.T) {
	require.ErrorIs(t, ErrClosed, net.ErrClosed)
	require.ErrorIs(t, errReclaimed, ErrClosed)
	require.NotErrorIs(t, ErrClosed, ErrCanceled)
	require.NotErrorIs(t, ErrClosed, errors.ErrUnsupported)
}

// A result is not lost with its loop.
func TestResultAfterLoopEnded(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	f := p.Future()
	p.Resolve(7)
	l.close()
	v, err := f.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, v)
	got := make(chan int)
	f.Then(func(v int, _ error) { got <- v })
	require.Equal(t, 7, <-got)
	values, err := All(f).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{7}, values)
}

// A result that is on its way from elsewhere is of the operation that was the
// current one, not of the next.
func TestResolveElsewhereTooLate(t *testing.T) {
	l := newLoop(t)
	p := newBound(l)
	var old, next Future[int]
	l.do(func() {
		old = renew(p)
		posted := make(chan bool)
		go func() { posted <- p.Resolve(1) }()
		<-posted
		p.Resolve(2)
		v, _ := old.Result()
		require.Equal(t, 2, v)
		next = renew(p)
	})
	l.do(func() { p.Resolve(3) })
	v, err := next.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, v)
}

// A callback begins the next operation before the others have run.
func TestRecycleBeforeCallback(t *testing.T) {
	l := newLoop(t)
	l.do(func() {
		p, r := newRecycled(l)
		var got []int
		f := renew(p)
		f.Then(func(v int, _ error) {
			require.Equal(t, 1, r.times, "before the callback")
			got = append(got, v)
			renew(p).Then(func(v int, _ error) { got = append(got, v) })
		})
		f.Then(func(v int, _ error) { got = append(got, v) })
		p.Resolve(1)
		require.True(t, p.Pending())
		require.Equal(t, 1, r.times, "the next operation is not over")
		p.Resolve(2)
		require.Equal(t, 2, r.times)
		require.Equal(t, []int{1, 1, 2}, got)
	})
}

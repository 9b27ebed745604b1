package proactor_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// atOnce runs fn in a callback of each loop, all at the same time, until every
// one has ended.
func atOnce(t *testing.T, rt *proactor.Runtime, fn func(i int)) {
	t.Helper()
	var there, done sync.WaitGroup
	there.Add(len(rt.Loops()))
	for i, l := range rt.Loops() {
		done.Add(1)
		require.True(t, l.Do(func() {
			defer done.Done()
			there.Done()
			there.Wait()
			fn(i)
		}))
	}
	bounded(t, "the callbacks", done.Wait)
}

// Callbacks of two loops look at each other's loop, futures and streams, at the
// same time, while neither turns.
func TestLoopsDoNotWaitForEachOther(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var conns [2]*proactor.Conn
		var received [2]futures.Future[proactor.Buffer]
		var sleeps [2]futures.Future[struct{}]
		var bound [2]futures.Future[struct{}]
		var promises [2]*futures.Promise[int]
		var streams [2]*futures.Stream[int]
		var ticks [2]*proactor.Ticker
		for i, l := range rt.Loops() {
			conns[i], _ = acceptedOn(t, rt, i)
			promises[i] = futures.NewPromise[int]()
			streams[i] = futures.NewStream[int](nil, 4)
			streams[i].Push(i)
			ready := make(chan struct{})
			require.True(t, l.Do(func() {
				received[i], sleeps[i] = conns[i].Recv(), rt.Sleep(time.Hour)
				bound[i] = l.Go(context.Background(), func(ctx context.Context) error { return nil })
				ticks[i] = rt.Every(time.Hour)
				close(ready)
			}))
			<-ready
		}
		atOnce(t, rt, func(i int) {
			other := 1 - i
			for range 200 {
				stats := rt.Stats()
				if stats[i].Conns == 0 || stats[other].Conns == 0 {
					t.Errorf("%+v", stats)
				}
				received[other].Ready()
				received[other].Result()
				received[other].Done()
				sleeps[other].Result()
				bound[other].Ready()
				bound[other].Result()
				promises[other].Pending()
				promises[other].Future().Done()
				streams[other].Len()
				streams[other].Full()
				conns[other].LocalAddr()
				rt.Loops()[other].Inside()
				rt.Backend()
			}
			received[other].Cancel()
			sleeps[other].Cancel()
			ticks[other].Stop()
			rt.Loops()[other].Do(func() {})
		})
		for _, f := range received {
			_, err := f.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
		}
		for _, l := range rt.Loops() { // what they were told behind the cancel is done, too
			doOnLoop(t, l, func() {})
		}
		require.Zero(t, rt.Stats().Total().Timers)
	})
}

// A handler that holds up its loop holds up nobody who asks for counters.
func TestStatsOfALoopThatDoesNotTurn(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := acceptedOn(t, rt, 0)
		wrote(t, peer, "counted")
		require.Equal(t, "counted", receivedAll(t, t.Context(), c, 7))
		held, holds := make(chan struct{}), make(chan struct{})
		require.True(t, rt.Loops()[0].Do(func() { close(holds); <-held }))
		<-holds
		defer close(held)
		check := func() {
			stats := rt.Stats()
			require.Positive(t, stats[0].Conns)
			require.Positive(t, stats[0].Buffers)
			require.Positive(t, stats[0].Turns)
		}
		bounded(t, "Stats on a goroutine", check)
		bounded(t, "Stats on the other loop", func() {
			done := make(chan proactor.Stats, 1)
			require.True(t, rt.Loops()[1].Do(func() { done <- rt.Stats() }))
			require.Positive(t, (<-done)[0].Conns)
		})
	}, proactor.WithStatsPatience(100*time.Millisecond))
}

// What a loop has that has not turned yet, and one that has ended.
func TestStatsAtBothEnds(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		done := make(chan proactor.Stats, 1)
		require.True(t, rt.Loops()[0].Do(func() { done <- rt.Stats() }))
		for _, s := range <-done {
			require.Positive(t, s.Buffers)
			require.Equal(t, 1, s.InFlight, "the wake-up")
		}
		_, peer := accepted(t, rt)
		peer.Close()
		require.NoError(t, rt.Close())
		total := rt.Stats().Total()
		require.EqualValues(t, 1, total.Accepted)
		require.Equal(t, len(rt.Loops()), total.InFlight, "the wake-ups")
	})
}

// BenchmarkTurn is what a turn costs in which nothing happens.
func BenchmarkTurn(b *testing.B) {
	for _, backend := range backends {
		b.Run(backend.String(), func(b *testing.B) { turns(b, backend) })
		b.Run(backend.String()+"-latency", func(b *testing.B) { turns(b, backend, proactor.WithTurnLatency()) })
	}
}

// turns has a loop turn b.N times.
func turns(b *testing.B, backend proactor.Backend, opts ...proactor.Option) {
	requireBackend(b, backend)
	rt, err := proactor.New(append(opts, proactor.WithBackend(backend), proactor.WithLoops(1))...)
	require.NoError(b, err)
	defer rt.Close()
	l, left, done := rt.Loops()[0], b.N, make(chan struct{})
	var again func()
	again = func() {
		if left--; left == 0 {
			close(done)
			return
		}
		l.Do(again)
	}
	b.ResetTimer()
	l.Do(again)
	<-done
}

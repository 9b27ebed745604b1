package proactor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceTime(t *testing.T) { conform(t, timing) }

var timing = []behaviour{
	{name: "a ticker ticks until it is stopped", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			began := time.Now()
			tick := rt.Every(time.Millisecond)
			last := began
			for n := 1; n <= 5; n++ {
				at, err := tick.Next().Await(ctx)
				require.NoError(t, err)
				require.False(t, at.Before(last), "ticks go forward")
				require.GreaterOrEqual(t, at.Sub(began), time.Duration(n)*time.Millisecond, "none comes early")
				last = at
			}
			waiting := tick.Next()
			waiting.Cancel()
			if _, err := waiting.Await(ctx); err != nil { // else a tick came first
				require.ErrorIs(t, err, futures.ErrCanceled)
			}
			_, err := tick.Next().Await(ctx)
			require.NoError(t, err, "a canceled wait loses nothing")
			tick.Stop()
			tick.Stop()
			for err == nil { // at most one tick was there already
				_, err = tick.Next().Await(ctx)
			}
			require.Equal(t, io.EOF, err)
		})
		require.Zero(t, rt.Stats().Total().Timers)
	}},
	{name: "a reader that falls behind misses ticks", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			tick := rt.Every(time.Millisecond)
			defer tick.Stop()
			_, err := rt.Sleep(20 * time.Millisecond).Await(ctx)
			require.NoError(t, err)
			_, err = tick.Next().Await(ctx)
			require.NoError(t, err)
			tick.Stop()
			left := 0
			for range tick.All(ctx) {
				left++
			}
			require.LessOrEqual(t, left, 1)
		})
	}},
	{name: "nothing is armed after Stop", without: faultqueue.Interrupts, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			fd := eventfd(t)
			tick, polls := rt.Every(time.Hour), rt.PollAll(fd, proactor.Readable)
			tick.Stop()
			_, err := polls.Stop().Await(ctx)
			require.NoError(t, err)
			_, err = tick.Next().Await(ctx)
			require.Equal(t, io.EOF, err)
			_, err = polls.Next().Await(ctx)
			require.Equal(t, io.EOF, err)
		})
		require.Zero(t, rt.Stats().Total().Timers)
		eventually(t, func() bool { return rt.Stats().Total().InFlight == len(rt.Loops()) }, rt.Describe)
	}},
	{name: "Stop in a callback, of what another goroutine has just begun", show: func(t *testing.T, rt *proactor.Runtime) {
		l, fd := rt.Loops()[0], eventfd(t)
		begun, stopped := make(chan *proactor.Poller), make(chan futures.Future[struct{}], 1)
		require.True(t, l.Do(func() {
			p := <-begun
			stopped <- p.Stop() // its beginning is still on its way
		}))
		p := l.PollAll(fd, proactor.Readable)
		begun <- p
		_, err := (<-stopped).Await(t.Context())
		require.NoError(t, err)
		_, err = p.Next().Await(t.Context())
		require.Equal(t, io.EOF, err)
		eventually(t, func() bool { return rt.Stats().Total().InFlight == len(rt.Loops()) }, rt.Describe)
	}},
	{name: "a ticker ends with the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		tick := rt.Every(time.Hour)
		next := tick.Next()
		require.NoError(t, rt.Close())
		_, err := next.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		tick.Stop()
	}},
	{name: "AfterFunc runs once, or not at all", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			for _, l := range rt.Loops() {
				ran := futures.NewPromise[bool]()
				stop := l.AfterFunc(time.Millisecond, func() {
					if !ran.Resolve(l.Inside()) {
						t.Error("it ran twice")
					}
				})
				inside, err := ran.Future().Await(ctx)
				require.NoError(t, err)
				require.True(t, inside)
				require.False(t, stop(), "too late")
				stop = l.AfterFunc(time.Hour, func() { t.Error("it was stopped") })
				require.True(t, stop())
				require.False(t, stop())
			}
		})
		doOnLoop(t, rt.Loops()[0], func() {}) // behind the stops that came from elsewhere
		doOnLoop(t, rt.Loops()[1], func() {})
		require.Zero(t, rt.Stats().Total().Timers)
	}},
	{name: "a time limit ends any operation", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		ln := listen(t, rt)
		defer ln.Close()
		pc := packetConn(t, rt, "udp4", "127.0.0.1:0")
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		require.NoError(t, err)
		defer unix.Close(fd)
		everywhere(t, rt, func(ctx context.Context) {
			passes(t, ctx, rt.Sleep(time.Hour))
			passes(t, ctx, c.Recv())
			passes(t, ctx, c.RecvInto(make([]byte, 8)))
			passes(t, ctx, ln.Accept())
			passes(t, ctx, pc.Recv())
			passes(t, ctx, rt.Poll(fd, proactor.Readable))
			all := rt.PollAll(fd, proactor.Readable)
			passes(t, ctx, all.Next())
			_, err := all.Stop().Await(ctx)
			require.NoError(t, err)
			passes(t, ctx, rt.Chain(forever(t)))
			n, err := futures.WithTimeout(c.SendBytes([]byte("in time")), time.Hour).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 7, n)
		})
		closedDown(t, c)
	}},
}

// passes requires that the time limit of an operation does.
func passes[T any](t *testing.T, ctx context.Context, f futures.Future[T]) {
	t.Helper()
	_, err := futures.WithTimeout(f, time.Millisecond).Await(ctx)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var timeout net.Error
	require.True(t, errors.As(err, &timeout) && timeout.Timeout())
}

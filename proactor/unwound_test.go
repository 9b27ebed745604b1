package proactor_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// unwinds are the ways in which a callback does not return.
var unwinds = map[string]func(){
	"panic":  func() { panic("a callback's own fault") },
	"goexit": runtime.Goexit,
}

// A Ticker goes on when the callback of a tick did not return.
func TestTickerOutlivesACallback(t *testing.T) {
	for how, fail := range unwinds {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				ticker := rt.Every(time.Millisecond)
				defer ticker.Stop()
				ticker.Next().Then(func(time.Time, error) { fail() })
				bounded(t, "the next tick", func() {
					for range 3 {
						_, err := ticker.Next().Await(t.Context())
						require.NoError(t, err)
					}
				})
			}, proactor.WithLoops(1), proactor.WithLogger(slog.New(slog.DiscardHandler)))
		})
	}
}

// All timers of a loop that ends are told, though the callback of one does not return.
func TestEndOfTimersThatFail(t *testing.T) {
	for how, fail := range unwinds {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				var sleeps []futures.Future[struct{}]
				for range 5 {
					rt.Every(time.Hour).Next().Then(func(time.Time, error) { fail() })
					sleeps = append(sleeps, rt.Sleep(2*time.Hour))
				}
				bounded(t, "Close", func() { rt.Close() })
				bounded(t, "Sleep", func() {
					for _, s := range sleeps {
						_, err := s.Await(context.Background())
						require.ErrorIs(t, err, proactor.ErrClosed)
					}
				})
			}, proactor.WithLoops(1), proactor.WithLogger(slog.New(slog.DiscardHandler)))
		})
	}
}

// Close ends every connection and task of a loop, though the callbacks of others do not
// return.
func TestCloseThoughCallbacksFail(t *testing.T) {
	for how, fail := range unwinds {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				var conns []*proactor.Conn
				for range 4 {
					c, _ := accepted(t, rt)
					conns = append(conns, c)
					c.Loop().Do(func() { c.Recv().Then(func(proactor.Buffer, error) { fail() }) })
				}
				sleep := rt.Sleep(time.Hour)
				task := rt.Go(context.Background(), func(ctx context.Context) error {
					_, err := rt.Sleep(time.Hour).Await(ctx)
					return err
				})
				rt.Stats()
				bounded(t, "Close", func() { rt.Close() })
				bounded(t, "Closed", func() {
					for _, c := range conns {
						c.Closed().Await(context.Background())
					}
					sleep.Await(context.Background())
					task.Await(context.Background())
				})
			}, proactor.WithLoops(1), proactor.WithLogger(slog.New(slog.DiscardHandler)))
		})
	}
}

// Shutdown learns of the end of the last task in the turn in which a callback fails.
func TestShutdownThoughACallbackFails(t *testing.T) {
	for how, fail := range unwinds {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				release := futures.NewPromise[struct{}]()
				loop := rt.Loops()[0]
				loop.Go(context.Background(), func(ctx context.Context) error {
					_, err := release.Future().Await(ctx)
					return err
				})
				done := make(chan error, 1)
				go func() { done <- rt.Shutdown(context.Background()) }()
				for !proactor.Drains(loop) {
					runtime.Gosched()
				}
				loop.Do(func() {
					release.Resolve(struct{}{})
					loop.Do(fail)
				})
				bounded(t, "Shutdown", func() { require.NoError(t, <-done) })
			}, proactor.WithLoops(1), proactor.WithLogger(slog.New(slog.DiscardHandler)))
		})
	}
}

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

package proactortest_test

import (
	"context"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

// A second Close waits for the first one, and the fake clock goes on meanwhile.
func TestSimulatedCloseTwice(t *testing.T) {
	simulated(t, 1, func(t *testing.T, _ *proactortest.Simulation, rt *proactor.Runtime) {
		begun := make(chan struct{})
		rt.Go(context.Background(), func(ctx context.Context) error {
			close(begun)
			rt.Sleep(time.Hour).Await(ctx)
			time.Sleep(time.Second) // it takes a while to end, by the fake clock
			return nil
		})
		<-begun
		closed := make(chan error, 2)
		since := time.Now()
		for range 2 {
			go func() { closed <- rt.Close() }()
		}
		require.NoError(t, <-closed)
		require.NoError(t, <-closed)
		require.Equal(t, time.Second, time.Since(since))
	})
}

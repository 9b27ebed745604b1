package proactor_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// A loop that polls does all that one that sleeps does: completions, posts from
// elsewhere, timers; and others run beside it, on one processor too.
func TestBusyPoll(t *testing.T) {
	for _, processors := range []int{1, 2} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			c, peer := accepted(t, rt)
			for range 20 {
				wrote(t, peer, "question")
				require.Equal(t, "question", received(t, t.Context(), c))
			}
			_, err := rt.Loops()[1].Go(t.Context(), func(ctx context.Context) error {
				_, err := rt.Sleep(time.Millisecond).Await(ctx)
				return err
			}).Await(t.Context())
			require.NoError(t, err)
			ran := make(chan struct{})
			for i := range 30 {
				require.True(t, rt.Loops()[i%2].Do(func() { ran <- struct{}{} }))
				<-ran
			}
			closedDown(t, c)
		}, proactor.WithBusyPoll(time.Hour))
	}
}

// Polling ends when its time is over: the loop sleeps then, and wakes up.
func TestBusyPollEnds(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		eventually(t, func() bool { return proactor.Asleep(c.Loop()) }, func() string { return "the loop never sleeps" })
		wrote(t, peer, "awake")
		require.Equal(t, "awake", received(t, t.Context(), c))
		closedDown(t, c)
	}, proactor.WithBusyPoll(50*time.Microsecond))
}

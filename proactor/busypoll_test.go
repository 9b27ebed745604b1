package proactor_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync/atomic"
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
				require.Equal(t, "question", receivedAll(t, t.Context(), c, 8))
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
		require.Equal(t, "awake", receivedAll(t, t.Context(), c, 5))
		closedDown(t, c)
	}, proactor.WithBusyPoll(50*time.Microsecond))
}

// A callback that panics costs its own connection only: what came in the same
// batch is served, by a loop that polls and by one that sleeps.
func TestPanicInABatchOfConnections(t *testing.T) {
	const burst = 31
	for name, opts := range map[string][]proactor.Option{"polling": {proactor.WithBusyPoll(time.Hour)}, "sleeping": nil} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				ln := listen(t, rt)
				defer ln.Close()
				var came atomic.Int32
				require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
					if came.Add(1) == 1 {
						panic("the first connection's own fault")
					}
					c.OnRecv(func(b proactor.Buffer, err error) {
						if err != nil {
							c.Close()
							return
						}
						c.Send(b)
					})
				}))
				held, holds := make(chan struct{}), make(chan struct{})
				require.True(t, rt.Loops()[0].Do(func() { close(holds); <-held }))
				<-holds
				var peers []*net.TCPConn
				for range burst {
					peers = append(peers, dial(t, ln.Addr()))
				}
				close(held) // all are accepted in one batch
				served := 0
				for _, peer := range peers {
					if _, err := peer.Write([]byte("hello")); err != nil {
						continue
					}
					if got := make([]byte, 5); errorOf(io.ReadFull(peer, got)) == nil {
						require.Equal(t, "hello", string(got))
						served++
					}
				}
				require.Equal(t, burst-1, served)
				require.EqualValues(t, burst, came.Load())
			}, append(opts, proactor.WithLoops(1))...)
		})
	}
}

package proactor_test

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestLimits(t *testing.T) { conform(t, limiting) }

// briefly is an idle timeout that is to pass.
const briefly = 50 * time.Millisecond

// requireIdle checks the error of an idle timeout that ended a connection.
func requireIdle(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, proactor.ErrIdle)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorContains(t, err, "idle")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

var limiting = []behaviour{
	{name: "Queued is what the kernel has not taken", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.Zero(t, c.Queued())
		f := c.SendBytes(make([]byte, stuffed))
		doOnLoop(t, c.Loop(), func() {}) // behind the send
		require.Positive(t, c.Queued())
		require.LessOrEqual(t, c.Queued(), stuffed)
		_, err := io.CopyN(io.Discard, peer, stuffed)
		require.NoError(t, err)
		_, err = f.Await(t.Context())
		require.NoError(t, err)
		require.Zero(t, c.Queued())
		f = c.SendBytes(make([]byte, stuffed))
		doOnLoop(t, c.Loop(), func() {}) // behind the send
		c.Abort()
		require.Error(t, errorOf(f.Await(t.Context())))
		require.Zero(t, c.Queued())
	}},
	{name: "a queue limit refuses what exceeds it", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			c.SetQueueLimit(1000, proactor.QueueRefuse)
			large := c.SendBytes(make([]byte, stuffed)) // nothing else waits
			rt.Loops()[0].Do(func() {})
			full := func(err error) {
				t.Helper()
				require.ErrorIs(t, err, proactor.ErrSlowConsumer)
				require.NotErrorIs(t, err, net.ErrClosed)
				require.ErrorContains(t, err, "1000 bytes")
			}
			full(errorOf(c.SendBytes([]byte("x")).Await(ctx)))
			full(errorOf(c.SendZeroCopy([]byte("x")).Await(ctx)))
			full(errorOf(c.SendVector([]byte("x"), []byte("y")).Await(ctx)))
			full(errorOf(c.Send(c.Loop().Buffer(1)).Await(ctx)))
			full(errorOf(c.Queue(c.Loop().Buffer(1)).Await(ctx)))
			w := c.Writer()
			w.WriteString("x")
			full(errorOf(w.Flush().Await(ctx)))
			aside(t, ctx, func() { io.CopyN(io.Discard, peer, stuffed) })
			_, err := large.Await(ctx)
			require.NoError(t, err)
			_, err = c.SendBytes([]byte("fine")).Await(ctx)
			require.NoError(t, err)
			aside(t, ctx, func() { require.Equal(t, "fine", readFull(t, peer, 4)) })
			c.SetQueueLimit(0, proactor.QueueRefuse)
			large = c.SendBytes(make([]byte, stuffed))
			more := c.SendBytes(make([]byte, stuffed))
			aside(t, ctx, func() { io.CopyN(io.Discard, peer, 2*stuffed) })
			require.NoError(t, errorOf(large.Await(ctx)))
			require.NoError(t, errorOf(more.Await(ctx)))
			require.Panics(t, func() { c.SetQueueLimit(-1, proactor.QueueRefuse) })
			require.Panics(t, func() { c.SetQueueLimit(1, 9) })
		})
	}},
	{name: "a queue limit drops a slow consumer", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, exceed := range []func(c *proactor.Conn) error{
			func(c *proactor.Conn) error { return errorOf(c.SendBytes([]byte("x")).Await(t.Context())) },
			func(c *proactor.Conn) error { return errorOf(c.Queue(c.Loop().Buffer(1)).Await(t.Context())) },
		} {
			c, peer := accepted(t, rt)
			waits, sent := make(chan error, 1), c.SendBytes(make([]byte, stuffed))
			c.Recv().Then(func(_ proactor.Buffer, err error) { waits <- err })
			c.SetQueueLimit(1000, proactor.QueueDrop)
			for _, err := range []error{exceed(c), errorOf(sent.Await(t.Context())), <-waits,
				errorOf(c.Recv().Await(t.Context())), errorOf(c.SendBytes([]byte("x")).Await(t.Context())), errorOf(c.CloseWrite().Await(t.Context()))} {
				require.ErrorIs(t, err, proactor.ErrSlowConsumer)
				require.ErrorIs(t, err, net.ErrClosed)
			}
			_, err := c.Closed().Await(t.Context())
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, peer)
			require.Error(t, err, "a reset")
		}
	}},
	{name: "an idle connection ends", without: faultqueue.Interrupts, show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			c.SetIdleTimeout(briefly)
			_, err := c.Recv().Await(ctx)
			requireIdle(t, err)
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.Closed().Await(ctx)
			require.NoError(t, err)
			requireIdle(t, errorOf(c.SendBytes([]byte("x")).Await(ctx)))
			c.SetIdleTimeout(briefly)
			aside(t, ctx, func() {
				_, err = peer.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err, "the end of the stream")
			})
		})
		require.Zero(t, rt.Stats().Total().Timers)
	}},
	{name: "a send that waits is idle too", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := c.SendBytes(make([]byte, stuffed))
		c.SetIdleTimeout(briefly)
		requireIdle(t, errorOf(f.Await(t.Context())))
		_, err := io.Copy(io.Discard, peer)
		require.Error(t, err, "a reset")
	}},
	{name: "bytes either way keep a connection", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, way := range []struct {
			name string
			pass func(c *proactor.Conn, peer net.Conn)
		}{
			{"Recv", func(c *proactor.Conn, peer net.Conn) {
				wrote(t, peer, "x")
				require.Equal(t, "x", received(t, t.Context(), c))
			}},
			{"RecvInto", func(c *proactor.Conn, peer net.Conn) {
				wrote(t, peer, "x")
				require.NoError(t, errorOf(c.RecvInto(make([]byte, 1)).Await(t.Context())))
			}},
			{"Send", func(c *proactor.Conn, peer net.Conn) {
				require.NoError(t, errorOf(c.SendBytes([]byte("x")).Await(t.Context())))
			}},
		} {
			c, peer := accepted(t, rt)
			c.SetIdleTimeout(time.Hour)
			for range 3 {
				c.PassIdle(59 * time.Minute)
				way.pass(c, peer)
			}
			c.PassIdle(59 * time.Minute)
			eventually(t, func() bool { return rt.Stats().Total().Timers == 1 }, rt.Describe) // armed once
			way.pass(c, peer)
			c.SetIdleTimeout(0)
			eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, rt.Describe)
			c.SetIdleTimeout(time.Hour)
			c.PassIdle(time.Hour)
			_, err := c.Closed().Await(t.Context())
			require.NoError(t, err, way.name)
			peer.Close()
		}
	}},
	{name: "Forward ends when idle, and reports its progress", show: func(t *testing.T, rt *proactor.Runtime) {
		for i := range 2 {
			from, to, client, server, p := idleForward(t, rt, i)
			require.Equal(t, "12345", readFull(t, server, 5))
			require.EqualValues(t, 5, p.Moved())
			eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, rt.Describe)

			f := from.Forward(to, proactor.ForwardIdleTimeout(time.Hour), proactor.ForwardProgress(p))
			wrote(t, client, "67")
			eventually(t, func() bool { return p.Moved() == 7 }, rt.Describe)
			require.NoError(t, client.CloseWrite())
			n, err := f.Await(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 2, n)

			f = to.Forward(from, proactor.ForwardIdleTimeout(time.Hour))
			f.Cancel()
			require.ErrorIs(t, errorOf(f.Await(t.Context())), futures.ErrCanceled)
			require.Zero(t, rt.Stats().Total().Timers)
			closedDown(t, from)
			closedDown(t, to)
		}
	}},
	{name: "a Forward is not idle because its loop stood still", show: func(t *testing.T, rt *proactor.Runtime) {
		from, client := acceptedOn(t, rt, 0)
		to, server := acceptedOn(t, rt, 0)
		wrote(t, client, "x")
		begun := make(chan futures.Future[int64], 1)
		require.True(t, rt.Loops()[0].Do(func() {
			begun <- from.Forward(to, proactor.ForwardIdleTimeout(briefly))
			from.Loop().Go(t.Context(), func(context.Context) error { // behind it, in the same turn
				time.Sleep(2 * briefly) // the loop stands still: longer only makes it clearer
				return nil
			})
		}))
		n, err := (<-begun).Await(t.Context())
		requireIdle(t, err)
		require.EqualValues(t, 1, n)
		require.Equal(t, "x", readFull(t, server, 1))
	}},
}

// idleForward begins a Forward to a connection of the i-th loop, which ends when it is idle
// behind five bytes.
func idleForward(t *testing.T, rt *proactor.Runtime, i int) (from, to *proactor.Conn, client, server *net.TCPConn, p *proactor.Progress) {
	t.Helper()
	for {
		from, client = acceptedOn(t, rt, 0)
		to, server = acceptedOn(t, rt, i)
		p = new(proactor.Progress)
		wrote(t, client, "12345")
		n, err := from.Forward(to, proactor.ForwardIdleTimeout(4*briefly), proactor.ForwardProgress(p)).Await(t.Context())
		requireIdle(t, err)
		require.NotErrorIs(t, err, net.ErrClosed)
		if n > 0 || i == 0 {
			require.EqualValues(t, 5, n)
			return from, to, client, server, p
		}
		from.Abort() // the other loop stood still meanwhile
		to.Abort()
	}
}

// The limit that ended a connection is the reason wherever it is asked for.
func TestLimitIsTheReasonEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, queued := range []int{0, stuffed} {
			c, _ := acceptedOn(t, rt, 0)
			if queued > 0 {
				c.SendBytes(make([]byte, queued))
			}
			c.SetIdleTimeout(briefly)
			_, err := c.Closed().Await(t.Context())
			require.NoError(t, err)
			n := c.NetConn(t.Context())
			_, err = n.Read(make([]byte, 1))
			requireIdle(t, err)
			_, err = n.Write([]byte("x"))
			requireIdle(t, err)
			requireIdle(t, errorOf(c.Recv().Await(t.Context())))
			for _, l := range rt.Loops() {
				requireIdle(t, errorOf(l.Go(t.Context(), func(ctx context.Context) error {
					return errorOf(c.SendBytes([]byte("x")).Await(ctx))
				}).Await(t.Context())))
			}
		}
	}, proactor.WithLoops(2))
}

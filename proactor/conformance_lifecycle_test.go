package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

var closing = []behaviour{
	{name: "Close sends what is queued first", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		require.NoError(t, c.Close())
		n, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, stuffed, n)
		m, err := sent.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, stuffed, m)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "the drain timeout ends a Close that the peer holds up", opts: []proactor.Option{proactor.WithDrainTimeout(time.Millisecond)},
		show: func(t *testing.T, rt *proactor.Runtime) {
			c, peer := accepted(t, rt)
			sent := c.SendBytes(make([]byte, stuffed))
			closedDown(t, c)
			n, err := sent.Await(t.Context())
			require.Error(t, err)
			require.Less(t, n, stuffed)
			_, err = io.Copy(io.Discard, peer)
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}},
	{name: "Close ends a Recv that waits", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		f, g, h := c.Recv(), c.RecvInto(make([]byte, 1)), c.Recv()
		closedDown(t, c)
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = g.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = h.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
	}},
	{name: "closing twice is harmless", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		other, _ := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			require.NoError(t, c.Close())
			require.NoError(t, c.Close())
		})
		closedDown(t, c)
		closedDown(t, c)
		c.Abort()
		closedDown(t, other)
		_, err := io.ReadAll(peer)
		require.NoError(t, err)
	}},
	{name: "Close while another Close drains, then Abort", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		c.Abort()
		_, err := sent.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, peer)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}},
	{name: "Abort resets the connection", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, armed := range []bool{false, true} {
			c, peer := accepted(t, rt)
			if armed {
				exchange(t, rt, c, peer)
				c.Recv()
			}
			c.Abort()
			_, err := peer.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET, "receive armed: %v", armed)
			_, err = c.Closed().Await(t.Context())
			require.NoError(t, err)
		}
	}},
	{name: "after Close everything is net.ErrClosed", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		closedDown(t, c)
		check := func(ctx context.Context) {
			n, err := c.SendBytes([]byte("x")).Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			require.Zero(t, n)
			_, err = c.SendVector([]byte("x"), []byte("y")).Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.Queue(proactor.Buffer{}).Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.Recv().Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.RecvInto(make([]byte, 1)).Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = c.CloseWrite().Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			for _, err := range c.Bufs(ctx) {
				require.ErrorIs(t, err, net.ErrClosed)
			}
			c.SetDeadline(time.Now().Add(time.Hour))
			c.SetDeadline(time.Unix(1, 0))
			c.Abort()
			require.NoError(t, c.Close())
			_, err = c.Closed().Await(ctx)
			require.NoError(t, err)
		}
		check(t.Context())
		inTask(t, rt, c, check)
		require.Zero(t, rt.Stats().Total().Timers)

		other, _ := accepted(t, rt)
		require.NoError(t, rt.Close())
		_, err := other.Recv().Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = other.SendBytes([]byte("x")).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = other.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "a lease of a closed connection lives on", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "kept")
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		closedDown(t, c)
		require.Equal(t, "kept", string(b.Bytes()))
		b.Release()
		// Given to a closed connection it ends.
		c, peer = accepted(t, rt)
		wrote(t, peer, "lost")
		b, err = c.Recv().Await(t.Context())
		require.NoError(t, err)
		closedDown(t, c)
		_, err = c.Send(b).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		require.Panics(t, b.Release)
	}},
	{name: "unread data is dropped with the connection", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer)
		for range 10 {
			wrote(t, peer, "unread")
			rt.Stats()
		}
		closedDown(t, c)
	}},
	{name: "addresses", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(context.Context) {
			require.Equal(t, peer.RemoteAddr().String(), c.LocalAddr().String())
			require.Equal(t, peer.LocalAddr().String(), c.RemoteAddr().String())
			require.Equal(t, "tcp", c.RemoteAddr().Network())
		}
		check(t.Context())
		inTask(t, rt, c, check)
		fresh, freshPeer := accepted(t, rt)
		inTask(t, rt, fresh, func(context.Context) {
			require.Equal(t, freshPeer.LocalAddr().String(), fresh.RemoteAddr().String())
		})
		closedDown(t, c)
		check(t.Context()) // those that are known stay known
		_, err := c.Recv().Await(t.Context())
		require.ErrorContains(t, err, peer.LocalAddr().String(), "errors name the peer")
		require.NoError(t, rt.Close())
		check(t.Context())
	}},
}

// timedOut wants the error of a passed deadline.
func timedOut(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

var (
	past  = time.Unix(1, 0)
	never = time.Time{}
)

func soon() time.Time { return time.Now().Add(2 * time.Millisecond) }

var expiring = []behaviour{
	{name: "a read deadline ends what waits, and loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for range 3 {
				first, second := c.Recv(), c.Recv()
				into := c.RecvInto(make([]byte, 10))
				require.NoError(t, c.SetReadDeadline(soon()))
				for _, f := range []futures.Future[proactor.Buffer]{first, second} {
					_, err := f.Await(ctx)
					timedOut(t, err)
				}
				_, err := into.Await(ctx)
				timedOut(t, err)
				_, err = c.Recv().Await(ctx) // what begins after it has passed
				timedOut(t, err)
				wrote(t, peer, "kept")
				_, err = c.RecvInto(make([]byte, 10)).Await(ctx)
				timedOut(t, err)
				require.NoError(t, c.SetReadDeadline(never))
				require.Equal(t, "kept", receivedAll(t, ctx, c, 4))
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a RecvInto with the kernel is taken back by the deadline", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			f := c.RecvInto(make([]byte, 10))
			require.NoError(t, c.SetReadDeadline(soon()))
			_, err := f.Await(ctx)
			timedOut(t, err)
			require.NoError(t, c.SetReadDeadline(never))
			wrote(t, peer, "kept")
			require.Equal(t, "kept", receivedAll(t, ctx, c, 4))
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a past deadline ends at once", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		check := func(ctx context.Context) {
			waits := c.Recv()
			require.NoError(t, c.SetDeadline(past))
			_, err := waits.Await(ctx)
			timedOut(t, err)
			_, err = c.Recv().Await(ctx)
			timedOut(t, err)
			n, err := c.SendBytes([]byte("x")).Await(ctx)
			timedOut(t, err)
			require.Zero(t, n)
			require.NoError(t, c.SetDeadline(never))
			_, err = c.SendBytes([]byte("x")).Await(ctx)
			require.NoError(t, err)
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a write deadline tells how much went out, and the stream goes on", show: func(t *testing.T, rt *proactor.Runtime) {
		check := func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			big := make([]byte, stuffed)
			for i := range big {
				big[i] = byte(i >> 10)
			}
			f := c.SendBytes(big)
			behind := c.SendBytes([]byte("behind"))
			aside(t, ctx, func() { require.Equal(t, string(big[:1]), readFull(t, peer, 1)) }) // it is under way
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
			n, err := f.Await(ctx)
			timedOut(t, err)
			require.Positive(t, n)
			require.Less(t, n, stuffed)
			m, err := behind.Await(ctx)
			timedOut(t, err)
			require.Zero(t, m)
			_, err = c.Queue(proactor.Buffer{}).Await(ctx)
			timedOut(t, err)
			require.NoError(t, c.SetWriteDeadline(never))
			after := c.SendBytes([]byte("after"))
			aside(t, ctx, func() {
				require.True(t, readFull(t, peer, n-1) == string(big[1:n]))
				require.Equal(t, "after", readFull(t, peer, 5))
			})
			_, err = after.Await(ctx)
			require.NoError(t, err)
		}
		c, peer := accepted(t, rt)
		check(t.Context(), c, peer)
		c, peer = accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) { check(ctx, c, peer) })
	}},
	{name: "a deadline that moves later or is cleared does not fire", without: faultqueue.Interrupts, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for _, to := range []time.Time{time.Now().Add(time.Hour), never} {
				var f futures.Future[proactor.Buffer]
				for before := 200 * time.Millisecond; ; before *= 2 {
					f = c.Recv()
					at := time.Now().Add(before)
					require.NoError(t, c.SetDeadline(at))
					require.NoError(t, c.SetDeadline(to))
					_, err := c.Loop().Go(ctx, func(context.Context) error { return nil }).Await(ctx) // behind both
					require.NoError(t, err)
					if time.Now().Before(at) {
						_, err := rt.Sleep(before).Await(ctx)
						require.NoError(t, err)
						break
					}
					f.Cancel() // the machine was busy: it may have fired
					f.Await(ctx)
				}
				wrote(t, peer, "in time")
				b, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "in time", string(b.Bytes()))
				b.Release()
				_, err = c.SendBytes([]byte("x")).Await(ctx)
				require.NoError(t, err)
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
		closedDown(t, c)
		require.Zero(t, rt.Stats().Total().Timers, "closing disarms deadlines")
	}},
	{name: "a deadline that moves earlier fires earlier", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		f := c.Recv()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		require.NoError(t, c.SetReadDeadline(soon()))
		_, err := f.Await(t.Context())
		timedOut(t, err)
	}},
	{name: "reading and writing have deadlines of their own", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, c.SetReadDeadline(past))
		_, err := c.SendBytes([]byte("x")).Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(never))
		require.NoError(t, c.SetWriteDeadline(past))
		wrote(t, peer, "y")
		require.Equal(t, "y", received(t, t.Context(), c))
	}},
	{name: "deadlines that race with data lose nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		const n = 1000
		sent := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				_, err = peer.Write([]byte{byte(i)})
				runtime.Gosched()
			}
			sent <- err
		}()
		p := make([]byte, 3)
		inTask(t, rt, c, func(ctx context.Context) {
			for from, round := 0, 0; from < n; round++ {
				c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(100)) * time.Microsecond))
				var got []byte
				if round%2 == 0 {
					k, err := c.RecvInto(p).Await(ctx)
					if err != nil {
						timedOut(t, err)
					}
					got = p[:k]
				} else {
					b, err := c.Recv().Await(ctx)
					if err != nil {
						timedOut(t, err)
						continue
					}
					got = append(got, b.Bytes()...)
					b.Release()
				}
				for _, v := range got {
					require.Equal(t, byte(from), v)
					from++
				}
			}
		})
		require.NoError(t, <-sent)
	}},
}

// hello sends a greeting and wants it back.
func hello(c net.Conn) error { return roundTrip(c, 100, 'h') }

// echo is the simplest handler.
func echo(ctx context.Context, c *proactor.Conn) error {
	for b, err := range c.Bufs(ctx) {
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

var listening = []behaviour{
	{name: "Accept", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		var fs []futures.Future[*proactor.Conn]
		for range 10 {
			fs = append(fs, ln.Accept())
		}
		for range 20 {
			dial(t, ln.Addr())
		}
		seen := map[*proactor.Conn]bool{}
		for _, f := range fs {
			c, err := f.Await(t.Context())
			require.NoError(t, err)
			seen[c] = true
		}
		_, err := rt.Go(t.Context(), func(ctx context.Context) error {
			for range 10 { // those that came before they were asked for
				c, err := ln.Accept().Await(ctx)
				if err != nil {
					return err
				}
				seen[c] = true
			}
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
		require.Len(t, seen, 20)
	}},
	{name: "accepting ahead of Accept has a bound", without: faultqueue.Interrupts | faultqueue.Shortages | faultqueue.Endings, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		defer ln.Close()
		inFlight := func(n int) {
			eventually(t, func() bool { return rt.Stats().Total().InFlight == n }, rt.Describe)
		}
		without := rt.Stats().Total().InFlight
		first := ln.Accept() // accepting begins
		inFlight(without + 2)
		dialed := 0
		for rt.Stats().Total().AcceptsPaused == 0 {
			dial(t, ln.Addr())
			dialed++
			eventually(t, func() bool {
				s := rt.Stats().Total()
				return s.Accepted == uint64(dialed) || s.AcceptsPaused > 0
			}, rt.Describe)
		}
		inFlight(without + 1)
		// The other loop pauses with its next connection, of which the kernel gives each loop
		// about half, but a multishot accept takes all that are there.
		const more, waiting = 30, 80 // together no more than wait for one socket (net.core.somaxconn, 128 once)
		for range more {
			dial(t, ln.Addr())
		}
		inFlight(without)
		require.EqualValues(t, 2, rt.Stats().Total().AcceptsPaused)
		accepted := rt.Stats().Total().Accepted
		for range waiting {
			dial(t, ln.Addr())
		}
		require.Equal(t, accepted, rt.Stats().Total().Accepted)
		peers := dialed + more + waiting
		var conns []*proactor.Conn
		take := func(f futures.Future[*proactor.Conn]) {
			c, err := f.Await(t.Context())
			require.NoError(t, err)
			conns = append(conns, c)
		}
		take(first)
		for len(conns) < peers {
			take(ln.Accept())
		}
		for _, c := range conns {
			c.Abort()
		}
	}},
	{name: "a canceled Accept loses no connection", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		const n = 100
		go func() {
			for range n {
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
			}
			<-t.Context().Done()
		}()
		got := 0
		for i := 0; got < n; i++ {
			f := ln.Accept()
			if i%2 == 0 {
				f.Cancel()
			}
			short, cancel := context.WithTimeout(t.Context(), time.Duration(i%3)*time.Millisecond)
			c, err := f.Await(short)
			cancel()
			if err != nil {
				require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded), "%v", err)
				continue
			}
			got++
			closedDown(t, c)
		}
	}},
	{name: "Conns", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		for range 5 {
			dial(t, ln.Addr())
		}
		n := 0
		for c, err := range ln.Conns(t.Context()) {
			require.NoError(t, err)
			require.NotNil(t, c)
			if n++; n == 2 {
				break // and again
			}
		}
		for _, err := range ln.Conns(t.Context()) {
			require.NoError(t, err)
			if n++; n == 5 {
				require.NoError(t, ln.Close()) // ends the range
			}
		}
		require.Equal(t, 5, n)

		ln = listen(t, rt)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for _, err := range ln.Conns(ctx) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			n++
		}
		require.Equal(t, 6, n)
		require.NoError(t, ln.Close())
	}},
	{name: "OnConn", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
			if !c.Loop().Inside() {
				t.Error("not on the connection's loop")
			}
			rt.Go(context.Background(), func(ctx context.Context) error { defer c.Close(); return echo(ctx, c) })
		}))
		for range 10 {
			require.NoError(t, hello(dial(t, ln.Addr())))
		}
	}},
	{name: "one listener, one way of accepting", show: func(t *testing.T, rt *proactor.Runtime) {
		ways := map[string]func(ln *proactor.Listener, ctx context.Context) error{
			"Serve": func(ln *proactor.Listener, ctx context.Context) error { return ln.Serve(ctx, echo) },
			"OnConn": func(ln *proactor.Listener, ctx context.Context) error {
				return ln.OnConn(func(c *proactor.Conn) { c.Close() })
			},
			"Accept": func(ln *proactor.Listener, ctx context.Context) error {
				_, err := ln.Accept().Await(ctx)
				if errors.Is(err, context.Canceled) {
					return nil
				}
				return err
			},
			"Conns": func(ln *proactor.Listener, ctx context.Context) error {
				for _, err := range ln.Conns(ctx) {
					if errors.Is(err, context.Canceled) {
						return nil
					}
					return err
				}
				return nil
			},
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for first, use := range ways {
			for second, reuse := range ways {
				if first == second || first == "Serve" || first == "Accept" && second == "Conns" || first == "Conns" && second == "Accept" {
					continue
				}
				ln := listen(t, rt)
				require.NoError(t, use(ln, canceled))
				require.ErrorContains(t, reuse(ln, canceled), "one way of accepting", "%s, then %s", first, second)
				require.NoError(t, ln.Close())
			}
		}
		// While Serve runs.
		addr := make(chan *proactor.Listener, 1)
		done := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			ln, err := rt.Listen("tcp", "127.0.0.1:0")
			addr <- ln
			if err == nil {
				err = ln.Serve(ctx, echo)
			}
			done <- err
		}()
		ln := <-addr
		require.NoError(t, hello(dial(t, ln.Addr()))) // it serves
		for name, use := range ways {
			if name != "Serve" {
				require.ErrorContains(t, use(ln, t.Context()), "one way of accepting", name)
			}
		}
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	}},
	{name: "Close ends an Accept that waits", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		f := ln.Accept()
		require.NoError(t, ln.Close())
		require.NoError(t, ln.Close())
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = ln.Accept().Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, ln.Serve(t.Context(), echo), net.ErrClosed)
		require.ErrorIs(t, ln.OnConn(func(*proactor.Conn) {}), net.ErrClosed)
		eventually(t, func() bool {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err == nil {
				c.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		}, func() string { return "the port is still open" })
	}},
	{name: "connections survive their listener", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt) // closes the listener
		go func() { c.SendBytes([]byte("alive")).Await(context.Background()) }()
		require.Equal(t, "alive", readFull(t, peer, 5))
	}},
	{name: "connections nobody took are closed with the listener", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		f := ln.Accept() // arms
		f.Cancel()
		peers := []*net.TCPConn{dial(t, ln.Addr()), dial(t, ln.Addr())}
		eventually(t, func() bool { return rt.Stats().Total().Conns == 2 }, func() string { return rt.Describe() })
		require.NoError(t, ln.Close())
		for _, p := range peers {
			_, err := io.ReadAll(p)
			require.NoError(t, err)
		}
	}},
	{name: "Serve ends with its context, and its handlers with it", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("closing time")
		started, ended := make(chan struct{}, 8), make(chan error, 8)
		var running atomic.Int32
		served := make(chan error, 1)
		go func() {
			served <- ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
				running.Add(1)
				defer running.Add(-1)
				started <- struct{}{}
				_, err := c.Recv().Await(ctx)
				ended <- err
				if !errors.Is(context.Cause(ctx), why) {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				return err
			})
		}()
		for range 8 {
			dial(t, ln.Addr())
			<-started
		}
		cancel(why)
		require.ErrorIs(t, <-served, context.Canceled)
		require.Zero(t, running.Load(), "Serve returns when all handlers have")
		for range 8 {
			require.ErrorIs(t, <-ended, context.Canceled)
		}
		eventually(t, func() bool { return rt.Stats().Total().Conns == 0 }, func() string { return rt.Describe() })
	}},
	{name: "Serve's context ends the handlers that are left when its listener is closed", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		ctx, cancel := context.WithCancel(context.Background())
		started := make(chan struct{}, 2)
		served := make(chan error, 1)
		go func() {
			served <- ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
				started <- struct{}{}
				_, err := c.Recv().Await(ctx)
				return err
			})
		}()
		for range 2 {
			dial(t, ln.Addr())
			<-started
		}
		require.NoError(t, ln.Close())
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
	}},
	{name: "Serve ends with its listener, when the handlers have", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		served := make(chan error, 1)
		go func() { served <- ln.Serve(context.Background(), echo) }()
		c := dial(t, ln.Addr())
		require.NoError(t, hello(c))
		require.NoError(t, ln.Close())
		require.NoError(t, hello(c), "the handler goes on")
		select {
		case err := <-served:
			t.Fatal("Serve returned before its handler: ", err)
		default:
		}
		require.NoError(t, c.CloseWrite())
		require.ErrorIs(t, <-served, proactor.ErrClosed)
	}},
	{name: "a handler's end closes its connection after what it sent", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			c.SendBytes(make([]byte, 1<<20))
			return nil
		})
		n, err := io.Copy(io.Discard, dial(t, addr))
		require.NoError(t, err)
		require.EqualValues(t, 1<<20, n)
	}},
	{name: "the connection limit", opts: []proactor.Option{proactor.WithMaxConns(3)}, show: func(t *testing.T, rt *proactor.Runtime) {
		var open, most, served atomic.Int32
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			n := open.Add(1)
			defer open.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			defer served.Add(1)
			return echo(ctx, c)
		})
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 5 {
					c, err := net.Dial("tcp", addr.String())
					if err == nil {
						err = hello(c)
						c.Close()
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		eventually(t, func() bool { return served.Load() == 50 }, func() string { return fmt.Sprint(served.Load(), " served") })
		require.LessOrEqual(t, most.Load(), int32(3))
		s := rt.Stats().Total()
		require.EqualValues(t, 50, s.Accepted)
		require.NotZero(t, s.AcceptsPaused)
	}},
	{name: "the limit holds while all places are taken", opts: []proactor.Option{proactor.WithMaxConns(3)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		var peers []*net.TCPConn
		for range 10 {
			peers = append(peers, dial(t, ln.Addr()))
		}
		for range 3 {
			c, err := ln.Accept().Await(t.Context())
			require.NoError(t, err)
			c.OnRecv(func(b proactor.Buffer, err error) {
				if err != nil {
					c.Close()
					return
				}
				c.Queue(b)
			})
		}
		require.Equal(t, 3, rt.Stats().Total().Conns)
		fourth := ln.Accept()
		rt.Stats()
		require.False(t, fourth.Ready())
		for _, p := range peers {
			p.Close()
		}
		// Those that waited get their turn, to find that their peers have left.
		c, err := fourth.Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		for range 6 {
			c, err := ln.Accept().Await(t.Context())
			require.NoError(t, err)
			c.Abort()
		}
		require.NoError(t, ln.Close())
	}},
	{name: "closing a listener at its limit drops those that wait", opts: []proactor.Option{proactor.WithMaxConns(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		for range 10 {
			dial(t, ln.Addr())
		}
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		waits := ln.Accept()
		require.NoError(t, ln.Close())
		_, err = waits.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		closedDown(t, c)
	}},
	{name: "unix", show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "socket")
		ln, err := rt.Listen("unix", path)
		require.NoError(t, err)
		require.Equal(t, "unix", ln.Addr().Network())
		require.Equal(t, path, ln.Addr().String())
		served := make(chan error, 1)
		go func() { served <- ln.Serve(context.Background(), echo) }()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if err := roundTrip(c, 1<<20, 'u'); err != nil {
					t.Error(err)
				}
				if err := c.(*net.UnixConn).CloseWrite(); err != nil {
					t.Error(err)
				}
				if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
					t.Errorf("%q %v", rest, err)
				}
			})
		}
		all.Wait()
		require.NoError(t, ln.Close())
		require.ErrorIs(t, <-served, proactor.ErrClosed)
		_, err = rt.Listen("unix", filepath.Join(t.TempDir(), "no", "such", "directory"))
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = rt.Listen("unix", strings.Repeat("x", 200))
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "unix connections have addresses", show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "socket")
		ln, err := rt.Listen("unix", path)
		require.NoError(t, err)
		defer ln.Close()
		peer, err := net.Dial("unix", path)
		require.NoError(t, err)
		defer peer.Close()
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, path, c.LocalAddr().String())
		require.NotNil(t, c.RemoteAddr())
	}},
	{name: "tcp4, tcp6 and both", show: func(t *testing.T, rt *proactor.Runtime) {
		hosts := map[string][]string{"tcp4": {"127.0.0.1"}}
		if six, err := net.Listen("tcp6", "[::1]:0"); err == nil {
			six.Close()
			hosts["tcp6"], hosts["tcp"] = []string{"::1"}, []string{"127.0.0.1", "::1"}
		}
		for network, hosts := range hosts {
			addr := ":0"
			if network == "tcp6" {
				addr = "[::1]:0"
			}
			ln, err := rt.Listen(network, addr)
			require.NoError(t, err, network)
			for _, host := range hosts {
				port := fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)
				peer, err := net.Dial("tcp", net.JoinHostPort(host, port))
				require.NoError(t, err, "%s on %s", host, network)
				c, err := ln.Accept().Await(t.Context())
				require.NoError(t, err)
				require.Equal(t, peer.LocalAddr().String(), c.RemoteAddr().String())
				c.SendBytes([]byte("x"))
				require.Equal(t, "x", readFull(t, peer, 1))
				peer.Close()
			}
			require.NoError(t, ln.Close())
		}
	}},
	{name: "connections spread over the loops", show: func(t *testing.T, rt *proactor.Runtime) {
		for i := range rt.Loops() {
			c, _ := acceptedOn(t, rt, i)
			require.Same(t, rt.Loops()[i], c.Loop())
		}
	}},
}

var running = []behaviour{
	{name: "100,000 sleeps that are canceled leave no timer", show: func(t *testing.T, rt *proactor.Runtime) {
		n := 100_000
		if raceEnabled {
			n /= 10
		}
		fs := make([]futures.Future[struct{}], n)
		for i := range fs {
			fs[i] = rt.Sleep(time.Duration(1+rand.IntN(1000)) * time.Hour)
		}
		eventually(t, func() bool { return rt.Stats().Total().Timers == n }, rt.Describe)
		for _, i := range rand.Perm(n) {
			fs[i].Cancel()
		}
		for _, f := range fs {
			_, err := f.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
		}
		eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, rt.Describe)
	}},
	{name: "100,000 sleeps that end leave no timer", show: func(t *testing.T, rt *proactor.Runtime) {
		n := 100_000
		if raceEnabled {
			n /= 10
		}
		fs := make([]futures.Future[struct{}], n)
		for i := range fs {
			fs[i] = rt.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		}
		for _, f := range fs {
			_, err := f.Await(t.Context())
			require.NoError(t, err)
		}
		eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, rt.Describe)
	}},
	{name: "sleeps end in order", show: func(t *testing.T, rt *proactor.Runtime) {
		const n = 20
		durations := rand.Perm(n) // in ms, in the order of their starts
		var ended [n]int          // which of those that ended it was
		ends := 0
		_, err := rt.Go(t.Context(), func(ctx context.Context) error {
			var fs []futures.Future[struct{}]
			for i, ms := range durations {
				f := rt.Sleep(time.Duration(ms) * time.Millisecond)
				f.Then(func(struct{}, error) { ends++; ended[i] = ends })
				fs = append(fs, f)
			}
			_, err := futures.All(fs...).Await(ctx)
			return err
		}).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, ends)
		for first := range n {
			for later := first + 1; later < n; later++ {
				if durations[first] < durations[later] { // however long the starting took
					require.Less(t, ended[first], ended[later], "%v", durations)
				}
			}
		}
	}},
	{name: "sleeps of no time and less", show: func(t *testing.T, rt *proactor.Runtime) {
		check := func(ctx context.Context) error {
			_, err := rt.Sleep(0).Await(ctx)
			_, err2 := rt.Sleep(-time.Hour).Await(ctx)
			return errors.Join(err, err2)
		}
		require.NoError(t, check(t.Context()))
		_, err := rt.Go(t.Context(), check).Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "Go", show: func(t *testing.T, rt *proactor.Runtime) {
		why := errors.New("the task's own")
		_, err := rt.Go(t.Context(), func(ctx context.Context) error { return why }).Await(t.Context())
		require.Same(t, why, err)
		_, err = rt.Go(t.Context(), func(ctx context.Context) error { panic("tasks may") }).Await(t.Context())
		var p *futures.PanicError
		require.ErrorAs(t, err, &p)
		require.Equal(t, "tasks may", p.Value)
		_, err = rt.Go(t.Context(), func(ctx context.Context) error { runtime.Goexit(); return nil }).Await(t.Context())
		require.ErrorIs(t, err, futures.ErrGoexit)
		_, err = rt.Go(t.Context(), func(ctx context.Context) error {
			defer panic("on the way out")
			runtime.Goexit()
			return nil
		}).Await(t.Context())
		require.ErrorAs(t, err, &p)
		require.Equal(t, "on the way out", p.Value)

		ctx, cancel := context.WithCancel(t.Context())
		f := rt.Go(ctx, func(ctx context.Context) error { _, err := rt.Sleep(time.Hour).Await(ctx); return err })
		cancel()
		_, err = f.Await(t.Context())
		require.ErrorIs(t, err, context.Canceled)

		loops := map[int]bool{}
		for range 10 {
			rt.Go(t.Context(), func(ctx context.Context) error {
				outer := inside(rt)
				_, err := rt.Go(ctx, func(ctx context.Context) error {
					if inside(rt) != outer {
						t.Error("a task's task on another loop")
					}
					return nil
				}).Await(ctx)
				loops[outer] = true
				return err
			}).Await(t.Context())
		}
		require.Len(t, loops, 2, "each loop in turn")
		require.NoError(t, rt.Close())
		_, err = rt.Go(t.Context(), func(ctx context.Context) error { return nil }).Await(t.Context())
		require.Error(t, err)
	}},
	{name: "a task's children run on its loop", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			parse := futures.Go(ctx, func(ctx context.Context) (string, error) {
				if !c.Loop().Inside() {
					t.Error("a child elsewhere")
				}
				return received(t, ctx, c), nil
			})
			heavy := futures.Go(ctx, func(ctx context.Context) (string, error) {
				return futures.Blocking(ctx, func() (string, error) {
					if c.Loop().Inside() {
						t.Error("what blocks is on the loop")
					}
					runtime.Gosched()
					return "blocking ", nil
				})
			})
			parts, err := futures.All(heavy, parse).Await(ctx)
			if err != nil {
				return err
			}
			_, err = c.SendVector([]byte(parts[0]), []byte(parts[1])).Await(ctx)
			return err
		})
		for range 10 {
			c := dial(t, addr)
			wrote(t, c, "hello")
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "blocking hello", string(got))
		}
	}},
	{name: "Blocking leaves the loop to others", show: func(t *testing.T, rt *proactor.Runtime) {
		held := make(chan struct{})
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			switch received(t, ctx, c) {
			case "hold":
				_, err := futures.Blocking(ctx, func() (int, error) { <-held; return 0, nil })
				if err != nil {
					return err
				}
			case "fail":
				_, err := futures.Blocking(ctx, func() (int, error) { panic("on the pool") })
				if !errors.As(err, new(*futures.PanicError)) {
					t.Errorf("%v", err)
				}
			}
			_, err := c.SendBytes([]byte("done")).Await(ctx)
			return err
		})
		const n = 200 // more than the pool runs at once
		var peers []*net.TCPConn
		for range n {
			c := dial(t, addr)
			wrote(t, c, "hold")
			peers = append(peers, c)
		}
		for _, say := range []string{"fail", "pass"} {
			c := dial(t, addr)
			if say == "fail" { // waits for its turn on the pool
				peers = append(peers, c)
				wrote(t, c, say)
				continue
			}
			wrote(t, c, say)
			require.Equal(t, "done", readFull(t, c, 4))
		}
		close(held)
		for _, c := range peers {
			require.Equal(t, "done", readFull(t, c, 4))
		}
	}},
	{name: "All, Any and Race over several connections", show: func(t *testing.T, rt *proactor.Runtime) {
		var cs []*proactor.Conn
		var peers []*net.TCPConn
		for i := range 6 {
			c, peer := acceptedOn(t, rt, i%2)
			cs, peers = append(cs, c), append(peers, peer)
		}
		recvs := func() (fs []futures.Future[proactor.Buffer]) {
			for _, c := range cs {
				fs = append(fs, c.Recv())
			}
			return fs
		}
		check := func(ctx context.Context) {
			all := futures.All(recvs()...)
			for i, p := range peers {
				wrote(t, p, fmt.Sprint(i))
			}
			bufs, err := all.Await(ctx)
			require.NoError(t, err)
			for i, b := range bufs {
				require.Equal(t, fmt.Sprint(i), string(b.Bytes()))
				b.Release()
			}
			for _, first := range []func(...futures.Future[proactor.Buffer]) futures.Future[proactor.Buffer]{futures.Any[proactor.Buffer], futures.Race[proactor.Buffer]} {
				f := first(recvs()...)
				wrote(t, peers[3], "first")
				b, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "first", string(b.Bytes()))
				b.Release()
			}
			// The losers lost nothing.
			for i, c := range cs {
				wrote(t, peers[i], "next")
				require.Equal(t, "next", receivedAll(t, ctx, c, 4))
			}
			_, err = futures.WithTimeout(futures.All(recvs()...), time.Millisecond).Await(ctx)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			for i, c := range cs {
				wrote(t, peers[i], "again")
				require.Equal(t, "again", receivedAll(t, ctx, c, 5))
			}
			n := 0
			fs := recvs()
			for i := range peers {
				wrote(t, peers[len(peers)-1-i], "some time")
			}
			for _, o := range futures.AsCompleted(ctx, fs...) {
				require.NoError(t, o.Err)
				o.Value.Release()
				n++
			}
			require.Equal(t, len(cs), n)
		}
		check(t.Context())
		inTask(t, rt, cs[0], check)
	}},
	{name: "two loops resolve each other's promises", show: func(t *testing.T, rt *proactor.Runtime) {
		const n = 10_000
		balls := [2][]*futures.Promise[int]{}
		for i := range balls {
			for range n {
				balls[i] = append(balls[i], futures.NewPromise[int]())
			}
		}
		var players []futures.Future[struct{}]
		for i := range 2 {
			players = append(players, rt.Go(t.Context(), func(ctx context.Context) error {
				for k := range n {
					if i == 0 {
						balls[0][k].Resolve(k)
					}
					v, err := balls[1-i][k].Future().Await(ctx)
					if err != nil {
						return err
					}
					if v != k {
						return fmt.Errorf("got %d for %d", v, k)
					}
					if i == 1 {
						balls[1][k].Resolve(k)
					}
				}
				return nil
			}))
		}
		_, err := futures.All(players...).Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "what many goroutines post all runs, each one's in order", show: func(t *testing.T, rt *proactor.Runtime) {
		const posters, each = 16, 2000
		var next [2][posters]int // touched on its loop alone
		var ran sync.WaitGroup
		ran.Add(2 * posters * each)
		for p := range posters {
			go func() {
				for i := range each {
					for l, loop := range rt.Loops() {
						if !loop.Do(func() {
							if next[l][p] != i {
								t.Errorf("loop %d: %d of poster %d came at %d", l, i, p, next[l][p])
							}
							next[l][p]++
							ran.Done()
						}) {
							t.Error("refused")
						}
					}
					if i%100 == 0 {
						runtime.Gosched() // let the loop fall asleep
					}
				}
			}()
		}
		ran.Wait()
	}},
	{name: "a loop that sleeps is woken by every post", show: func(t *testing.T, rt *proactor.Runtime) {
		ran := make(chan struct{})
		for i := range 2000 {
			rt.Loops()[i%2].Do(func() { ran <- struct{}{} })
			<-ran
		}
	}},
	{name: "Do after Close is refused, and before it runs", show: func(t *testing.T, rt *proactor.Runtime) {
		var accepted, ran atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := 0; ; i++ {
					if !rt.Loops()[i%2].Do(func() { ran.Add(1) }) {
						return
					}
					accepted.Add(1)
				}
			})
		}
		eventually(t, func() bool { return accepted.Load() > 1000 }, func() string { return "nothing runs" })
		require.NoError(t, rt.Close())
		all.Wait()
		require.Equal(t, accepted.Load(), ran.Load())
	}},
	{name: "Close amid many busy connections", show: func(t *testing.T, rt *proactor.Runtime) {
		busy(t, rt, func() { require.NoError(t, rt.Close()) })
	}},
	{name: "Shutdown amid many busy connections", show: func(t *testing.T, rt *proactor.Runtime) {
		busy(t, rt, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, rt.Shutdown(ctx))
		})
	}},
	{name: "Shutdown while connections come in", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
			c.OnRecv(func(b proactor.Buffer, err error) {
				if err != nil {
					c.Close()
					return
				}
				c.Queue(b)
			})
		}))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				var kept []net.Conn
				defer func() {
					for _, c := range kept {
						c.Close()
					}
				}()
				for len(kept) < 1000 {
					c, err := net.Dial("tcp", ln.Addr().String())
					if err != nil {
						return
					}
					kept = append(kept, c)
				}
			})
		}
		eventually(t, func() bool { return rt.Stats().Total().Accepted > 100 }, func() string { return "nobody comes" })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, rt.Shutdown(ctx))
		all.Wait()
	}},
	{name: "Shutdown cuts no response short", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		dialed, err := rt.Dial(t.Context(), "tcp", ln.Addr().String()).Await(t.Context())
		require.NoError(t, err)
		peer, err := ln.Accept()
		require.NoError(t, err)
		defer peer.Close()
		unconnected, connect, err := rt.Unconnected("tcp", ln.Addr().String())
		require.NoError(t, err)
		_, err = rt.Chain(connect).Await(t.Context())
		require.NoError(t, err)
		other, err := ln.Accept()
		require.NoError(t, err)
		defer other.Close()
		moved, err := dialed.Move(rt.Loops()[1]).Await(t.Context())
		require.NoError(t, err)
		for c, peer := range map[*proactor.Conn]net.Conn{moved: peer, unconnected: other} {
			wrote(t, peer, "begun, ")
			require.Equal(t, "begun, ", receivedAll(t, t.Context(), c, 7))
		}
		served, client := accepted(t, rt)
		ctx, cancel := context.WithCancel(t.Context())
		shut := make(chan error, 1)
		go func() { shut <- rt.Shutdown(ctx) }()
		_, err = served.Recv().Await(t.Context()) // it has begun
		require.Equal(t, io.EOF, err)
		client.Close()
		require.NoError(t, served.Close())
		wrote(t, peer, "complete")
		require.NoError(t, peer.Close())
		all, err := io.ReadAll(moved.NetConn(t.Context()))
		require.NoError(t, err)
		require.Equal(t, "complete", string(all))
		require.NoError(t, moved.Close())

		// What has not come to an end is an error.
		f := unconnected.Recv()
		cancel()
		_, err = f.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, <-shut, context.Canceled)
	}},
	{name: "Close while Shutdown waits", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		shut := make(chan error, 1)
		go func() { shut <- rt.Shutdown(context.Background()) }()
		_, err := c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err) // it has begun
		require.NoError(t, rt.Close())
		<-shut
	}},
	{name: "statistics add up", show: func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, echo)
		for range 10 {
			c := dial(t, addr)
			require.NoError(t, hello(c))
			require.NoError(t, c.Close())
		}
		eventually(t, func() bool { s := rt.Stats().Total(); return s.Conns == 0 && s.Tasks == 0 }, rt.Describe)
		s := rt.Stats()
		require.Len(t, s, 2)
		total := s.Total()
		require.EqualValues(t, 10, total.Accepted)
		require.Equal(t, s[0].Accepted+s[1].Accepted, total.Accepted)
		require.Equal(t, s[0].Submitted+s[1].Submitted, total.Submitted)
		require.Positive(t, total.Buffers)
		require.Zero(t, total.BuffersOut)
		require.Positive(t, total.Turns)
		require.NoError(t, rt.Close())
		require.EqualValues(t, 10, rt.Stats().Total().Accepted, "the last they had")
		require.Zero(t, rt.Stats().Total().Timers)
	}},
}

// inside is the index of the loop the caller is on.
func inside(rt *proactor.Runtime) int {
	for i, l := range rt.Loops() {
		if l.Inside() {
			return i
		}
	}
	return -1
}

// busy has connections of three kinds under way (echoing, stuffed with what
// their peers do not read, idle) when end is called.
func busy(t *testing.T, rt *proactor.Runtime, end func()) {
	conns := 1000
	if raceEnabled {
		conns = 400
	}
	if need := uint64(2*conns + 200); descriptorLimit(t) < need {
		t.Skipf("needs %d descriptors: raise the limit with ulimit -n", need)
	}
	ln := listen(t, rt)
	served := make(chan error, 1)
	go func() { served <- ln.Serve(context.Background(), echo) }()
	var all sync.WaitGroup
	var rounds atomic.Int64
	var peers []net.Conn
	for range conns {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		peers = append(peers, c)
	}
	for i, c := range peers {
		if i%3 == 2 {
			t.Cleanup(func() { c.Close() })
			continue
		}
		all.Go(func() {
			defer c.Close()
			p := make([]byte, 1000)
			for {
				if _, err := c.Write(p); err != nil {
					return
				}
				if i%3 == 0 {
					if _, err := io.ReadFull(c, p); err != nil {
						return
					}
				} else if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
					return
				}
				rounds.Add(1)
			}
		})
	}
	eventually(t, func() bool { return rounds.Load() > int64(conns) }, rt.Describe)
	end()
	require.ErrorIs(t, <-served, proactor.ErrClosed)
	all.Wait()
}

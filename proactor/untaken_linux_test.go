package proactor_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// TestConformanceUntaken shows what becomes of results that nobody has taken when the
// connection leaves its loop.
func TestConformanceUntaken(t *testing.T) { conform(t, untaken) }

var untaken = []behaviour{
	{name: "Detach brings the data of a Recv that nobody has taken", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		bothPlaces(t, rt, func(c *proactor.Conn, peer net.Conn, do func(func(ctx context.Context))) {
			var conn net.Conn
			var taken proactor.Buffer
			do(func(ctx context.Context) {
				for _, s := range []string{"taken ", "one ", "two "} {
					f := c.Recv()
					wrote(t, peer, s)
					ready(t, ctx, f)
					if s == "taken " {
						var err error
						taken, err = f.Await(ctx)
						require.NoError(t, err)
						taken.Keep()
						continue
					}
					defer func() {
						_, err := f.Await(ctx)
						require.ErrorIs(t, err, net.ErrClosed)
					}()
				}
				canceled := c.Recv()
				canceled.Cancel()
				require.ErrorIs(t, errorOf(canceled.Await(ctx)), futures.ErrCanceled)
				wrote(t, peer, "three ")
				var err error
				conn, err = c.Detach()
				require.NoError(t, err)
			})
			wrote(t, peer, "four")
			require.Equal(t, "one two three four", readFull(t, conn, 18))
			require.Equal(t, "taken ", string(taken.Bytes()))
			taken.Release()
			require.NoError(t, conn.Close())
		})
	}},
	{name: "Detach after Move brings them, too", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := acceptedOn(t, rt, 0)
		var all []futures.Future[proactor.Buffer]
		for i, s := range []string{"one ", "two ", "three "} {
			onLoop(t, c.Loop(), func(ctx context.Context) {
				if i == 0 {
					return
				}
				var err error
				c, err = c.Move(rt.Loops()[i%2]).Await(ctx)
				require.NoError(t, err)
			})
			called := make(chan struct{})
			require.True(t, c.Loop().Do(func() { all = append(all, c.Recv()); close(called) }))
			<-called
			wrote(t, peer, s)
			ready(t, t.Context(), all[i])
		}
		conn, err := c.Detach()
		require.NoError(t, err)
		require.Equal(t, "one two three ", readFull(t, conn, 14))
		require.NoError(t, conn.Close())
		for _, f := range all {
			require.ErrorIs(t, errorOf(f.Await(t.Context())), net.ErrClosed)
		}
	}},
	{name: "Move leaves a result to its future", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := acceptedOn(t, rt, 0)
		f := c.Recv()
		wrote(t, peer, "one")
		ready(t, t.Context(), f)
		there, err := c.Move(rt.Loops()[1]).Await(t.Context())
		require.NoError(t, err)
		b, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "one", string(b.Bytes()))
		b.Release()
		wrote(t, peer, "two")
		require.Equal(t, "two", received(t, t.Context(), there))
		closedDown(t, there)
	}},
	{name: "Detach brings the message of a Recv that nobody has taken", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp4", "127.0.0.1:0")
		peer, err := net.Dial("udp", c.LocalAddr().String())
		require.NoError(t, err)
		defer peer.Close()
		var conn net.PacketConn
		onLoop(t, c.Loop(), func(ctx context.Context) {
			one, two := c.Recv(), c.Recv()
			wrote(t, peer, "one")
			ready(t, ctx, one)
			wrote(t, peer, "two")
			ready(t, ctx, two)
			var err error
			conn, err = c.Detach()
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(one.Await(ctx)), net.ErrClosed)
			require.ErrorIs(t, errorOf(two.Await(ctx)), net.ErrClosed)
		})
		defer conn.Close()
		p := make([]byte, 64)
		for _, want := range []string{"one", "two"} {
			n, from, err := conn.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, want, string(p[:n]))
			require.Equal(t, peer.LocalAddr().String(), from.String())
		}
	}},
	{name: "a message that did not fit stays one after Move", opts: []proactor.Option{proactor.WithBuffers(64, 8)}, without: unasked, show: func(t *testing.T, rt *proactor.Runtime) {
		c, other := tooLongUnread(t, rt)
		for i := range 3 {
			var err error
			c, err = c.Move(rt.Loops()[i%2]).Await(t.Context())
			require.NoError(t, err)
		}
		require.ErrorIs(t, errorOf(c.Recv().Await(t.Context())), syscall.EMSGSIZE)
		require.Equal(t, "next", received(t, t.Context(), c))
		closedDown(t, c)
		closedDown(t, other)
	}},
	{name: "a message that did not fit stays one after Detach and Adopt", opts: []proactor.Option{proactor.WithBuffers(64, 8)}, without: unasked, show: func(t *testing.T, rt *proactor.Runtime) {
		c, other := tooLongUnread(t, rt)
		conn, err := c.Detach()
		require.NoError(t, err)
		c, err = rt.Adopt(conn)
		require.NoError(t, err)
		p := make([]byte, 64)
		n, err := c.RecvInto(p).Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		require.Equal(t, strings.Repeat("x", 64), string(p[:n]))
		require.Equal(t, "next", received(t, t.Context(), c))
		closedDown(t, c)
		closedDown(t, other)
	}},
	{name: "a detached connection tells of a message that did not fit", opts: []proactor.Option{proactor.WithBuffers(64, 8)}, without: unasked, show: func(t *testing.T, rt *proactor.Runtime) {
		p := make([]byte, 100)
		for name, read := range map[string]func(conn net.Conn) error{
			"Read":     func(conn net.Conn) error { return errorOf(conn.Read(p)) },
			"ReadFrom": func(conn net.Conn) error { _, _, err := conn.(net.PacketConn).ReadFrom(p); return err },
			"ReadMsgUnix": func(conn net.Conn) error {
				_, _, flags, _, err := conn.(interface {
					ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
				}).ReadMsgUnix(p, nil)
				if err == nil && flags&syscall.MSG_TRUNC != 0 {
					return syscall.EMSGSIZE
				}
				return errors.Join(err, errors.New("not told of"))
			},
		} {
			c, other := tooLongUnread(t, rt)
			conn, err := c.Detach()
			require.NoError(t, err)
			require.ErrorIs(t, read(conn), syscall.EMSGSIZE, name)
			n, err := conn.Read(p)
			require.NoError(t, err)
			require.Equal(t, "next", string(p[:n]))
			require.NoError(t, conn.Close())
			closedDown(t, other)
		}
	}},
}

// bothPlaces shows something with calls of a task and with calls of a goroutine.
func bothPlaces(t *testing.T, rt *proactor.Runtime, show func(c *proactor.Conn, peer net.Conn, do func(func(ctx context.Context)))) {
	c, peer := accepted(t, rt)
	show(c, peer, func(fn func(ctx context.Context)) { inTask(t, rt, c, fn) })
	c, peer = accepted(t, rt)
	show(c, peer, func(fn func(ctx context.Context)) { fn(t.Context()) })
}

// ready waits until f has a result, and does not take it.
func ready[T any](t *testing.T, ctx context.Context, f futures.Future[T]) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f.Ready(); {
		require.True(t, time.Now().Before(end))
		require.NoError(t, futures.Yield(ctx))
	}
}

// unasked is faults that end a receive: when nobody asks for data, no other is armed.
const unasked = faultqueue.Interrupts | faultqueue.Shortages

// tooLongUnread is a connection with an unread message that was too long for its buffer.
// "next" comes behind it.
func tooLongUnread(t *testing.T, rt *proactor.Runtime) (c, other *proactor.Conn) {
	t.Helper()
	c, other, err := rt.SocketPair("unixpacket")
	require.NoError(t, err)
	armed := c.Recv()
	require.Zero(t, proactor.Unread(c)) // the Recv has reached the loop
	armed.Cancel()
	require.ErrorIs(t, errorOf(armed.Await(t.Context())), futures.ErrCanceled)
	require.NoError(t, errorOf(other.SendBytes([]byte(strings.Repeat("x", 100))).Await(t.Context())))
	eventually(t, func() bool { return proactor.Unread(c) == 1 }, rt.Describe)
	require.NoError(t, errorOf(other.SendBytes([]byte("next")).Await(t.Context())))
	return c, other
}

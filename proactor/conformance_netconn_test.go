package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceNetConn(t *testing.T) { conform(t, asNetConn) }

// asNetConn is what Conn.NetConn promises beyond what nettest looks at.
var asNetConn = []behaviour{
	{name: "Close ends the Reads and Writes under way", show: closeEndsCalls},
	{name: "Close ends the Writes under way that are not copied", show: closeEndsCalls, opts: []proactor.Option{proactor.WithZeroCopy(1)}},
	{name: "CloseWrite ends the Write under way", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		theirs := dial(t, ln.Addr())
		ours, err := ln.Accept()
		require.NoError(t, err)
		defer ours.Close()
		c, peer := accepted(t, rt)
		for _, pair := range []struct{ one, other net.Conn }{{theirs, ours}, {c.NetConn(t.Context()), peer}} {
			written := make(chan error, 1)
			began := make(chan struct{})
			go func() {
				_, err := pair.one.Write([]byte("x"))
				close(began)
				for err == nil {
					_, err = pair.one.Write(make([]byte, stuffed))
				}
				written <- err
			}()
			<-began
			require.Equal(t, "x", readFull(t, pair.other, 1)) // and no more: the second Write waits, soon or now
			require.NoError(t, halfClose(pair.one))
			err := <-written
			require.ErrorIs(t, err, syscall.EPIPE)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, "write", op.Op)
			rest, err := io.ReadAll(pair.other) // the end of the stream, and no reset
			require.NoError(t, err)
			require.Less(t, len(rest), stuffed)
			wrote(t, pair.other, "goes on")
			require.Equal(t, "goes on", readFull(t, pair.one, 7))
		}
	}},
	{name: "Close sends what was queued before the Write that it ends", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		n := c.NetConn(t.Context())
		queued := c.SendBytes(make([]byte, stuffed))
		written := make(chan error, 1)
		go func() {
			_, err := n.Write([]byte("cut"))
			written <- err
		}()
		read := make(chan error, 1)
		go func() {
			_, err := n.Read(make([]byte, 1))
			read <- err
		}()
		require.Zero(t, readFull(t, peer, 1)[0])
		require.NoError(t, n.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		require.ErrorIs(t, <-written, net.ErrClosed)
		_, err := n.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		got, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, stuffed-1, got)
		_, err = queued.Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "Close sends what Write has returned for", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			c, peer := accepted(t, rt)
			n := c.NetConn(t.Context())
			wrote(t, n, string(make([]byte, 100_000)))
			require.NoError(t, n.Close())
			all, err := io.ReadAll(peer)
			require.NoError(t, err)
			require.Len(t, all, 100_000)
		}
	}},
	{name: "tasks and goroutines share one", show: shareOne},
	{name: "two tasks write, and other connections go on", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := acceptedOn(t, rt, 0)
		other, otherPeer := acceptedOn(t, rt, 0)
		ended := c.Loop().Go(t.Context(), func(ctx context.Context) error {
			n := c.NetConn(ctx)
			first := futures.Go(ctx, func(context.Context) (int, error) { return n.Write(make([]byte, stuffed)) })
			second := futures.Go(ctx, func(context.Context) (int, error) { return n.Write([]byte("second")) })
			_, one := first.Await(ctx)
			_, two := second.Await(ctx)
			return errors.Join(one, two, n.Close())
		})
		wrote(t, otherPeer, "x")
		require.Equal(t, "x", received(t, t.Context(), other))
		all, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Len(t, all, stuffed+len("second"))
		require.True(t, bytes.HasSuffix(all, []byte("second")) || bytes.HasPrefix(all, []byte("second")), "in one piece")
		_, err = ended.Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "it outlives the context of its Dial", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c, err := rt.Dial(ctx, "tcp", ln.Addr().String()).Await(ctx)
		require.NoError(t, err)
		n := c.NetConn(ctx)
		defer n.Close()
		peer, err := ln.Accept()
		require.NoError(t, err)
		defer peer.Close()
		read := make(chan error, 1)
		go func() {
			_, err := n.Read(make([]byte, 1))
			read <- err
		}()
		cancel()
		wrote(t, n, "hello")
		require.Equal(t, "hello", readFull(t, peer, 5))
		wrote(t, peer, "x")
		require.NoError(t, <-read)
	}},
	{name: "in a task it ends with the context", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			limited, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := c.NetConn(limited).Read(make([]byte, 1))
			timedOut(t, err)
		})
	}},
}

func halfClose(n net.Conn) error { return n.(interface{ CloseWrite() error }).CloseWrite() }

// streams makes both ends of a connection of each network, the first ours.
func streams(t *testing.T, rt *proactor.Runtime) map[string]func() (*proactor.Conn, net.Conn) {
	pairOf := func(network string) func() (*proactor.Conn, net.Conn) {
		return func() (*proactor.Conn, net.Conn) {
			one, other, err := rt.SocketPair(network)
			require.NoError(t, err)
			return one, other.NetConn(t.Context())
		}
	}
	return map[string]func() (*proactor.Conn, net.Conn){
		"tcp":        func() (*proactor.Conn, net.Conn) { c, peer := accepted(t, rt); return c, peer },
		"unix":       pairOf("unix"),
		"unixpacket": pairOf("unixpacket"),
	}
}

// closeEndsCalls closes while goroutines and tasks read and write.
func closeEndsCalls(t *testing.T, rt *proactor.Runtime) {
	calls := []func(net.Conn) error{
		func(n net.Conn) error { _, err := n.Read(make([]byte, 1)); return err },
		func(n net.Conn) error { _, err := n.Write(make([]byte, 1)); return err },
		func(n net.Conn) error {
			for { // a message of a "unixpacket" connection is limited
				if _, err := n.Write(make([]byte, 64<<10)); err != nil {
					return err
				}
			}
		},
	}
	for network, connect := range streams(t, rt) {
		t.Run(network, func(t *testing.T) {
			c, peer := connect()
			defer peer.Close()
			n := c.NetConn(t.Context())
			ended := make(chan error)
			begin := func(call func(net.Conn) error, n net.Conn) {
				err := call(n)
				for err == nil {
					err = call(n)
				}
				ended <- err
			}
			for _, call := range calls {
				go begin(call, n)
				c.Loop().Go(t.Context(), func(ctx context.Context) error {
					err := call(c.NetConn(ctx))
					for err == nil {
						err = call(c.NetConn(ctx))
					}
					go func() { ended <- err }()
					return nil
				})
			}
			_, err := peer.Read(make([]byte, 64<<10))
			require.NoError(t, err)
			require.NoError(t, n.Close())
			for range 2 * len(calls) {
				err := <-ended
				require.ErrorIs(t, err, net.ErrClosed)
				require.ErrorContains(t, err, "use of closed network connection")
				var op *net.OpError
				require.ErrorAs(t, err, &op)
				require.False(t, op.Timeout())
			}
			_, err = c.Closed().Await(t.Context())
			require.NoError(t, err)
		})
	}
}

// shareOne has tasks and goroutines write lines, or messages, to one connection,
// and others read them. Each must be whole.
func shareOne(t *testing.T, rt *proactor.Runtime) {
	const writers, lines = 4, 50
	for network, connect := range streams(t, rt) {
		t.Run(network, func(t *testing.T) {
			c, peer := connect()
			defer peer.Close()
			n := c.NetConn(t.Context())
			line := func(writer int) []byte {
				return append(bytes.Repeat([]byte{byte('a' + writer)}, 10_000+1000*writer), '\n')
			}
			write := func(n net.Conn, writer int) error {
				for range lines {
					if _, err := n.Write(line(writer)); err != nil {
						return err
					}
				}
				return nil
			}
			written := make(chan error)
			for i := range writers {
				go func() { written <- write(n, 2*i) }()
				c.Loop().Go(t.Context(), func(ctx context.Context) error { return write(c.NetConn(ctx), 2*i+1) }).
					Then(func(_ struct{}, err error) { go func() { written <- err }() })
			}
			count := map[string]int{}
			whole := make([]byte, 64<<10)
			for in, left := []byte(nil), 2*writers*lines; left > 0; {
				n, err := peer.Read(whole) // one message, if it is one
				require.NoError(t, err)
				in = append(in, whole[:n]...)
				for end := bytes.IndexByte(in, '\n'); end >= 0; end = bytes.IndexByte(in, '\n') {
					count[string(in[:end+1])]++
					in = in[end+1:]
					left--
				}
			}
			for i := range 2 * writers {
				require.Equal(t, lines, count[string(line(i))], "writer %d", i)
				require.NoError(t, <-written)
			}

			read := make(chan byte)
			take := func(n net.Conn) {
				var one [1]byte
				if _, err := io.ReadFull(n, one[:]); err != nil {
					t.Error(err)
				}
				read <- one[0]
			}
			for range 2 {
				go take(n)
				c.Loop().Go(t.Context(), func(ctx context.Context) error {
					var one [1]byte
					_, err := io.ReadFull(c.NetConn(ctx), one[:])
					go func() { read <- one[0] }()
					return err
				})
			}
			got := map[byte]bool{}
			for i := range 4 {
				wrote(t, peer, string('0'+rune(i)))
			}
			for range 4 {
				got[<-read] = true
			}
			require.Len(t, got, 4)
			require.NoError(t, n.Close())
		})
	}
}

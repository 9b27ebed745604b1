package proactor_test

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// A function of RawConn.Read may await: others use the connection meanwhile.
func TestRawConnAwaits(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		entered, first, second := false, make(chan error, 1), make(chan error, 1)
		use := func(f func(ctx context.Context) bool, done chan error) {
			c.Loop().Go(t.Context(), func(ctx context.Context) error {
				raw, err := c.NetConn(ctx).(syscall.Conn).SyscallConn()
				if err == nil {
					err = raw.Read(func(uintptr) bool { return f(ctx) })
				}
				done <- err
				return nil
			})
		}
		use(func(ctx context.Context) bool {
			entered = true
			for entered { // until the other has been there, too
				if _, err := rt.Sleep(time.Millisecond).Await(ctx); err != nil {
					return true
				}
			}
			return true
		}, first)
		use(func(context.Context) bool {
			if entered {
				entered = false
				return true
			}
			return false
		}, second)
		wrote(t, peer, "x") // wakes the second, should it have come first
		for _, done := range []chan error{first, second} {
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(20 * time.Second):
				t.Fatal("the loop waits for itself")
			}
		}
		require.Equal(t, "x", readFull(t, c.NetConn(t.Context()), 1))
	})
}

// The limit that ended a connection is the reason wherever it is asked for.
func TestLimitIsTheReasonEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, queued := range []bool{false, true} {
			c, _ := acceptedOn(t, rt, 0)
			if queued {
				c.SendBytes(make([]byte, 32<<20))
			}
			c.SetIdleTimeout(20 * time.Millisecond)
			<-closedOf(c)
			n := c.NetConn(t.Context())
			_, err := n.Read(make([]byte, 1))
			require.ErrorIs(t, err, proactor.ErrIdle)
			_, err = n.Write([]byte("x"))
			require.ErrorIs(t, err, proactor.ErrIdle)
			for _, l := range rt.Loops() {
				_, err := c.Recv().Await(t.Context())
				require.ErrorIs(t, err, proactor.ErrIdle)
				require.ErrorIs(t, errorOf(l.Go(t.Context(), func(ctx context.Context) error {
					_, err := c.SendBytes([]byte("x")).Await(ctx)
					return err
				}).Await(t.Context())), proactor.ErrIdle)
			}
		}
	}, proactor.WithLoops(2))
}

func closedOf(c *proactor.Conn) chan struct{} {
	closed := make(chan struct{})
	c.Closed().Then(func(struct{}, error) { close(closed) })
	return closed
}

// A detached connection with unread data refuses to read as package net's does.
func TestUnreadIsRefusedAsPackageNet(t *testing.T) {
	past, soon := time.Unix(1, 0), 30*time.Millisecond
	for name, refuse := range map[string]func(net.Conn) error{
		"closed":                 func(c net.Conn) error { return c.Close() },
		"read deadline":          func(c net.Conn) error { return c.SetReadDeadline(past) },
		"deadline":               func(c net.Conn) error { return c.SetDeadline(past) },
		"deadline that passes":   func(c net.Conn) error { defer time.Sleep(2 * soon); return c.SetReadDeadline(time.Now().Add(soon)) },
		"closed after, deadline": func(c net.Conn) error { c.SetReadDeadline(past); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				detached := withUnreadData(t, rt)
				defer detached.Close()
				ln := listenNet(t)
				client := dial(t, ln.Addr())
				genuine, err := ln.Accept()
				require.NoError(t, err)
				defer genuine.Close()
				wrote(t, client, "unread")
				for _, c := range []net.Conn{detached, genuine} {
					require.NoError(t, refuse(c))
				}
				for _, length := range []int{0, 3} {
					n, want := genuine.Read(make([]byte, length))
					require.Zero(t, n)
					n, got := detached.Read(make([]byte, length))
					require.Zero(t, n)
					sameRefusal(t, want, got, detached)
				}
				_, got := io.Copy(io.Discard, detached)
				require.Error(t, got)
				if genuine.SetReadDeadline(time.Time{}) == nil { // not closed
					require.NoError(t, detached.SetReadDeadline(time.Time{}))
					require.Equal(t, "unread", readFull(t, detached, 6))
				}
			})
		})
	}
}

func sameRefusal(t *testing.T, want, got error, c net.Conn) {
	t.Helper()
	if want == nil {
		require.NoError(t, got)
		return
	}
	var expected, said *net.OpError
	require.ErrorAs(t, want, &expected)
	require.ErrorAs(t, got, &said)
	require.Equal(t, expected.Op, said.Op)
	require.Equal(t, expected.Net, said.Net)
	require.Equal(t, expected.Err, said.Err)
	require.Equal(t, c.LocalAddr().String(), said.Source.String())
	require.Equal(t, c.RemoteAddr().String(), said.Addr.String())
	require.Equal(t, os.IsTimeout(want), os.IsTimeout(got))
}

func listenNet(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func withUnreadData(t *testing.T, rt *proactor.Runtime) net.Conn {
	t.Helper()
	c, peer := accepted(t, rt)
	wrote(t, peer, "unread")
	inTask(t, rt, c, func(ctx context.Context) {
		b, err := c.Recv().Await(ctx)
		require.NoError(t, err)
		c.Unread(b)
	})
	conn, err := c.Detach()
	require.NoError(t, err)
	return conn
}

// So does a detached socket with unread messages.
func TestUnreadMessagesAreRefusedAsPackageNet(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, refuse := range []func(net.PacketConn) error{
			func(c net.PacketConn) error { return c.SetReadDeadline(time.Unix(1, 0)) },
			func(c net.PacketConn) error { return c.Close() },
		} {
			c, err := rt.ListenPacket("udp4", "127.0.0.1:0")
			require.NoError(t, err)
			peer, err := net.Dial("udp", c.LocalAddr().String())
			require.NoError(t, err)
			defer peer.Close()
			onLoop(t, c.Loop(), func(ctx context.Context) {
				f := c.Recv()
				for _, s := range []string{"one", "two"} {
					wrote(t, peer, s)
				}
				m, err := f.Await(ctx)
				require.NoError(t, err)
				m.Release()
			})
			detached, err := c.Detach()
			require.NoError(t, err)
			defer detached.Close()
			require.NoError(t, refuse(detached))
			_, _, err = detached.ReadFrom(make([]byte, 8))
			var said *net.OpError
			require.ErrorAs(t, err, &said)
			require.Equal(t, "read", said.Op)
			if detached.SetReadDeadline(time.Time{}) == nil {
				p := make([]byte, 8)
				n, _, err := detached.ReadFrom(p)
				require.NoError(t, err)
				require.Equal(t, "two", string(p[:n]))
			}
		}
	})
}

// The callback of the last send may abort the connection.
func TestAbortInACallback(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, end := range map[string]func(*proactor.Conn){
			"Abort":         func(c *proactor.Conn) { c.Abort() },
			"WriteDeadline": func(c *proactor.Conn) { c.SetWriteDeadline(time.Unix(1, 0)); c.Close() },
			"Close":         func(c *proactor.Conn) { c.Close() },
		} {
			c, peer := accepted(t, rt)
			c.Loop().Do(func() { c.SendBytes([]byte("x")).Then(func(int, error) { end(c) }) })
			select {
			case <-closedOf(c):
			case <-time.After(20 * time.Second):
				t.Fatal("it stays open: " + name)
			}
			peer.Close()
		}
	})
}

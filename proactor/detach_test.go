package proactor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

func TestConformanceDetach(t *testing.T) { conform(t, detaching) }

var detaching = []behaviour{
	{name: "Detach makes a genuine connection", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		waits := c.Recv()
		conn, err := c.Detach()
		require.NoError(t, err)
		defer conn.Close()
		require.IsType(t, (*net.TCPConn)(nil), conn)
		_, err = waits.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrDetached)
		require.ErrorIs(t, err, net.ErrClosed)
		for _, f := range []func() error{
			func() error { _, err := c.Recv().Await(t.Context()); return err },
			func() error { _, err := c.SendBytes([]byte("x")).Await(t.Context()); return err },
			func() error { _, err := c.Detach(); return err },
		} {
			require.ErrorIs(t, f(), proactor.ErrDetached)
		}
		wrote(t, conn, "out")
		require.Equal(t, "out", readFull(t, peer, 3))
		wrote(t, peer, "in")
		require.Equal(t, "in", readFull(t, conn, 2))
		require.NoError(t, conn.Close())
		_, err = peer.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "nothing else keeps the connection open")
	}},
	{name: "Detach after CloseWrite", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, errorOf(c.CloseWrite().Await(t.Context())))
		conn, err := c.Detach()
		require.NoError(t, err)
		defer conn.Close()
		require.ErrorIs(t, errorOf(conn.Write([]byte("x"))), syscall.EPIPE)
		wrote(t, peer, "in")
		require.Equal(t, "in", readFull(t, conn, 2))
	}},
	{name: "a send that fails with EPIPE does not prevent Detach and Move", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, errorOf(c.CloseWrite().Await(t.Context())))
		for range 2 {
			conn, err := c.Detach()
			require.NoError(t, err)
			c, err = rt.Adopt(conn) // it is not known that the sending side was shut down
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(c.SendBytes([]byte("x")).Await(t.Context())), syscall.EPIPE)
			c, err = c.Move(rt.Loops()[0]).Await(t.Context())
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(c.SendBytes([]byte("x")).Await(t.Context())), syscall.EPIPE)
			wrote(t, peer, "in")
			require.Equal(t, "in", receivedAll(t, t.Context(), c, 2))
		}
		closedDown(t, c)
	}},
	{name: "a Move behind a send that fails with EPIPE", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer, err := rt.SocketPair("unix")
		require.NoError(t, err)
		require.NoError(t, errorOf(peer.CloseRead().Await(t.Context())))
		sent := c.SendBytes([]byte("x"))
		moving := c.Move(rt.Loops()[0])
		require.ErrorIs(t, errorOf(sent.Await(t.Context())), syscall.EPIPE)
		c, err = moving.Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, errorOf(peer.SendBytes([]byte("in")).Await(t.Context())))
		require.Equal(t, "in", receivedAll(t, t.Context(), c, 2))
		closedDown(t, c)
		closedDown(t, peer)
	}},
	{name: "Detach sends what is queued first", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		sent := c.SendBytes(big)
		detached := make(chan net.Conn, 1)
		go func() {
			conn, err := c.Detach()
			if err == nil {
				io.WriteString(conn, "behind")
			}
			detached <- conn
		}()
		require.Equal(t, string(big)+"behind", readFull(t, peer, len(big)+6))
		_, err := sent.Await(t.Context())
		require.NoError(t, err)
		(<-detached).Close()
	}},
	{name: "Detach brings what is unread, and Adopt takes it back", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "first second")
		var b proactor.Buffer
		inTask(t, rt, c, func(ctx context.Context) {
			b, _ = c.Recv().Await(ctx)
			require.Equal(t, "first second", string(b.Bytes()))
			c.Unread(b)
		})
		conn, err := c.Detach()
		require.NoError(t, err)
		_, isWriterTo := conn.(io.WriterTo)
		_, isReaderFrom := conn.(io.ReaderFrom)
		_, hasSyscallConn := conn.(syscall.Conn)
		require.True(t, isWriterTo && isReaderFrom && hasSyscallConn)
		require.Equal(t, "first ", readFull(t, conn, 6))
		c, err = rt.Adopt(conn)
		require.NoError(t, err)
		wrote(t, peer, " third")
		require.Equal(t, "second third", receivedAll(t, t.Context(), c, 12))
		conn, err = c.Detach()
		require.NoError(t, err)
		require.IsType(t, (*net.TCPConn)(nil), conn)
		conn.Close()
	}},
	{name: "WriteTo of a detached connection begins with what is unread", show: func(t *testing.T, rt *proactor.Runtime) {
		conn, peer := detachedUnread(t, rt, "unread ")
		defer conn.Close()
		wrote(t, peer, "and the rest")
		require.NoError(t, peer.CloseWrite())
		var s strings.Builder
		n, err := io.Copy(&s, conn)
		require.NoError(t, err)
		require.Equal(t, "unread and the rest", s.String())
		require.EqualValues(t, s.Len(), n)
	}},
	{name: "Detach in a task and in a callback", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		callback := make(chan error, 1)
		require.True(t, c.Loop().Do(func() { _, err := c.Detach(); callback <- err }))
		require.ErrorIs(t, <-callback, futures.ErrNoTask)
		inTask(t, rt, c, func(ctx context.Context) {
			c.SendBytes([]byte("hello"))
			conn, err := c.Detach()
			require.NoError(t, err)
			conn.Close()
		})
		require.Equal(t, "hello", readFull(t, peer, 5))
	}},
	{name: "Detach of a closed connection and of a pipe", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		require.NoError(t, c.Close())
		_, err := c.Detach()
		require.ErrorIs(t, err, proactor.ErrClosed)
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		_, err = r.Detach()
		require.ErrorIs(t, err, syscall.ENOTSUP)
		r.Close()
		w.Close()
	}},
	{name: "Detach of a Unix connection keeps messages apart", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other, err := rt.SocketPair("unixpacket")
		require.NoError(t, err)
		defer other.Close()
		inTask(t, rt, one, func(ctx context.Context) {
			other.SendBytes([]byte("one"))
			b, err := one.Recv().Await(ctx)
			require.NoError(t, err)
			one.Unread(b)
		})
		_, err = other.SendBytes([]byte("two")).Await(t.Context())
		require.NoError(t, err)
		conn, err := one.Detach()
		require.NoError(t, err)
		defer conn.Close()
		p := make([]byte, 64)
		for _, want := range []string{"one", "two"} {
			n, err := conn.Read(p)
			require.NoError(t, err)
			require.Equal(t, want, string(p[:n]))
		}
	}},
	{name: "A detached connection gives its place back", opts: []proactor.Option{proactor.WithMaxConns(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		for range 3 {
			peer := dial(t, ln.Addr())
			c, err := ln.Accept().Await(t.Context())
			require.NoError(t, err)
			conn, err := c.Detach()
			require.NoError(t, err)
			wrote(t, peer, "x")
			require.Equal(t, "x", readFull(t, conn, 1))
			t.Cleanup(func() { conn.Close() })
		}
		require.NoError(t, ln.Close())
	}},
	{name: "Adopt refuses what has no socket", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other := net.Pipe()
		defer one.Close()
		defer other.Close()
		_, err := rt.Adopt(one)
		require.ErrorIs(t, err, syscall.ENOTSUP)
		_, err = rt.Adopt(tls.Client(one, &tls.Config{}))
		require.ErrorIs(t, err, syscall.ENOTSUP)
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer pc.Close()
		_, err = rt.Adopt(pc.(net.Conn))
		require.ErrorIs(t, err, syscall.ENOTSUP)
		_, err = rt.AdoptPacket(pc)
		require.NoError(t, err)
		c, _ := accepted(t, rt)
		same, err := rt.Adopt(c.NetConn(t.Context()))
		require.NoError(t, err)
		require.Same(t, c, same)
	}},
	{name: "Detach and AdoptPacket of UDP", show: func(t *testing.T, rt *proactor.Runtime) {
		c, err := rt.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		peer, err := net.Dial("udp", c.LocalAddr().String())
		require.NoError(t, err)
		defer peer.Close()
		p := make([]byte, 64)
		for range 3 {
			conn, err := c.Detach()
			require.NoError(t, err)
			require.IsType(t, (*net.UDPConn)(nil), conn)
			wrote(t, peer, "there")
			n, from, err := conn.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, "there", string(p[:n]))
			_, err = conn.WriteTo([]byte("back"), from)
			require.NoError(t, err)
			require.Equal(t, "back", readFull(t, peer, 4))
			_, err = c.Recv().Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrDetached)
			c, err = rt.AdoptPacket(conn)
			require.NoError(t, err)
			require.Equal(t, conn.LocalAddr().String(), c.LocalAddr().String())
			wrote(t, peer, "again")
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, "again", string(m.Bytes()))
			_, err = c.Reply(m).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, "again", readFull(t, peer, 5))
		}
		require.NoError(t, c.Close())
	}},
	{name: "Detach of UDP brings the messages that are unread", show: func(t *testing.T, rt *proactor.Runtime) {
		c, err := rt.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		peer, err := net.Dial("udp", c.LocalAddr().String())
		require.NoError(t, err)
		defer peer.Close()
		onLoop(t, c.Loop(), func(ctx context.Context) {
			f := c.Recv()
			for _, s := range []string{"one", "two", "three"} {
				wrote(t, peer, s)
			}
			m, err := f.Await(ctx)
			require.NoError(t, err)
			m.Release()
		})
		conn, err := c.Detach()
		require.NoError(t, err)
		defer conn.Close()
		udp := conn.(interface {
			ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
		})
		p := make([]byte, 64)
		for _, want := range []string{"two", "three"} {
			n, _, _, from, err := udp.ReadMsgUDP(p, nil)
			require.NoError(t, err)
			require.Equal(t, want, string(p[:n]))
			require.Equal(t, peer.LocalAddr().String(), from.String())
		}
	}},
	{name: "Detach of a Unix datagram socket", show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "s")
		c, err := rt.ListenPacket("unixgram", name)
		require.NoError(t, err)
		conn, err := c.Detach()
		require.NoError(t, err)
		require.IsType(t, (*net.UnixConn)(nil), conn)
		c, err = rt.AdoptPacket(conn)
		require.NoError(t, err)
		peer, err := net.Dial("unixgram", name)
		require.NoError(t, err)
		defer peer.Close()
		wrote(t, peer, "x")
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		m.Release()
		require.NoError(t, c.Close())
	}},
}

// TestDetachedConn is the conformance suite of package net on connections that were
// detached, and on those that were adopted and have come back.
func TestDetachedConn(t *testing.T) {
	for _, kind := range []struct {
		name string
		make func(rt *proactor.Runtime, c *proactor.Conn) (net.Conn, error)
	}{
		{"detached", func(_ *proactor.Runtime, c *proactor.Conn) (net.Conn, error) { return c.Detach() }},
		{"adopted", func(rt *proactor.Runtime, c *proactor.Conn) (net.Conn, error) {
			conn, err := c.Detach()
			if err != nil {
				return nil, err
			}
			if c, err = rt.Adopt(conn); err != nil {
				return nil, err
			}
			return c.NetConn(context.Background()), nil
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				nettest.TestConn(t, func() (ours, theirs net.Conn, stop func(), err error) {
					ours, theirs, stopPipe, err := pipe(rt)
					if err != nil {
						return nil, nil, nil, err
					}
					c, err := rt.Adopt(ours) // the Conn that it stands for
					if err == nil {
						ours, err = kind.make(rt, c)
					}
					if err != nil {
						stopPipe()
						return nil, nil, nil, err
					}
					return ours, theirs, func() {
						ours.Close()
						stopPipe()
						if c, err := rt.Adopt(ours); err == nil {
							c.Abort()
						}
					}, nil
				})
			})
		})
	}
}

// TestDetachWhileClosing has Close, Abort and the end of the runtime race with Detach:
// it returns, and whatever it returns leaks nothing.
func TestDetachWhileClosing(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for i := range 50 {
			c, peer := accepted(t, rt)
			wrote(t, peer, "x")
			done := make(chan error, 1)
			go func() {
				conn, err := c.Detach()
				if err == nil {
					err = conn.Close()
				}
				done <- err
			}()
			if i%2 == 0 {
				c.Close()
			} else {
				c.Abort()
			}
			if err := <-done; err != nil {
				require.True(t, errors.Is(err, net.ErrClosed), err)
			}
		}
	})
}

// detachedUnread is a detached connection that has received data which was put back.
func detachedUnread(t *testing.T, rt *proactor.Runtime, data string) (net.Conn, *net.TCPConn) {
	t.Helper()
	c, peer := accepted(t, rt)
	wrote(t, peer, data)
	inTask(t, rt, c, func(ctx context.Context) {
		b, err := c.Recv().Await(ctx)
		require.NoError(t, err)
		c.Unread(b)
	})
	conn, err := c.Detach()
	require.NoError(t, err)
	return conn, peer
}

// A detached connection with unread data refuses to read as package net's does.
func TestUnreadIsRefusedAsPackageNet(t *testing.T) {
	past := time.Unix(1, 0)
	for name, refuse := range map[string]func(net.Conn) error{
		"closed":                 func(c net.Conn) error { return c.Close() },
		"read deadline":          func(c net.Conn) error { return c.SetReadDeadline(past) },
		"deadline":               func(c net.Conn) error { return c.SetDeadline(past) },
		"deadline that passes":   passReadDeadline,
		"closed after, deadline": func(c net.Conn) error { c.SetReadDeadline(past); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				detached, _ := detachedUnread(t, rt, "unread")
				defer detached.Close()
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer ln.Close()
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

// passReadDeadline sets a deadline, and waits until it has passed.
func passReadDeadline(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	for err == nil {
		err = raw.Read(func(uintptr) bool { return true })
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
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

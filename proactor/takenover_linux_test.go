package proactor_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// leaseTakers are the calls that take over a lease, from a goroutine.
var leaseTakers = map[string]func(c *proactor.Conn, b proactor.Buffer) error{
	"Send":   func(c *proactor.Conn, b proactor.Buffer) error { return failure(c.Send(b)) },
	"Queue":  func(c *proactor.Conn, b proactor.Buffer) error { return failure(c.Queue(b)) },
	"Unread": func(c *proactor.Conn, b proactor.Buffer) error { c.Unread(b); return proactor.ErrClosed },
	"Broadcast": func(c *proactor.Conn, b proactor.Buffer) error {
		proactor.Broadcast(b, c, c, c)
		return proactor.ErrClosed
	},
	"Release of what is retained": func(_ *proactor.Conn, b proactor.Buffer) error {
		b.Retain().Release()
		b.Release()
		return proactor.ErrClosed
	},
	"Send of what is retained": func(c *proactor.Conn, b proactor.Buffer) error {
		err := failure(c.Send(b.Retain()))
		b.Release()
		return err
	},
}

// messageTakers take over the lease of a message.
var messageTakers = map[string]func(c *proactor.PacketConn, m proactor.Message) error{
	"Reply": func(c *proactor.PacketConn, m proactor.Message) error { return failure(c.Reply(m)) },
	"Queue": func(c *proactor.PacketConn, m proactor.Message) error {
		return failure(c.Queue(m.Buffer, netip.AddrPortFrom(netip.IPv4Unspecified(), 1)))
	},
	"Release": func(_ *proactor.PacketConn, m proactor.Message) error {
		m.Release()
		return proactor.ErrClosed
	},
}

func failure[T any](f futures.Future[T]) error {
	_, err := f.Await(context.Background())
	return err
}

// A call takes over what it is given even if it fails, and so when the loop has ended:
// two loops end one after the other, and a task of the one may send by the other.
func TestTakenOverAfterTheEnd(t *testing.T) {
	for name, take := range leaseTakers {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c, peer := accepted(t, rt)
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				b, err := c.Recv().Await(t.Context())
				require.NoError(t, err)
				require.NoError(t, rt.Close())
				require.ErrorIs(t, take(c, b), proactor.ErrClosed)
				require.Zero(t, rt.Stats().Total().BuffersOut)
				require.Zero(t, rt.Stats().Total().Held)
			})
		})
	}
	for name, take := range messageTakers {
		t.Run("of a message, "+name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c, err := rt.ListenPacket("udp", "127.0.0.1:0")
				require.NoError(t, err)
				peer, err := net.Dial("udp", c.LocalAddr().String())
				require.NoError(t, err)
				defer peer.Close()
				_, err = peer.Write([]byte("x"))
				require.NoError(t, err)
				m, err := c.Recv().Await(t.Context())
				require.NoError(t, err)
				require.NoError(t, rt.Close())
				require.ErrorIs(t, take(c, m), proactor.ErrClosed)
				require.Zero(t, rt.Stats().Total().BuffersOut)
				require.Zero(t, rt.Stats().Total().Held)
			})
		})
	}
	t.Run("descriptors", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			c, _, err := rt.SocketPair("unix")
			require.NoError(t, err)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			require.NoError(t, rt.Close())
			require.ErrorIs(t, failure(c.SendFiles([]byte("x"), w)), proactor.ErrClosed)
			require.NoError(t, w.Close())
			require.NoError(t, r.SetReadDeadline(time.Now().Add(30*time.Second)))
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "a duplicate is left open")
		})
	})
	t.Run("a file", func(t *testing.T) {
		onEach(t, func(t *testing.T, rt *proactor.Runtime) {
			c, _ := accepted(t, rt)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			require.NoError(t, rt.Close())
			require.ErrorIs(t, failure(c.SendFile(w, 0, 1)), proactor.ErrClosed)
			require.NoError(t, w.Close())
			require.NoError(t, r.SetReadDeadline(time.Now().Add(30*time.Second)))
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "a duplicate is left open")
		})
	})
}

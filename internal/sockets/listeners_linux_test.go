package sockets

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// joined listens with some sockets, of which another process has duplicates.
func joined(t *testing.T, n int) (ln net.Listener, others []net.Listener) {
	t.Helper()
	fds, _, err := Listen("tcp", "127.0.0.1:0", n, 128)
	require.NoError(t, err)
	defer CloseAll(fds)
	var all []net.Listener
	for _, fd := range fds {
		ln, err := NetListener(fd)
		require.NoError(t, err)
		other, err := NetListener(fd)
		require.NoError(t, err)
		t.Cleanup(func() { other.Close() })
		all, others = append(all, ln), append(others, other)
	}
	ln, err = JoinListeners(all)
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln, others
}

func TestJoinedListeners(t *testing.T) {
	t.Run("each connection is accepted once, by whoever is faster", func(t *testing.T) {
		const clients = 200
		ln, others := joined(t, 3)
		accepted := make(chan net.Conn, clients)
		var accepting sync.WaitGroup
		for _, from := range append(others, ln, ln, ln) {
			accepting.Go(func() {
				for {
					conn, err := from.Accept()
					if err != nil {
						return
					}
					if conn.RemoteAddr() == nil {
						t.Error("it has no address")
					}
					accepted <- conn
				}
			})
		}
		for range clients {
			conn, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			require.NoError(t, (<-accepted).Close())
			require.NoError(t, conn.Close())
		}
		require.NoError(t, ln.Close())
		for _, other := range others {
			require.NoError(t, other.Close())
		}
		accepting.Wait()
		require.Empty(t, accepted)
	})
	t.Run("a deadline ends all Accepts", func(t *testing.T) {
		ln, _ := joined(t, 2)
		ended := make(chan error)
		for range 3 {
			go func() { _, err := ln.Accept(); ended <- err }()
		}
		for range 3 {
			require.NoError(t, ln.(*listeners).SetDeadline(time.Unix(1, 0)))
			require.ErrorIs(t, <-ended, os.ErrDeadlineExceeded)
		}
		require.NoError(t, ln.(*listeners).SetDeadline(time.Time{}))
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		accepted, err := ln.Accept()
		require.NoError(t, err)
		require.NoError(t, accepted.Close())
	})
	t.Run("Close ends all Accepts", func(t *testing.T) {
		ln, _ := joined(t, 2)
		ended := make(chan error)
		for range 3 {
			go func() { _, err := ln.Accept(); ended <- err }()
		}
		require.NoError(t, ln.Close())
		for range 3 {
			require.ErrorIs(t, <-ended, net.ErrClosed)
		}
	})
	t.Run("one that cannot be watched leaves the others open", func(t *testing.T) {
		one, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer one.Close()
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, closed.Close())
		_, err = JoinListeners([]net.Listener{one, closed})
		require.ErrorIs(t, err, net.ErrClosed)
		conn, err := net.Dial("tcp", one.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

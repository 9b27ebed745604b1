package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceNetListener(t *testing.T) { conform(t, standardListening) }

var standardListening = []behaviour{
	{name: "Accept brings genuine connections", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp", "unix"} {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			ln, err := rt.Listen(network, address)
			require.NoError(t, err)
			std := ln.NetListener()
			require.Equal(t, ln.Addr(), std.Addr())
			for range 20 {
				peer, err := net.Dial(network, ln.Addr().String())
				require.NoError(t, err)
				conn, err := std.Accept()
				require.NoError(t, err)
				_, isTCP := conn.(*net.TCPConn)
				_, isUnix := conn.(*net.UnixConn)
				require.True(t, isTCP || isUnix, "%T", conn)
				wrote(t, peer, "x")
				require.Equal(t, "x", readFull(t, conn, 1))
				conn.Close()
				peer.Close()
			}
			require.NoError(t, std.Close())
			_, err = std.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
		}
	}},
	{name: "Close and Shutdown end an Accept that waits", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other := listen(t, rt), listen(t, rt)
		ended := make(chan error)
		for _, ln := range []*proactor.Listener{one, other} {
			go func() { _, err := ln.NetListener().Accept(); ended <- err }()
		}
		require.NoError(t, one.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		for range 100 { // whoever is first: package net, or the kernel with its EINVAL
			ln := listen(t, rt)
			std := ln.NetListener().(interface {
				net.Listener
				SetDeadline(time.Time) error
			})
			require.NoError(t, std.SetDeadline(time.Now().Add(-time.Second)))
			_, err := std.Accept() // package net has the socket
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, std.SetDeadline(time.Time{}))
			go func() { _, err := std.Accept(); ended <- err }()
			require.NoError(t, ln.Close())
			require.ErrorIs(t, <-ended, net.ErrClosed)
		}
		require.NoError(t, rt.Shutdown(t.Context()))
		require.ErrorIs(t, <-ended, net.ErrClosed)
	}},
	{name: "One way of accepting", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { c.Abort() }))
		_, err := ln.NetListener().Accept()
		require.ErrorContains(t, err, "OnConn")
		require.NoError(t, ln.Close())
	}},
	{name: "SetDeadline", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		std := ln.NetListener().(interface {
			net.Listener
			SetDeadline(time.Time) error
		})
		require.NoError(t, std.SetDeadline(time.Now().Add(10*time.Millisecond)))
		for range 2 {
			_, err := std.Accept()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			var timeout net.Error
			require.True(t, errors.As(err, &timeout) && timeout.Timeout())
			require.NoError(t, std.SetDeadline(time.Unix(1, 0)))
		}
		require.NoError(t, std.SetDeadline(time.Time{}))
		dial(t, ln.Addr())
		conn, err := std.Accept()
		require.NoError(t, err)
		conn.Close()
		require.NoError(t, std.Close())
		require.ErrorIs(t, std.SetDeadline(time.Time{}), net.ErrClosed)
	}},
	{name: "Pause and Resume", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, loops := listen(t, rt), listen(t, rt)
		std := ln.NetListener()
		came := make(chan net.Conn, 1)
		accept := func() {
			conn, err := std.Accept()
			if err == nil {
				came <- conn
			}
		}
		go accept()
		dial(t, ln.Addr())
		(<-came).Close()
		go accept()
		ln.Pause()
		ln.Resume()
		dial(t, ln.Addr())
		(<-came).Close()
		ln.Pause()
		dial(t, ln.Addr())
		go accept()
		ln.Resume()
		(<-came).Close()

		loops.Pause()
		dial(t, loops.Addr())
		waits := loops.Accept()
		loops.Resume()
		c, err := waits.Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		require.NoError(t, ln.Close())
		require.NoError(t, loops.Close())
	}},
	{name: "Limits hold for connections of package net", opts: []proactor.Option{proactor.WithMaxConns(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		std := ln.NetListener()
		var open []net.Conn
		for range 2 {
			dial(t, ln.Addr())
			conn, err := std.Accept()
			require.NoError(t, err)
			_, isReaderFrom := conn.(io.ReaderFrom)
			_, hasSyscallConn := conn.(syscall.Conn)
			require.True(t, isReaderFrom && hasSyscallConn)
			open = append(open, conn)
		}
		third := make(chan net.Conn, 1)
		dial(t, ln.Addr())
		go func() { conn, _ := std.Accept(); third <- conn }()
		require.NoError(t, open[0].Close())
		open[0].Close() // counts once
		open = append(open[1:], <-third)
		for _, conn := range open {
			require.NoError(t, conn.Close())
		}
		require.NoError(t, std.Close())
	}},
	{name: "A limit per address", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithMaxConnsPerAddress(1))
		require.NoError(t, err)
		first := dial(t, ln.Addr())
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		requireReset(t, ln.Addr())
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		other, err := from.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		o, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		other.Close()
		o.Abort()
		first.Close()
		c.Abort()
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		dial(t, ln.Addr())
		c, err = ln.Accept().Await(t.Context())
		require.NoError(t, err, "the place is free again")
		c.Abort()
		require.NoError(t, ln.Close())

		ln, err = rt.Listen("tcp", "127.0.0.1:0", proactor.WithMaxConnsPerAddress(1))
		require.NoError(t, err)
		std := ln.NetListener()
		dial(t, ln.Addr())
		conn, err := std.Accept()
		require.NoError(t, err)
		next := make(chan net.Conn, 1)
		go func() { conn, _ := std.Accept(); next <- conn }()
		requireReset(t, ln.Addr())
		require.NoError(t, conn.Close())
		dial(t, ln.Addr())
		(<-next).Close()
		require.NoError(t, std.Close())
	}},
	{name: "A rate of accepting", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, bad := range []proactor.ListenOption{proactor.WithAcceptRate(-1, 1), proactor.WithAcceptRate(1, 0), proactor.WithMaxConnsPerAddress(-1)} {
			_, err := rt.Listen("tcp", "127.0.0.1:0", bad)
			require.Error(t, err)
		}
		for _, standard := range []bool{false, true} {
			ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithAcceptRate(100, 1))
			require.NoError(t, err)
			began := time.Now()
			for range 11 {
				dial(t, ln.Addr())
			}
			for range 11 {
				if standard {
					conn, err := ln.NetListener().Accept()
					require.NoError(t, err)
					conn.Close()
					continue
				}
				c, err := ln.Accept().Await(t.Context())
				require.NoError(t, err)
				c.Abort()
			}
			// One of each loop at once, the others 10 ms apart.
			require.Greater(t, time.Since(began), 70*time.Millisecond)
			require.NoError(t, ln.Close())
		}
	}},
	{name: "Files and FileListeners", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		files, err := ln.Files()
		require.NoError(t, err)
		require.Len(t, files, 2)
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		_, err = ln.Files()
		require.ErrorIs(t, err, proactor.ErrClosed)
		all, err := rt.FileListeners(files)
		require.NoError(t, err)
		for _, f := range files {
			f.Close()
		}
		require.Len(t, all, 1)
		require.Equal(t, ln.Addr().String(), all[0].Addr().String())
		for range 20 {
			peer := dial(t, all[0].Addr())
			c, err := all[0].Accept().Await(t.Context())
			require.NoError(t, err)
			c.Abort()
			peer.Close()
		}
		require.NoError(t, all[0].Close())
		_, err = rt.FileListener(nil)
		require.ErrorIs(t, err, os.ErrInvalid)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		_, err = rt.FileListener(r)
		require.Error(t, err)
		r.Close()
		w.Close()
	}},
	{name: "AdoptListener and FileListener of package net's", show: func(t *testing.T, rt *proactor.Runtime) {
		std, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		f, err := std.(*net.TCPListener).File()
		require.NoError(t, err)
		shared, err := rt.FileListener(f) // non-blocking, as package net has it
		require.NoError(t, err)
		f.Close()
		for range 20 {
			peer := dial(t, shared.Addr())
			c, err := shared.Accept().Await(t.Context())
			require.NoError(t, err)
			c.Abort()
			peer.Close()
		}
		_, err = shared.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, shared.Close())
		ln, err := rt.AdoptListener(std)
		require.NoError(t, err)
		_, err = std.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		dial(t, ln.Addr())
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		require.NoError(t, ln.Close())
	}},
	{name: "The file of a Unix socket", show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "s")
		std, err := net.Listen("unix", name)
		require.NoError(t, err)
		ln, err := rt.AdoptListener(std)
		require.NoError(t, err)
		files, err := ln.Files()
		require.NoError(t, err)
		require.Len(t, files, 1)
		heir, err := rt.FileListener(files[0])
		require.NoError(t, err)
		files[0].Close()
		ln.SetUnlinkOnClose(false)
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		peer, err := net.Dial("unix", name)
		require.NoError(t, err)
		c, err := heir.Accept().Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		peer.Close()
		heir.SetUnlinkOnClose(true)
		require.NoError(t, heir.Close())
		_, err = os.Stat(name)
		require.ErrorIs(t, err, os.ErrNotExist)
	}},
	{name: "FilePacketConn", show: func(t *testing.T, rt *proactor.Runtime) {
		std, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		f, err := std.(*net.UDPConn).File()
		require.NoError(t, err)
		std.Close()
		c, err := rt.FilePacketConn(f, proactor.WithHopLimit())
		require.NoError(t, err)
		f.Close()
		peer, err := net.Dial("udp", c.LocalAddr().String())
		require.NoError(t, err)
		defer peer.Close()
		wrote(t, peer, "x")
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		_, ok := m.HopLimit()
		require.True(t, ok)
		m.Release()
		require.NoError(t, c.Close())
		_, err = rt.FilePacketConn(nil)
		require.ErrorIs(t, err, os.ErrInvalid)
	}},
	{name: "DialContext on a goroutine, in a task and in a callback", show: func(t *testing.T, rt *proactor.Runtime) {
		std, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer std.Close()
		conn, err := rt.DialContext(t.Context(), "tcp", std.Addr().String())
		require.NoError(t, err)
		require.IsType(t, (*net.TCPConn)(nil), conn)
		conn.Close()
		peer, err := std.Accept()
		require.NoError(t, err)
		peer.Close()
		custom := &proactor.Dialer{Resolver: names{netip.MustParseAddr("127.0.0.1")}}
		conn, err = custom.DialContext(t.Context(), rt, "tcp", fmt.Sprintf("name.invalid:%d", std.Addr().(*net.TCPAddr).Port))
		require.NoError(t, err)
		require.IsType(t, (*net.TCPConn)(nil), conn)
		conn.Close()
		peer, err = std.Accept()
		require.NoError(t, err)
		peer.Close()

		onLoop(t, rt.Loops()[0], func(ctx context.Context) {
			dialing, cancel := context.WithCancel(ctx)
			conn, err := rt.DialContext(dialing, "tcp", std.Addr().String())
			cancel()
			require.NoError(t, err)
			defer conn.Close()
			peer, err := std.Accept()
			require.NoError(t, err)
			defer peer.Close()
			wrote(t, conn, "holds")
			require.Equal(t, "holds", readFull(t, peer, 5))
			wrote(t, peer, "holds")
			require.Equal(t, "holds", readFull(t, conn, 5))
		})
		callback := make(chan error, 1)
		rt.Loops()[0].Do(func() {
			_, err := rt.DialContext(context.Background(), "tcp", std.Addr().String())
			callback <- err
		})
		require.Error(t, <-callback)
	}},
}

// TestHTTP2 serves net/http over TLS, with HTTP/2, through NetListener.
func TestHTTP2(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		serverConfig, clientConfig := selfSigned(t)
		server := &http.Server{TLSConfig: serverConfig, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto)
		})}
		served := make(chan error, 1)
		go func() { served <- server.ServeTLS(ln.NetListener(), "", "") }()
		transport := &http.Transport{TLSClientConfig: clientConfig, ForceAttemptHTTP2: true}
		client := &http.Client{Transport: transport}
		for range 5 {
			body, _ := get(t, client, "https://"+ln.Addr().String())
			require.Equal(t, "HTTP/2.0", body)
		}
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

// requireReset connects, and is reset: when or after that has succeeded.
func requireReset(t *testing.T, to net.Addr) {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

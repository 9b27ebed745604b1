package proactor_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goproactor/goproactor/proactor"
)

// TestConformanceAddresses shows names and addresses next to those of package
// net.
func TestConformanceAddresses(t *testing.T) { conform(t, addressing) }

// resetBy has the peer reset the connection, and waits until that has come.
func resetBy(t *testing.T, peer *net.TCPConn, c *proactor.Conn) {
	t.Helper()
	require.NoError(t, peer.SetLinger(0))
	require.NoError(t, peer.Close())
	_, err := c.Recv().Await(t.Context())
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.ErrorContains(t, err, "->"+peer.LocalAddr().String(), "the error names both ends though nobody has asked")
}

// between requires that the connection is between these two.
func between(t *testing.T, c *proactor.Conn, local, remote net.Addr) {
	t.Helper()
	require.Equal(t, local.String(), c.LocalAddr().String())
	require.Equal(t, remote.String(), c.RemoteAddr().String())
	require.Equal(t, local.Network(), c.LocalAddr().Network())
}

var addressing = []behaviour{
	{name: "addresses stay after a close that nobody asked before", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, end := range []func(c *proactor.Conn, peer *net.TCPConn){
			func(c *proactor.Conn, _ *net.TCPConn) { c.Close() },
			func(c *proactor.Conn, _ *net.TCPConn) { c.Abort() },
			func(c *proactor.Conn, peer *net.TCPConn) { resetBy(t, peer, c); c.Close() },
		} {
			c, peer := accepted(t, rt)
			end(c, peer)
			_, err := c.Closed().Await(t.Context())
			require.NoError(t, err)
			between(t, c, peer.RemoteAddr(), peer.LocalAddr())
			_, err = c.Recv().Await(t.Context())
			require.EqualError(t, err, "read tcp "+peer.RemoteAddr().String()+"->"+peer.LocalAddr().String()+": use of closed network connection")
		}
	}},
	{name: "a peer that resets before it is accepted has an address", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		peer, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		require.NoError(t, peer.(*net.TCPConn).SetLinger(0))
		require.NoError(t, peer.Close())
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		between(t, c, peer.RemoteAddr(), peer.LocalAddr())
	}},
	{name: "a dialed connection keeps its addresses", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(t.TempDir(), "socket")}, {"unix", ""}} {
			ln, err := net.Listen(at[0], at[1])
			require.NoError(t, err)
			defer ln.Close()
			c, err := rt.Dial(t.Context(), at[0], ln.Addr().String()).Await(t.Context())
			require.NoError(t, err)
			peer, err := ln.Accept()
			require.NoError(t, err)
			defer peer.Close()
			require.NoError(t, c.Close())
			_, err = c.Closed().Await(t.Context())
			require.NoError(t, err)
			between(t, c, peer.RemoteAddr(), peer.LocalAddr())
		}
	}},
	{name: "every connection has addresses", show: func(t *testing.T, rt *proactor.Runtime) {
		one, other, err := rt.SocketPair("unix")
		require.NoError(t, err)
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		unconnected, _, err := rt.Unconnected("tcp", "127.0.0.1:1")
		require.NoError(t, err)
		nameless, _, err := rt.Unconnected("unix", abstractName("nobody"))
		require.NoError(t, err)
		for _, c := range []*proactor.Conn{one, other, r, w, unconnected, nameless} {
			for range 2 {
				require.NotNil(t, c.LocalAddr())
				require.NotNil(t, c.RemoteAddr())
				_ = c.LocalAddr().String() + c.RemoteAddr().String()
				require.NoError(t, c.Close())
				_, err := c.Closed().Await(t.Context())
				require.NoError(t, err)
			}
		}
	}},
	{name: "errors name both ends", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, c.SetReadDeadline(time.Now()))
		_, err := c.Recv().Await(t.Context())
		require.EqualError(t, err, "read tcp "+peer.RemoteAddr().String()+"->"+peer.LocalAddr().String()+": i/o timeout")
	}},
	{name: "unix names are those of package net", show: func(t *testing.T, rt *proactor.Runtime) {
		backend := rt.Backend().Backend.String()
		for _, name := range []string{abstractName("at-" + backend), "\x00" + abstractName("nul-" + backend)[1:], filepath.Join(t.TempDir(), "s"), ""} {
			ln, err := rt.Listen("unix", name)
			require.NoError(t, err)
			if name == "" {
				require.Regexp(t, "^@[0-9a-f]{5}$", ln.Addr().String())
				name = ln.Addr().String()
			}
			shown := strings.Replace(name, "\x00", "@", 1)
			require.Equal(t, shown, ln.Addr().String())
			for _, spelled := range []string{name, shown} {
				c, err := rt.Dial(t.Context(), "unix", spelled).Await(t.Context())
				require.NoError(t, err)
				std, err := net.Dial("unix", spelled)
				require.NoError(t, err)
				require.Equal(t, std.RemoteAddr().String(), c.RemoteAddr().String())
				require.Equal(t, std.LocalAddr().String(), c.LocalAddr().String())
				require.NoError(t, std.Close())
				closedDown(t, c)
			}
			require.NoError(t, ln.Close())
			_, err = rt.Dial(t.Context(), "unix", name+"-nobody").Await(t.Context())
			require.True(t, errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist), err)
			require.ErrorContains(t, err, "dial unix "+shown+"-nobody: connect: ")
		}
		_, err := rt.Dial(t.Context(), "unix", "").Await(t.Context())
		_, std := net.Dial("unix", "")
		require.EqualError(t, err, std.Error())
	}},
	{name: "datagram names are those of package net", show: func(t *testing.T, rt *proactor.Runtime) {
		backend := rt.Backend().Backend.String()
		for _, name := range []string{abstractName("gram-" + backend), "\x00" + abstractName("gram-" + backend)[1:], filepath.Join(t.TempDir(), "s"), ""} {
			c := packetConn(t, rt, "unixgram", name)
			if name == "" {
				require.Regexp(t, "^@[0-9a-f]{5}$", c.LocalAddr().String())
				name = c.LocalAddr().String()
			}
			shown := strings.Replace(name, "\x00", "@", 1)
			require.Equal(t, shown, c.LocalAddr().String())
			from := packetConn(t, rt, "unixgram", "")
			for _, spelled := range []string{name, shown} {
				_, err := from.SendToName([]byte("x"), spelled).Await(t.Context())
				require.NoError(t, err)
				m, err := c.Recv().Await(t.Context())
				require.NoError(t, err)
				require.Equal(t, from.LocalAddr().String(), m.FromName())
				m.Release()
				connected, err := rt.DialPacket(t.Context(), "unixgram", spelled).Await(t.Context())
				require.NoError(t, err)
				require.Equal(t, shown, connected.RemoteAddr().String())
				packetClosed(t, connected)
			}
			packetClosed(t, c)
		}
	}},
	{name: "a wildcard of either family is both", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, at := range []string{"0.0.0.0:0", "[::]:0", ":0", ""} {
			std, err := net.Listen("tcp", at)
			require.NoError(t, err)
			require.NoError(t, std.Close())
			ln, err := rt.Listen("tcp", at)
			require.NoError(t, err)
			require.Equal(t, std.Addr().(*net.TCPAddr).IP.String(), ln.Addr().(*net.TCPAddr).IP.String())
			require.NoError(t, ln.Close())
			gram, err := net.ListenPacket("udp", at)
			require.NoError(t, err)
			require.NoError(t, gram.Close())
			c := packetConn(t, rt, "udp", at)
			require.Equal(t, gram.LocalAddr().(*net.UDPAddr).IP.String(), c.LocalAddr().(*net.UDPAddr).IP.String())
			peer := udpPeer(t, "127.0.0.1:0")
			to := &net.UDPAddr{IP: net.IP{127, 0, 0, 1}, Port: c.LocalAddr().(*net.UDPAddr).Port}
			writeTo(t, peer, "hello", to)
			_, from := next(t, t.Context(), c)
			require.Equal(t, addrPort(peer.LocalAddr()), from)
			packetClosed(t, c)
		}
	}},
	{name: "messages to an address without a host", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp"} {
			peer := udpPeer(t, ":0")
			c := packetConn(t, rt, network, ":0")
			_, err := c.NetPacketConn(t.Context()).WriteTo([]byte("x"), &net.UDPAddr{Port: peer.LocalAddr().(*net.UDPAddr).Port})
			require.NoError(t, err)
			s, _ := readFrom(t, peer)
			require.Equal(t, "x", s)
			packetClosed(t, c)
		}
	}},
	{name: "a message that cannot be sent names whom it was for", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp4", "127.0.0.1:0")
		_, err := c.SendTo(make([]byte, 1<<16), netip.MustParseAddrPort("127.0.0.1:9")).Await(t.Context())
		require.EqualError(t, err, "write udp4 "+c.LocalAddr().String()+"->127.0.0.1:9: sendmsg: message too long")
	}},
	{name: "a handler that never asked learns the addresses afterwards", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", ":0")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		conns := make(chan *proactor.Conn, 1)
		go func() {
			served <- ln.Serve(ctx, func(_ context.Context, c *proactor.Conn) error { conns <- c; return nil })
		}()
		peer, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer peer.Close()
		c := <-conns
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		between(t, c, peer.RemoteAddr(), peer.LocalAddr())
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
	}},
}

package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// packetConn opens a socket that the test closes.
func packetConn(t *testing.T, rt *proactor.Runtime, network, address string, opts ...proactor.PacketOption) *proactor.PacketConn {
	t.Helper()
	c, err := rt.ListenPacket(network, address, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// udpPeer is a plain socket.
func udpPeer(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	return c.(*net.UDPConn)
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// next takes the next message.
func next(t *testing.T, ctx context.Context, c *proactor.PacketConn) (string, netip.AddrPort) {
	t.Helper()
	m, err := c.Recv().Await(ctx)
	require.NoError(t, err)
	defer m.Release()
	return string(m.Bytes()), m.From()
}

// onLoop runs fn as a task on a loop.
func onLoop(t *testing.T, l *proactor.Loop, fn func(ctx context.Context)) {
	t.Helper()
	_, err := l.Go(t.Context(), func(ctx context.Context) error { fn(ctx); return nil }).Await(context.Background())
	require.NoError(t, err)
}

// ofGoroutine is what NetPacketConn gives a goroutine.
func ofGoroutine(t *testing.T, c *proactor.PacketConn) net.PacketConn {
	return c.NetPacketConn(t.Context())
}

// ofTask is what NetPacketConn gives a task that lasts as long as the test.
func ofTask(t *testing.T, c *proactor.PacketConn) net.PacketConn {
	t.Helper()
	made := make(chan net.PacketConn, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := c.Loop().Go(ctx, func(ctx context.Context) error {
		made <- c.NetPacketConn(ctx)
		_, err := c.Closed().Await(ctx)
		return err
	})
	t.Cleanup(func() { cancel(); done.Await(context.Background()) })
	return <-made
}

func writeTo(t *testing.T, c *net.UDPConn, s string, to net.Addr) {
	t.Helper()
	_, err := c.WriteTo([]byte(s), to)
	require.NoError(t, err)
}

func readFrom(t *testing.T, c net.PacketConn) (string, net.Addr) {
	t.Helper()
	p := make([]byte, 1<<16)
	n, from, err := c.ReadFrom(p)
	require.NoError(t, err)
	return string(p[:n]), from
}

func packetClosed(t *testing.T, c *proactor.PacketConn) {
	t.Helper()
	require.NoError(t, c.Close())
	_, err := c.Closed().Await(t.Context())
	require.NoError(t, err)
}

var packets = []behaviour{
	{name: "every network, sender and all", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, at := range [][2]string{{"udp", "127.0.0.1:0"}, {"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
			c := packetConn(t, rt, at[0], at[1])
			peer := udpPeer(t, at[1])
			require.Equal(t, at[0][:3], c.LocalAddr().Network())
			writeTo(t, peer, "hello", c.LocalAddr())
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, "hello", string(m.Bytes()))
			require.Equal(t, addrPort(peer.LocalAddr()), m.From())
			require.Equal(t, peer.LocalAddr().String(), m.FromAddr().String())
			require.False(t, m.Truncated())
			require.Equal(t, 5, m.Size())
			from := m.From()
			m.Release()
			require.Panics(t, func() { m.From() })
			require.Panics(t, m.Release)
			n, err := c.SendTo([]byte("back"), from).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, 4, n)
			s, by := readFrom(t, peer)
			require.Equal(t, "back", s)
			require.Equal(t, c.LocalAddr().String(), by.String())
		}
	}},
	{name: "a socket for IPv6 and IPv4", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", ":0", proactor.WithPacketInfo(), proactor.WithHopLimit())
		port := c.LocalAddr().(*net.UDPAddr).Port
		for _, host := range []string{"127.0.0.1", "::1"} {
			peer := udpPeer(t, net.JoinHostPort(host, "0"))
			writeTo(t, peer, host, &net.UDPAddr{IP: net.ParseIP(host), Port: port})
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, addrPort(peer.LocalAddr()), m.From())
			info, ok := m.PacketInfo()
			require.True(t, ok)
			require.Equal(t, ip(host), info.Addr)
			hops, ok := m.HopLimit()
			require.True(t, ok)
			require.Positive(t, hops)
			from := m.From()
			m.Release()
			_, err = c.SendTo([]byte("back"), from).Await(t.Context())
			require.NoError(t, err)
			s, _ := readFrom(t, peer)
			require.Equal(t, "back", s)
		}
	}},
	{name: "control messages", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			at := net.JoinHostPort(host, "0")
			c := packetConn(t, rt, "udp", at, proactor.WithPacketInfo(), proactor.WithTimestamps(), proactor.WithECN(), proactor.WithHopLimit())
			other := packetConn(t, rt, "udp", at)
			before := time.Now()
			_, err := other.SendDatagram(proactor.Datagram{Data: []byte("x"), To: addrPort(c.LocalAddr()), ECN: proactor.ECT1}).Await(t.Context())
			require.NoError(t, err)
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			ecn, ok := m.ECN()
			require.True(t, ok)
			require.Equal(t, proactor.ECT1, ecn)
			hops, ok := m.HopLimit()
			require.True(t, ok)
			require.Equal(t, 64, hops)
			info, ok := m.PacketInfo()
			require.True(t, ok)
			require.Equal(t, ip(host), info.Addr)
			lo, err := net.InterfaceByIndex(info.Interface)
			require.NoError(t, err)
			require.NotZero(t, lo.Flags&net.FlagLoopback)
			stamp, ok := m.Timestamp()
			require.True(t, ok)
			require.WithinRange(t, stamp, before.Add(-time.Minute), time.Now().Add(time.Minute))
			m.Release()
			_, err = c.SendDatagram(proactor.Datagram{Data: []byte("x"), To: addrPort(other.LocalAddr())}).Await(t.Context())
			require.NoError(t, err)
			m, err = other.Recv().Await(t.Context())
			require.NoError(t, err)
			_, ok = m.ECN()
			require.False(t, ok, "not asked for")
			_, ok = m.PacketInfo()
			require.False(t, ok)
			_, ok = m.Timestamp()
			require.False(t, ok)
			require.Zero(t, m.SegmentSize())
			m.Release()
		}
	}},
	{name: "the source address of a reply", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp4", ":0")
		peer := udpPeer(t, "127.0.0.1:0")
		_, err := c.SendDatagram(proactor.Datagram{Data: []byte("x"), To: addrPort(peer.LocalAddr()), Source: ip("127.0.0.9")}).Await(t.Context())
		require.NoError(t, err)
		_, from := readFrom(t, peer)
		require.Equal(t, "127.0.0.9", from.(*net.UDPAddr).IP.String())
	}},
	{name: "the largest message, and one too large", show: func(t *testing.T, rt *proactor.Runtime) {
		c, other := packetConn(t, rt, "udp", "127.0.0.1:0"), packetConn(t, rt, "udp", "127.0.0.1:0")
		p := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		_, err := c.SendTo(p[:65507], addrPort(other.LocalAddr())).Await(t.Context())
		require.NoError(t, err)
		s, _ := next(t, t.Context(), other)
		require.Equal(t, string(p[:65507]), s)
		_, err = c.SendTo(p, addrPort(other.LocalAddr())).Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "write", op.Op)
		_, err = c.SendTo([]byte("the next one goes out"), addrPort(other.LocalAddr())).Await(t.Context())
		require.NoError(t, err)
		s, _ = next(t, t.Context(), other)
		require.Equal(t, "the next one goes out", s)
	}},
	{name: "empty messages", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		for range 3 {
			writeTo(t, peer, "", c.LocalAddr())
			writeTo(t, peer, "x", c.LocalAddr())
		}
		for range 3 {
			s, from := next(t, t.Context(), c)
			require.Empty(t, s)
			require.Equal(t, addrPort(peer.LocalAddr()), from)
			s, _ = next(t, t.Context(), c)
			require.Equal(t, "x", s)
		}
		n, err := c.SendTo(nil, addrPort(peer.LocalAddr())).Await(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		s, _ := readFrom(t, peer)
		require.Empty(t, s)
	}},
	{name: "truncation is reported", show: func(t *testing.T, rt *proactor.Runtime) {
		name := abstractName("truncated-" + rt.Backend().Backend.String())
		c := packetConn(t, rt, "unixgram", name)
		other := packetConn(t, rt, "unixgram", "")
		long := make([]byte, 100_000)
		_, err := other.SendToName(long, name).Await(t.Context())
		require.NoError(t, err)
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		require.True(t, m.Truncated())
		require.Less(t, m.Len(), len(long))
		require.Equal(t, len(long), m.Size())
		m.Release()
	}},
	{name: "unix datagrams", show: func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		for _, name := range []string{filepath.Join(dir, "a"), abstractName("unixgram-" + rt.Backend().Backend.String())} {
			c := packetConn(t, rt, "unixgram", name)
			from := name + "-other"
			other := packetConn(t, rt, "unixgram", from)
			require.Equal(t, name, c.LocalAddr().String())
			_, err := other.SendToName([]byte("hello"), name).Await(t.Context())
			require.NoError(t, err)
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, from, m.FromName())
			require.Equal(t, from, m.FromAddr().String())
			require.False(t, m.From().IsValid())
			_, err = c.Reply(m).Await(t.Context())
			require.NoError(t, err)
			s, _ := next(t, t.Context(), other)
			require.Equal(t, "hello", s)
		}
		c := packetConn(t, rt, "unixgram", "")
		_, err := c.SendToName([]byte("x"), filepath.Join(dir, "nobody")).Await(t.Context())
		require.ErrorIs(t, err, syscall.ENOENT)
		_, err = c.SendToName([]byte("x"), strings.Repeat("x", 200)).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "a unix receiver that is slow loses nothing, and the order holds", show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "slow")
		slow, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		require.NoError(t, err)
		defer slow.Close()
		connected, err := rt.DialPacket(t.Context(), "unixgram", name).Await(t.Context())
		require.NoError(t, err)
		free := packetConn(t, rt, "unixgram", "")
		const n = 300 // many times what the receiver's queue takes
		for _, c := range []*proactor.PacketConn{connected, free} {
			var sends []futures.Future[int]
			for i := range n {
				if c == connected {
					sends = append(sends, c.Send([]byte(itoa(i))))
				} else {
					sends = append(sends, c.SendToName([]byte(itoa(i)), name))
				}
			}
			for i := range n {
				s, _ := readFrom(t, slow)
				require.Equal(t, itoa(i), s)
			}
			for _, f := range sends {
				_, err := f.Await(t.Context())
				require.NoError(t, err)
			}
		}
		packetClosed(t, connected)
	}},
	{name: "messages keep their order", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0", proactor.WithSocketBuffers(1<<20, 0))
		other := packetConn(t, rt, "udp", "127.0.0.1:0")
		const n = 200 // less than unread messages may be
		onLoop(t, other.Loop(), func(ctx context.Context) {
			for i := range n {
				other.SendTo([]byte(itoa(i)), addrPort(c.LocalAddr()))
			}
		})
		for i := range n {
			s, _ := next(t, t.Context(), c)
			require.Equal(t, itoa(i), s)
		}
	}},
	{name: "batches", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		var batch []proactor.Datagram
		for i := range 100 {
			batch = append(batch, proactor.Datagram{Data: []byte(itoa(i)), To: addrPort(peer.LocalAddr())})
		}
		n, err := c.SendBatch(batch).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 100, n)
		for i := range 100 {
			s, _ := readFrom(t, peer)
			require.Equal(t, itoa(i), s)
		}
		n, err = c.SendBatch(nil).Await(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		batch[1].Data = make([]byte, 1<<16)
		n, err = c.SendBatch(batch[:3]).Await(t.Context())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		require.Equal(t, 2, n)
	}},
	{name: "segments: one send of many messages, one receive of many", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			at := net.JoinHostPort(host, "0")
			c := packetConn(t, rt, "udp", at, proactor.WithGRO())
			other := packetConn(t, rt, "udp", at)
			all := bytes.Repeat([]byte("0123456789"), 1000)
			n, err := other.SendDatagram(proactor.Datagram{Data: all, To: addrPort(c.LocalAddr()), Segment: 1200}).Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(all), n)
			var got []byte
			for len(got) < len(all) {
				m, err := c.Recv().Await(t.Context())
				require.NoError(t, err)
				for s := range m.Segments() {
					require.LessOrEqual(t, len(s), 1200)
					got = append(got, s...)
				}
				m.Release()
			}
			require.Equal(t, all, got)
			_, err = other.SendDatagram(proactor.Datagram{Data: all, To: addrPort(c.LocalAddr()), Segment: 1}).Await(t.Context())
			require.Error(t, err, "too many segments")
			_, err = other.SendDatagram(proactor.Datagram{Data: all, To: addrPort(c.LocalAddr()), Segment: -1}).Await(t.Context())
			require.ErrorIs(t, err, syscall.EINVAL)
		}
		_, err := rt.ListenPacket("unixgram", "", proactor.WithGRO())
		require.Error(t, err, "there is none")
	}},
	{name: "multicast", show: func(t *testing.T, rt *proactor.Runtime) {
		lo := loopbackInterface(t)
		c := packetConn(t, rt, "udp4", ":0")
		group := ip("224.0.0.251")
		to := netip.AddrPortFrom(group, uint16(c.LocalAddr().(*net.UDPAddr).Port))
		other := packetConn(t, rt, "udp4", "127.0.0.1:0")
		require.NoError(t, other.SetMulticastInterface(lo))
		require.NoError(t, other.SetMulticastLoopback(true))
		require.NoError(t, c.JoinGroup(group, lo))
		require.ErrorIs(t, c.JoinGroup(group, lo), syscall.EADDRINUSE)
		_, err := other.SendTo([]byte("everybody"), to).Await(t.Context())
		require.NoError(t, err)
		s, _ := next(t, t.Context(), c)
		require.Equal(t, "everybody", s)
		require.NoError(t, c.LeaveGroup(group, lo))
		require.ErrorIs(t, c.LeaveGroup(group, lo), syscall.EADDRNOTAVAIL)
		require.Error(t, c.JoinGroup(ip("127.0.0.1"), lo))
		packetClosed(t, c)
		require.ErrorIs(t, c.JoinGroup(group, lo), net.ErrClosed)
	}},
	{name: "connected", show: func(t *testing.T, rt *proactor.Runtime) {
		peer, stranger := udpPeer(t, "127.0.0.1:0"), udpPeer(t, "127.0.0.1:0")
		c, err := rt.DialPacket(t.Context(), "udp", peer.LocalAddr().String()).Await(t.Context())
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, peer.LocalAddr().String(), c.RemoteAddr().String())
		_, err = c.Send([]byte("hello")).Await(t.Context())
		require.NoError(t, err)
		s, from := readFrom(t, peer)
		require.Equal(t, "hello", s)
		require.Equal(t, c.LocalAddr().String(), from.String())
		writeTo(t, stranger, "not for you", from)
		writeTo(t, peer, "for you", from)
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "for you", string(m.Bytes()))
		_, err = c.Reply(m).Await(t.Context())
		require.NoError(t, err)
		s, _ = readFrom(t, peer)
		require.Equal(t, "for you", s)
		_, err = c.SendTo([]byte("x"), addrPort(peer.LocalAddr())).Await(t.Context())
		require.ErrorIs(t, err, net.ErrWriteToConnected)
	}},
	{name: "a refusal is reported, and receiving goes on", show: func(t *testing.T, rt *proactor.Runtime) {
		peer := udpPeer(t, ownAddress())
		at := peer.LocalAddr()
		c, err := rt.DialPacket(t.Context(), "udp", at.String()).Await(t.Context())
		require.NoError(t, err)
		defer c.Close()
		peer.Close()
		for range 3 {
			f := c.Recv()
			_, err := c.Send([]byte("anybody there?")).Await(t.Context())
			require.NoError(t, err)
			_, err = f.Await(t.Context())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, "read", op.Op)
		}
		again := udpPeer(t, at.String())
		writeTo(t, again, "back", c.LocalAddr())
		s, _ := next(t, t.Context(), c)
		require.Equal(t, "back", s)
	}},
	{name: "DialPacket looks names up, and can be canceled", show: func(t *testing.T, rt *proactor.Runtime) {
		peer := udpPeer(t, "127.0.0.1:0")
		_, port, _ := net.SplitHostPort(peer.LocalAddr().String())
		c, err := rt.DialPacket(t.Context(), "udp4", "localhost:"+port, proactor.WithLocalAddr(&net.UDPAddr{IP: net.IP{127, 0, 0, 8}})).Await(t.Context())
		require.NoError(t, err)
		_, err = c.Send([]byte("x")).Await(t.Context())
		require.NoError(t, err)
		_, from := readFrom(t, peer)
		require.Equal(t, "127.0.0.8", from.(*net.UDPAddr).IP.String())
		packetClosed(t, c)
		for range 50 {
			f := rt.DialPacket(t.Context(), "udp4", "localhost:"+port)
			f.Cancel()
			if c, err := f.Await(t.Context()); err == nil {
				packetClosed(t, c)
			} else {
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, futures.ErrCanceled)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = rt.DialPacket(ctx, "udp4", "localhost:"+port).Await(t.Context())
		require.ErrorIs(t, err, context.Canceled)
	}},
	{name: "bad addresses and networks", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, bad := range [][2]string{{"carrier-pigeon", "127.0.0.1:0"}, {"udp", "127.0.0.1"}, {"udp4", "[::1]:0"}, {"udp6", "127.0.0.1:0"},
			{"udp", "127.0.0.1:70000"}, {"udp", "192.0.2.1:0"}, {"unixgram", "/no/such/place"}, {"ip4:nonsense", "127.0.0.1"}} {
			_, err := rt.ListenPacket(bad[0], bad[1])
			var op *net.OpError
			require.ErrorAs(t, err, &op, "%q", bad)
			require.Equal(t, "listen", op.Op)
			_, err = rt.DialPacket(t.Context(), bad[0], bad[1]).Await(t.Context())
			if bad[1] != "192.0.2.1:0" {
				require.ErrorAs(t, err, &op, "%q", bad)
				require.Equal(t, "dial", op.Op)
			}
		}
		_, err := rt.ListenPacket("carrier-pigeon", "")
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
		taken := packetConn(t, rt, "udp", "127.0.0.1:0")
		_, err = rt.ListenPacket("udp", taken.LocalAddr().String())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		_, err = taken.SendTo([]byte("x"), netip.MustParseAddrPort("[::1]:9")).Await(t.Context())
		require.ErrorContains(t, err, "family")
		_, err = taken.Send([]byte("x")).Await(t.Context())
		require.ErrorIs(t, err, syscall.EDESTADDRREQ)
		_, err = rt.ListenPacket("udp", "127.0.0.1:0", proactor.WithSocketBuffers(-1, 0))
		require.ErrorContains(t, err, "-1")
	}},
	{name: "one port on every loop", show: func(t *testing.T, rt *proactor.Runtime) {
		all, err := rt.ListenPackets("udp", "127.0.0.1:0")
		require.NoError(t, err)
		require.Len(t, all, len(rt.Loops()))
		for i, c := range all {
			require.Same(t, rt.Loops()[i], c.Loop())
			require.Equal(t, all[0].LocalAddr().String(), c.LocalAddr().String())
			c.OnMessage(func(m proactor.Message, err error) {
				if err == nil {
					c.Reply(m)
				}
			})
		}
		for range 20 {
			peer := udpPeer(t, "127.0.0.1:0")
			writeTo(t, peer, "hello", all[0].LocalAddr())
			s, _ := readFrom(t, peer)
			require.Equal(t, "hello", s)
		}
		_, err = rt.ListenPackets("udp", udpPeer(t, "127.0.0.1:0").LocalAddr().String())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		_, err = rt.ListenPackets("unixgram", "x")
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
	}},
	{name: "Messages ranges until it is closed", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		writeTo(t, peer, "0", c.LocalAddr())
		onLoop(t, c.Loop(), func(ctx context.Context) {
			n := 0
			for m, err := range c.Messages(ctx) {
				require.NoError(t, err)
				require.Equal(t, itoa(n), string(m.Bytes()))
				m.Release()
				if n++; n == 10 {
					c.Close()
				} else {
					aside(t, ctx, func() { writeTo(t, peer, itoa(n), c.LocalAddr()) })
				}
			}
			require.Equal(t, 10, n)
		})
		other := packetConn(t, rt, "udp", "127.0.0.1:0")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for _, err := range other.Messages(ctx) {
			require.ErrorIs(t, err, context.Canceled)
			n++
		}
		require.Equal(t, 1, n)
	}},
	{name: "OnMessage gets everything, and the end", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		writeTo(t, peer, "first", c.LocalAddr())
		s, _ := next(t, t.Context(), c)
		require.Equal(t, "first", s)
		got := make(chan string, 100)
		c.OnMessage(func(m proactor.Message, err error) {
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(m.Bytes())
			m.Release()
		})
		for i := range 50 {
			writeTo(t, peer, itoa(i), c.LocalAddr())
			require.Equal(t, itoa(i), <-got)
		}
		_, err := c.Recv().Await(t.Context())
		require.ErrorContains(t, err, "handler")
		packetClosed(t, c)
		require.Contains(t, <-got, "closed")
	}},
	{name: "a handler that panics loses its socket and nothing else", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		c.OnMessage(func(m proactor.Message, err error) {
			if err == nil {
				m.Release()
				panic("the handler's own fault")
			}
		})
		writeTo(t, peer, "x", c.LocalAddr())
		_, err := c.Closed().Await(t.Context())
		require.NoError(t, err)
		other := packetConn(t, rt, "udp", "127.0.0.1:0")
		writeTo(t, peer, "y", other.LocalAddr())
		s, _ := next(t, t.Context(), other)
		require.Equal(t, "y", s)
	}},
	{name: "several Recvs are answered in order, and a cancel loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		check := func(ctx context.Context) {
			a, b, d := c.Recv(), c.Recv(), c.Recv()
			b.Cancel()
			_, err := b.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			for i, f := range []futures.Future[proactor.Message]{a, d} {
				writeTo(t, peer, itoa(i), c.LocalAddr())
				m, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, itoa(i), string(m.Bytes()))
				m.Release()
			}
		}
		check(t.Context())
		onLoop(t, c.Loop(), check)
	}},
	{name: "cancels that race with messages lose nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		const n = 300
		var sending sync.WaitGroup
		token := make(chan struct{}, 8)
		sending.Go(func() {
			for i := range n {
				token <- struct{}{}
				peer.WriteTo([]byte(itoa(i)), c.LocalAddr())
			}
		})
		check := func(ctx context.Context) {
			for got := 0; got < n; {
				f := c.Recv()
				if rand.IntN(2) == 0 {
					f.Cancel()
				}
				m, err := f.Await(ctx)
				if err != nil {
					require.ErrorIs(t, err, futures.ErrCanceled)
					continue
				}
				require.Equal(t, itoa(got), string(m.Bytes()))
				m.Release()
				got++
				<-token
			}
		}
		check(t.Context())
		sending.Wait()
	}},
	{name: "deadlines", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		f := c.Recv()
		require.NoError(t, c.SetReadDeadline(soon()))
		_, err := f.Await(t.Context())
		timedOut(t, err)
		_, err = c.Recv().Await(t.Context())
		timedOut(t, err)
		writeTo(t, peer, "kept", c.LocalAddr())
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		s, _ := next(t, t.Context(), c)
		require.Equal(t, "kept", s)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(-time.Second)))
		_, err = c.SendTo([]byte("late"), addrPort(peer.LocalAddr())).Await(t.Context())
		timedOut(t, err)
		require.NoError(t, c.SetDeadline(time.Time{}))
		_, err = c.SendTo([]byte("in time"), addrPort(peer.LocalAddr())).Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "a write deadline and a cancel end what waits for room", without: faultqueue.Interrupts | faultqueue.Delays, show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "full")
		full, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		require.NoError(t, err)
		defer full.Close()
		for _, connect := range []bool{true, false} {
			c := packetConn(t, rt, "unixgram", "")
			send := func(s string) futures.Future[int] { return c.SendToName([]byte(s), name) }
			if connect {
				c, err = rt.DialPacket(t.Context(), "unixgram", name).Await(t.Context())
				require.NoError(t, err)
				send = func(s string) futures.Future[int] { return c.Send([]byte(s)) }
			}
			var sends []futures.Future[int]
			for i := range 2000 {
				sends = append(sends, send(itoa(i)))
			}
			last := sends[len(sends)-1]
			last.Cancel()
			_, err := last.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.NoError(t, c.SetWriteDeadline(soon()))
			_, err = sends[len(sends)-2].Await(t.Context())
			timedOut(t, err)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			waits := send("more")
			require.NoError(t, c.Close())
			_, err = c.Recv().Await(t.Context())
			require.ErrorIs(t, err, net.ErrClosed, "while it drains, too")
			packetClosed(t, c)
			_, err = waits.Await(t.Context())
			require.Error(t, err, "the drain timeout has passed")
			p := make([]byte, 64)
			require.NoError(t, full.SetReadDeadline(time.Now().Add(time.Millisecond)))
			for err = nil; err == nil; {
				_, err = full.Read(p)
			}
		}
	}, opts: []proactor.Option{proactor.WithDrainTimeout(time.Millisecond)}},
	{name: "Queue waits above the high-water mark", opts: []proactor.Option{proactor.WithHighWater(1 << 10)}, show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "slow")
		slow, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		require.NoError(t, err)
		defer slow.Close()
		c, err := rt.DialPacket(t.Context(), "unixgram", name, proactor.WithLocalAddr(&net.UnixAddr{Name: name + "-from", Net: "unixgram"})).Await(t.Context())
		require.NoError(t, err)
		defer c.Close()
		_, err = slow.WriteTo(make([]byte, 100), c.LocalAddr())
		require.NoError(t, err)
		onLoop(t, c.Loop(), func(ctx context.Context) {
			m, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			defer m.Release()
			var waits futures.Future[struct{}]
			for i := 0; waits.Ready(); i++ {
				c.Send(m.Bytes())
				writeBack := m
				aside(t, ctx, func() { _, err = slow.WriteTo(writeBack.Bytes(), c.LocalAddr()) })
				require.NoError(t, err)
				b, err := c.Recv().Await(ctx)
				require.NoError(t, err)
				waits = c.Reply(b)
				require.Less(t, i, 10000)
			}
			aside(t, ctx, func() {
				p := make([]byte, 200)
				for !waits.Ready() {
					slow.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // to look again
					slow.Read(p)
				}
			})
			_, err = waits.Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "after Close everything is net.ErrClosed", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		waits := c.Recv()
		peer := udpPeer(t, "127.0.0.1:0")
		packetClosed(t, c)
		packetClosed(t, c)
		_, err := waits.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Recv().Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.SendTo([]byte("x"), addrPort(peer.LocalAddr())).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.SendBatch([]proactor.Datagram{{To: addrPort(peer.LocalAddr())}}).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Queue(proactor.Buffer{}, addrPort(peer.LocalAddr())).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		for range c.Messages(t.Context()) {
			t.Fatal("nothing to range over")
		}
	}},
	{name: "Close drops what nobody read, and a lease lives on", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		for range 10 {
			writeTo(t, peer, "unread", c.LocalAddr())
		}
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		packetClosed(t, c)
		require.Equal(t, "unread", string(m.Bytes()))
		require.Equal(t, addrPort(peer.LocalAddr()), m.From())
		m.Release()
	}},
	{name: "a message's lease can go out on a stream, and a stream's as a message", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		stream, other := accepted(t, rt)
		writeTo(t, peer, "by datagram", c.LocalAddr())
		m, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		_, err = stream.Send(m.Buffer).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "by datagram", readFull(t, other, 11))
		wrote(t, other, "by stream")
		b, err := stream.Recv().Await(t.Context())
		require.NoError(t, err)
		_, err = c.Queue(b, addrPort(peer.LocalAddr())).Await(t.Context())
		require.NoError(t, err)
		s, _ := readFrom(t, peer)
		require.Equal(t, "by stream", s)
		// The lease goes back to the stream's loop, which may be the other one.
		eventually(t, func() bool { return rt.Stats().Total().BuffersOut == 0 }, rt.Describe)
	}},
	{name: "a slow reader is paused", without: faultqueue.Endings, show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0", proactor.WithSocketBuffers(4<<20, 0))
		peer := udpPeer(t, "127.0.0.1:0")
		writeTo(t, peer, "first", c.LocalAddr())
		s, _ := next(t, t.Context(), c) // the receive stays armed
		require.Equal(t, "first", s)
		for i := range 2000 {
			writeTo(t, peer, itoa(i), c.LocalAddr())
		}
		// Paused when too much is unread, or when the buffers ran out before that.
		eventually(t, func() bool {
			s := rt.Stats().Total()
			return s.ReceivesPaused+s.NoBuffers > 0
		}, func() string { return "not paused" })
		var got []string
		for len(got) < 200 {
			s, _ := next(t, t.Context(), c)
			got = append(got, s)
		}
		require.True(t, slices.IsSortedFunc(got, func(a, b string) int {
			var x, y int
			fmt.Sscan(a, &x)
			fmt.Sscan(b, &y)
			return x - y
		}))
	}},
	{name: "messages that a program holds keep no others from coming", opts: []proactor.Option{proactor.WithBuffers(4096, 4)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		var held []proactor.Message
		for i := range 10 {
			writeTo(t, peer, itoa(i), c.LocalAddr())
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			held = append(held, m)
		}
		require.NotZero(t, rt.Stats().Total().Copied)
		for i, m := range held {
			require.Equal(t, itoa(i), string(m.Bytes()))
			require.Equal(t, netip.MustParseAddrPort(peer.LocalAddr().String()), m.From())
			m.Release()
		}
	}},
	{name: "any goroutine may send and receive", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		c.OnMessage(func(m proactor.Message, err error) {
			if err == nil {
				c.Reply(m)
			}
		})
		var all sync.WaitGroup
		for g := range 8 {
			other := packetConn(t, rt, "udp", "127.0.0.1:0")
			all.Go(func() {
				for i := range 100 {
					want := fmt.Sprint(g, i)
					if _, err := other.SendTo([]byte(want), addrPort(c.LocalAddr())).Await(t.Context()); err != nil {
						t.Error(err)
						return
					}
					m, err := other.Recv().Await(t.Context())
					if err != nil || string(m.Bytes()) != want {
						t.Errorf("%q: %v", m.Bytes(), err)
						return
					}
					m.Release()
				}
			})
		}
		all.Wait()
	}},
	{name: "Close and Shutdown of the runtime end it", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		waits := c.Recv()
		require.NoError(t, rt.Shutdown(t.Context()))
		_, err := waits.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = rt.ListenPacket("udp", "127.0.0.1:0")
		require.Error(t, err)
		_, err = c.Recv().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "net.PacketConn", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, of := range []func(*testing.T, *proactor.PacketConn) net.PacketConn{ofTask, ofGoroutine} {
			std := of(t, packetConn(t, rt, "udp", "127.0.0.1:0"))
			peer := udpPeer(t, "127.0.0.1:0")
			writeTo(t, peer, "hello", std.LocalAddr())
			p := make([]byte, 3)
			n, from, err := std.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, "hel", string(p[:n]), "the rest is cut, as with a socket")
			require.Equal(t, peer.LocalAddr().String(), from.String())
			n, err = std.WriteTo([]byte("back"), from)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			s, _ := readFrom(t, peer)
			require.Equal(t, "back", s)
			require.NoError(t, std.SetReadDeadline(time.Now().Add(-1)))
			_, _, err = std.ReadFrom(p)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, std.Close())
			_, _, err = std.ReadFrom(p)
			require.ErrorIs(t, err, net.ErrClosed)
			packetClosed(t, packetConn(t, rt, "udp", std.LocalAddr().String())) // free as soon as Close has returned
		}
	}},
	{name: "net.PacketConn of a goroutine is the real one", show: func(t *testing.T, rt *proactor.Runtime) {
		for network, want := range map[string]net.PacketConn{"udp4": (*net.UDPConn)(nil), "unixgram": (*net.UnixConn)(nil)} {
			at := "127.0.0.1:0"
			if network == "unixgram" {
				at = filepath.Join(t.TempDir(), "s")
			}
			c := packetConn(t, rt, network, at)
			std := ofGoroutine(t, c)
			require.IsType(t, want, std)
			require.Equal(t, c.LocalAddr(), std.LocalAddr())
			dialed, err := rt.DialPacket(t.Context(), network, std.LocalAddr().String()).Await(t.Context())
			require.NoError(t, err)
			conn := ofGoroutine(t, dialed)
			require.IsType(t, want, conn)
			wrote(t, conn.(net.Conn), "x")
			s, _ := readFrom(t, std)
			require.Equal(t, "x", s)
			// c is over, and what is asked of it says so.
			_, _, err = ofGoroutine(t, c).ReadFrom(make([]byte, 1))
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, std.Close())
			require.NoError(t, conn.Close())
		}
	}},
	{name: "net.PacketConn of a goroutine has first what was received before", show: func(t *testing.T, rt *proactor.Runtime) {
		c := packetConn(t, rt, "udp", "127.0.0.1:0")
		peer := udpPeer(t, "127.0.0.1:0")
		for _, s := range []string{"one", "two", "three"} {
			writeTo(t, peer, s, c.LocalAddr())
		}
		s, _ := next(t, t.Context(), c)
		require.Equal(t, "one", s)
		std := ofGoroutine(t, c)
		for _, want := range []string{"two", "three"} {
			s, _ := readFrom(t, std)
			require.Equal(t, want, s)
		}
		require.NoError(t, std.Close())
	}},
	{name: "raw: an echo request comes back", show: func(t *testing.T, rt *proactor.Runtime) {
		c, err := rt.ListenPacket("ip4:icmp", "127.0.0.1", proactor.WithHopLimit())
		if errors.Is(err, os.ErrPermission) {
			require.ErrorContains(t, err, "CAP_NET_RAW")
			t.Skip(err)
		}
		require.NoError(t, err)
		defer c.Close()
		request := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1, 'h', 'i'}
		sum := uint32(0)
		for i := 0; i < len(request); i += 2 {
			sum += uint32(request[i])<<8 | uint32(request[i+1])
		}
		sum = ^(sum>>16 + sum&0xffff)
		request[2], request[3] = byte(sum>>8), byte(sum)
		_, err = c.SendTo(request, netip.AddrPortFrom(ip("127.0.0.1"), 0)).Await(t.Context())
		require.NoError(t, err)
		for { // the request comes in too
			m, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			reply := string(m.Bytes())
			require.Equal(t, "127.0.0.1", m.From().Addr().String())
			require.Equal(t, "127.0.0.1", m.FromAddr().String())
			hops, ok := m.HopLimit()
			require.True(t, ok)
			require.Positive(t, hops)
			m.Release()
			if reply[0] == 0 && reply[4:6] == "\x12\x34" {
				require.Equal(t, "hi", reply[8:])
				break
			}
		}
		six, err := rt.DialPacket(t.Context(), "ip6:ipv6-icmp", "::1").Await(t.Context())
		require.NoError(t, err)
		defer six.Close()
		_, err = six.Send([]byte{128, 0, 0, 0, 0x12, 0x34, 0, 1, 'h', 'i'}).Await(t.Context()) // the kernel fills the sum in
		require.NoError(t, err)
		for {
			m, err := six.Recv().Await(t.Context())
			require.NoError(t, err)
			reply := string(m.Bytes())
			require.Equal(t, netip.AddrPortFrom(ip("::1"), 0), m.From())
			m.Release()
			if reply[0] == 129 {
				require.Equal(t, "hi", reply[8:])
				break
			}
		}
	}},
}

func loopbackInterface(t *testing.T) *net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return &i
		}
	}
	t.Fatal("no loopback interface")
	return nil
}

package proactor_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
)

func TestConformanceNetConnMethods(t *testing.T) { conform(t, netConnMethods) }

// inNetConn runs fn with a NetConn of a task, whose peer it gets too.
func inNetConn(t *testing.T, rt *proactor.Runtime, fn func(n net.Conn, peer *net.TCPConn)) {
	t.Helper()
	c, peer := accepted(t, rt)
	inTask(t, rt, c, func(ctx context.Context) { fn(c.NetConn(ctx), peer) })
	c.Abort()
}

var netConnMethods = []behaviour{
	{name: "ReadFrom a file", show: func(t *testing.T, rt *proactor.Runtime) {
		content := bytes.Repeat([]byte("0123456789"), 20000)
		f, err := os.Create(t.TempDir() + "/f")
		require.NoError(t, err)
		defer f.Close()
		_, err = f.Write(content)
		require.NoError(t, err)
		_, err = f.Seek(3, io.SeekStart)
		require.NoError(t, err)
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			came := make(chan string, 1)
			go func() { b, _ := io.ReadAll(peer); came <- string(b) }()
			part := &io.LimitedReader{R: f, N: 4}
			k, err := io.Copy(n, part)
			require.NoError(t, err)
			require.EqualValues(t, 4, k)
			require.Zero(t, part.N)
			k, err = io.Copy(n, f)
			require.NoError(t, err)
			require.EqualValues(t, len(content)-7, k)
			k, err = io.Copy(n, f)
			require.NoError(t, err)
			require.Zero(t, k, "at the end of the file")
			k, err = io.Copy(n, strings.NewReader("end"))
			require.NoError(t, err)
			require.EqualValues(t, 3, k)
			require.NoError(t, n.(interface{ CloseWrite() error }).CloseWrite())
			require.Equal(t, string(content[3:])+"end", <-came)
		})
	}},
	{name: "ReadFrom files between writes", show: func(t *testing.T, rt *proactor.Runtime) {
		// More than the sockets hold, and less; in the page cache, since just written.
		sizes := []int{40_000, 8 << 20, 3, 64 << 10}
		var want []byte
		var files []*os.File
		for i, size := range sizes {
			content := bytes.Repeat([]byte{byte('a' + i)}, size)
			f := fileOf(t, content)
			files = append(files, f)
			want = append(append(append(want, "head"...), content...), "tail"...)
		}
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			came := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(peer); came <- b }()
			for i, f := range files {
				wrote(t, n, "head")
				k, err := n.(io.ReaderFrom).ReadFrom(f)
				require.NoError(t, err)
				require.EqualValues(t, sizes[i], k)
				at, err := f.Seek(0, io.SeekCurrent)
				require.NoError(t, err)
				require.EqualValues(t, sizes[i], at)
				wrote(t, n, "tail")
			}
			require.NoError(t, n.(interface{ CloseWrite() error }).CloseWrite())
			require.True(t, bytes.Equal(want, <-came))
		})
	}},
	{name: "ReadFrom many files leaves others their turn", opts: []proactor.Option{proactor.WithLoops(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileOf(t, make([]byte, 64<<10))
		var conns []*proactor.Conn
		for range 48 { // so that each has room
			c, peer := accepted(t, rt)
			conns = append(conns, c)
			go io.Copy(io.Discard, peer)
		}
		inTask(t, rt, conns[0], func(ctx context.Context) {
			others := 0
			rt.Loops()[0].Do(func() { others++ })
			for _, c := range conns {
				_, err := f.Seek(0, io.SeekStart)
				require.NoError(t, err)
				_, err = c.NetConn(ctx).(io.ReaderFrom).ReadFrom(f)
				require.NoError(t, err)
			}
			require.Equal(t, 1, others)
		})
	}},
	{name: "ReadFrom a file after the deadline", show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileOf(t, make([]byte, 64<<10))
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			require.NoError(t, n.SetWriteDeadline(time.Unix(1, 0)))
			k, err := n.(io.ReaderFrom).ReadFrom(f)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Zero(t, k)
			require.NoError(t, n.SetWriteDeadline(time.Time{}))
			k, err = n.(io.ReaderFrom).ReadFrom(f)
			require.NoError(t, err)
			require.EqualValues(t, 64<<10, k)
		})
	}},
	{name: "ReadFrom and WriteTo another connection", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, writeTo := range []bool{false, true} {
			inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
				conn, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer conn.Close()
				from, err := rt.DialContext(context.Background(), "tcp", conn.Addr().String())
				require.NoError(t, err)
				defer from.Close()
				source, err := conn.Accept()
				require.NoError(t, err)
				go func() { source.Write(bytes.Repeat([]byte("x"), 1<<18)); source.Close() }()
				read := make(chan int64, 1)
				go func() { k, _ := io.CopyN(io.Discard, peer, 1<<18+5); read <- k }()
				var k int64
				if writeTo {
					k, err = from.(io.WriterTo).WriteTo(n)
				} else {
					k, err = n.(io.ReaderFrom).ReadFrom(from)
				}
				require.NoError(t, err)
				require.EqualValues(t, 1<<18, k)
				wrote(t, n, "still") // n is not shut down
				require.EqualValues(t, 1<<18+5, <-read)
			})
		}
	}},
	{name: "WriteTo a buffer", show: func(t *testing.T, rt *proactor.Runtime) {
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			go func() { io.WriteString(peer, "all of it"); peer.CloseWrite() }()
			var s strings.Builder
			k, err := io.Copy(&s, n)
			require.NoError(t, err)
			require.EqualValues(t, 9, k)
			require.Equal(t, "all of it", s.String())
		})
	}},
	{name: "CloseRead", show: func(t *testing.T, rt *proactor.Runtime) {
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			require.NoError(t, n.(interface{ CloseRead() error }).CloseRead())
			_, err := n.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			wrote(t, n, "x")
			require.Equal(t, "x", readFull(t, peer, 1))
		})
	}},
	{name: "SyscallConn and File", show: func(t *testing.T, rt *proactor.Runtime) {
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			raw, err := n.(syscall.Conn).SyscallConn()
			require.NoError(t, err)
			go wrote(t, peer, "raw")
			p := make([]byte, 8)
			k := 0
			require.NoError(t, raw.Read(func(fd uintptr) bool {
				k, err = syscall.Read(int(fd), p)
				return err != syscall.EAGAIN
			}))
			require.NoError(t, err)
			require.Equal(t, "raw", string(p[:k]))
			require.NoError(t, raw.Write(func(fd uintptr) bool {
				_, err = syscall.Write(int(fd), []byte("out"))
				return err != syscall.EAGAIN
			}))
			require.NoError(t, err)
			require.Equal(t, "out", readFull(t, peer, 3))
			wrote(t, peer, "and on")
			require.Equal(t, "and on", readFull(t, n, 6))
			f, err := n.(interface{ File() (*os.File, error) }).File()
			require.NoError(t, err)
			require.NoError(t, f.Close())
		})
	}},
	{name: "Small Reads find the rest here", show: func(t *testing.T, rt *proactor.Runtime) {
		inNetConn(t, rt, func(n net.Conn, peer *net.TCPConn) {
			text := strings.Repeat("line\n", 1000)
			wrote(t, peer, text)
			require.Equal(t, "l", readFull(t, n, 1))
			require.Equal(t, text[1:10], readFull(t, n, 9))
			require.NoError(t, peer.CloseWrite())
			rest, err := io.ReadAll(bufio.NewReaderSize(n, 16))
			require.NoError(t, err)
			require.Equal(t, text[10:], string(rest))
		})
	}},
	{name: "NetPacketConn as libraries ask for it", show: func(t *testing.T, rt *proactor.Runtime) {
		c, err := rt.ListenPacket("udp4", "127.0.0.1:0", proactor.WithHopLimit())
		require.NoError(t, err)
		defer c.Close()
		peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer peer.Close()
		onLoop(t, c.Loop(), func(ctx context.Context) {
			n := c.NetPacketConn(ctx)
			udp := n.(interface {
				net.Conn
				ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
				WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
				ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
				WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
			})
			p, oob := make([]byte, 64), make([]byte, 128)
			for range 2 {
				_, err := peer.WriteTo([]byte("ping"), c.LocalAddr())
				require.NoError(t, err)
			}
			k, from, err := udp.ReadFromUDPAddrPort(p)
			require.NoError(t, err)
			require.Equal(t, "ping", string(p[:k]))
			require.Equal(t, peer.LocalAddr().String(), from.String())
			k, oobn, flags, _, err := udp.ReadMsgUDP(p[:2], oob)
			require.NoError(t, err)
			require.Equal(t, "pi", string(p[:k]))
			require.NotZero(t, flags&syscall.MSG_TRUNC)
			messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
			require.NoError(t, err)
			require.Len(t, messages, 1, "the hop limit")
			_, err = udp.WriteToUDPAddrPort([]byte("pong"), from)
			require.NoError(t, err)
			_, _, err = udp.WriteMsgUDP([]byte("pong"), nil, net.UDPAddrFromAddrPort(from))
			require.NoError(t, err)
			require.NoError(t, ipv4.NewPacketConn(n).SetTTL(3))
		})
		for range 2 {
			p := make([]byte, 8)
			k, _, err := peer.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, "pong", string(p[:k]))
		}
		d, err := rt.DialPacket(t.Context(), "udp", peer.LocalAddr().String()).Await(t.Context())
		require.NoError(t, err)
		conn, ok := d.NetPacketConn(context.Background()).(net.Conn)
		require.True(t, ok)
		wrote(t, conn, "x")
		_, from, err := peer.ReadFrom(make([]byte, 1))
		require.NoError(t, err)
		_, err = peer.WriteTo([]byte("y"), from)
		require.NoError(t, err)
		require.Equal(t, "y", readFull(t, conn, 1))
		require.Equal(t, peer.LocalAddr().String(), conn.RemoteAddr().String())
		require.NoError(t, conn.Close())
	}},
}

package proactor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceSendFile(t *testing.T) { conform(t, sendingFiles) }

func TestConformanceForward(t *testing.T) { conform(t, forwarding) }

// fileOf makes a file with that content.
func fileOf(t *testing.T, content []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, content, 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

var sendingFiles = []behaviour{
	{name: "SendFile sends a part of a file, in its place", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		content := pattern(3 << 20)
		f := fileOf(t, content)
		_, err := f.Seek(7, io.SeekStart)
		require.NoError(t, err)
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, part := range []struct{ off, n int }{{0, len(content)}, {1, 1}, {100_001, 262_144}, {5, 262_145}, {len(content) - 9, 9}} {
				c.SendBytes([]byte("before "))
				file := c.SendFile(f, int64(part.off), int64(part.n))
				behind := c.SendBytes([]byte(" behind"))
				aside(t, ctx, func() {
					got := readFull(t, peer, part.n+14)
					require.True(t, got == "before "+string(content[part.off:part.off+part.n])+" behind", "%v", part)
				})
				n, err := file.Await(ctx)
				require.NoError(t, err)
				require.EqualValues(t, part.n, n)
				_, err = behind.Await(ctx)
				require.NoError(t, err)
			}
		})
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 7, at, "the cursor is the program's")
	}},
	{name: "SendFile to a Unix socket and a pipe", show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileOf(t, []byte("content"))
		c, peer := socketPair(t, rt, "unix")
		n, err := c.SendFile(f, 3, 4).Await(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 4, n)
		require.Equal(t, "tent", readFull(t, peer, 4))
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		n, err = w.SendFile(f, 0, 3).Await(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		require.Equal(t, "con", receivedAll(t, t.Context(), r, 3))
	}},
	{name: "SendFile of what is in the page cache in part", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		content := pattern(5 << 20)
		f := fileOf(t, content)
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, dropped := range []struct{ off, n int64 }{{0, 0}, {0, 1 << 20}, {1 << 20, 1 << 20}, {1234567, 2 << 20}, {4 << 20, 1 << 20}} {
				require.NoError(t, f.Sync()) // what is dirty stays
				require.NoError(t, unix.Fadvise(int(f.Fd()), dropped.off, dropped.n, unix.FADV_DONTNEED))
				sent := c.SendFile(f, 100, int64(len(content)-100))
				aside(t, ctx, func() { require.True(t, readFull(t, peer, len(content)-100) == string(content[100:])) })
				n, err := sent.Await(ctx)
				require.NoError(t, err)
				require.EqualValues(t, len(content)-100, n)
			}
		})
	}},
	{name: "SendFile of a File", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		everywhere(t, rt, func(ctx context.Context) { // on the connection's loop, and not
			f := opened(t, ctx, rt, "content")
			n, err := c.SendFile(f, 3, 4).Await(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 4, n)
			require.Equal(t, "tent", readFull(t, peer, 4))
			_, err = f.Close().Await(ctx)
			require.NoError(t, err)
			for _, size := range []int64{0, 1} {
				_, err = c.SendFile(f, 0, size).Await(ctx)
				require.ErrorIs(t, err, fs.ErrClosed)
			}
		})
	}},
	{name: "SendFile of a File that is closed meanwhile", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		content := pattern(8 << 20)
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, string(content))
			sent := c.SendFile(f, 0, int64(len(content)))
			closed := f.Close()
			aside(t, ctx, func() { require.True(t, readFull(t, peer, len(content)) == string(content)) })
			n, err := sent.Await(ctx)
			require.NoError(t, err)
			require.EqualValues(t, len(content), n)
			_, err = closed.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, -1, f.Fd())
		})
	}},
	{name: "SendFile of a File, and the connection's end", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			c, _ := accepted(t, rt)
			f := opened(t, ctx, rt, string(make([]byte, 32<<20)))
			sent := c.SendFile(f, 0, 32<<20)
			c.Abort()
			_, err := sent.Await(ctx)
			require.ErrorIs(t, err, proactor.ErrClosed)
			_, err = f.Close().Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "SendFile of a file that ends before", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := fileOf(t, []byte("short"))
		bothWays(t, rt, c, func(ctx context.Context) {
			n, err := c.SendFile(f, 1, 100).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.EqualValues(t, 4, n)
			require.Equal(t, "hort", readFull(t, peer, 4))
			n, err = c.SendFile(f, 5, 1).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Zero(t, n)
			_, err = c.SendBytes([]byte("goes on")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "goes on", readFull(t, peer, 7))
		})
	}},
	{name: "SendFile of a file that is cut meanwhile", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := fileOf(t, make([]byte, 64<<20))
		sent := c.SendFile(f, 0, 64<<20)
		readFull(t, peer, 1<<20)
		require.NoError(t, f.Truncate(0))
		done := make(chan int64)
		go func() {
			n, _ := io.Copy(io.Discard, peer)
			done <- n
		}()
		n, err := sent.Await(t.Context())
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		closedDown(t, c)
		require.Equal(t, n, 1<<20+<-done, "the number is that of the bytes sent")
	}},
	{name: "SendFile to a peer that goes away", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := fileOf(t, make([]byte, 64<<20))
		sent := c.SendFile(f, 0, 64<<20)
		readFull(t, peer, 1<<20)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		n, err := sent.Await(t.Context())
		gone(t, err)
		require.GreaterOrEqual(t, n, int64(1<<20))
		require.Less(t, n, int64(64<<20))
	}},
	{name: "SendFile of what cannot be read", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		dir, err := os.Open(t.TempDir())
		require.NoError(t, err)
		defer dir.Close()
		_, err = c.SendFile(dir, 0, 1).Await(t.Context())
		require.ErrorIs(t, err, syscall.EISDIR)
		var path *fs.PathError
		require.ErrorAs(t, err, &path)
		require.Equal(t, dir.Name(), path.Path)
		wrote(t, c.NetConn(t.Context()), "goes on")
		require.Equal(t, "goes on", readFull(t, peer, 7))
	}},
	{name: "SendFile used wrongly", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		f := fileOf(t, []byte("content"))
		packets, _ := socketPair(t, rt, "unixpacket")
		closed := fileOf(t, nil)
		require.NoError(t, closed.Close())
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, of := range [][2]int64{{-1, 1}, {0, -1}, {1 << 62, 1 << 62}} {
				_, err := c.SendFile(f, of[0], of[1]).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL)
				require.ErrorContains(t, err, fmt.Sprintf("%d bytes at offset %d", of[1], of[0]))
			}
			_, err := packets.SendFile(f, 0, 1).Await(ctx)
			require.ErrorContains(t, err, "stream")
			_, err = c.SendFile(nil, 0, 1).Await(ctx)
			require.ErrorIs(t, err, os.ErrInvalid)
			_, err = c.SendFile(closed, 0, 1).Await(ctx)
			require.ErrorIs(t, err, os.ErrClosed)
			n, err := c.SendFile(f, 0, 0).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
		})
		closedDown(t, c)
		_, err := c.SendFile(f, 0, 1).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "SendFile without a descriptor to be had", show: func(t *testing.T, rt *proactor.Runtime) {
		content := pattern(32 << 20)
		f := fileOf(t, content)
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			_, err := c.SendBytes([]byte("x")).Await(ctx) // SendFile takes its turn at once
			require.NoError(t, err)
			require.Equal(t, "x", readFull(t, peer, 1))
			var sent futures.Future[int64]
			withoutDescriptors(t, func() { sent = c.SendFile(f, 0, 3) }) // too few to go from the page cache
			_, err = sent.Await(ctx)
			require.ErrorIs(t, err, syscall.EMFILE)
			withoutDescriptors(t, func() { sent = c.SendFile(f, 0, int64(len(content))) }) // more than there is room for
			n, err := sent.Await(ctx)
			require.ErrorIs(t, err, syscall.EMFILE)
			require.True(t, readFull(t, peer, int(n)) == string(content[:n]))
			_, err = c.SendBytes([]byte("x")).Await(ctx)
			if n > 0 {
				require.ErrorIs(t, err, syscall.EMFILE, "a part of the file was sent")
			} else {
				require.NoError(t, err)
			}
		})
		_, err := f.Stat()
		require.NoError(t, err, "it was not closed")
	}},
	{name: "SendFile canceled, at the deadline, closed and aborted", show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileOf(t, make([]byte, 64<<20))
		for _, end := range []struct {
			how  func(c *proactor.Conn, sent futures.Future[int64])
			want error
		}{
			{func(_ *proactor.Conn, sent futures.Future[int64]) { sent.Cancel() }, futures.ErrCanceled},
			{func(c *proactor.Conn, _ futures.Future[int64]) {
				c.SetWriteDeadline(time.Now().Add(time.Millisecond))
			}, os.ErrDeadlineExceeded},
			{func(c *proactor.Conn, _ futures.Future[int64]) { c.Abort() }, proactor.ErrClosed},
		} {
			c, peer := accepted(t, rt)
			sent, queued, behind := c.SendFile(f, 0, 64<<20), c.SendFile(f, 0, 1), c.SendBytes([]byte("behind"))
			queued.Cancel()
			_, err := queued.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
			readFull(t, peer, 1<<20)
			end.how(c, sent)
			n, err := sent.Await(t.Context())
			require.ErrorIs(t, err, end.want)
			require.Less(t, n, int64(64<<20))
			_, err = behind.Await(t.Context())
			require.ErrorIs(t, err, end.want, "the stream has a hole before it")
			c.Abort()
		}
	}},
	{name: "SendFile and Close", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		content := pattern(8 << 20)
		sent := c.SendFile(fileOf(t, content), 0, int64(len(content)))
		c.Close()
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
		n, err := sent.Await(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, len(content), n)
	}},
	{name: "SendFile and the end of the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		sent := c.SendFile(fileOf(t, make([]byte, 64<<20)), 0, 64<<20)
		require.NoError(t, rt.Close())
		_, err := sent.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

// forwarded is a connection forwarded to another, both ways, and the two peers.
func forwarded(t *testing.T, rt *proactor.Runtime) (there, back futures.Future[int64], a, b *net.TCPConn, conns [2]*proactor.Conn) {
	t.Helper()
	c, a := accepted(t, rt)
	d, b := accepted(t, rt)
	return c.Forward(d), d.Forward(c), a, b, [2]*proactor.Conn{c, d}
}

var forwarding = []behaviour{
	{name: "Forward moves bytes and the end, each way by itself", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 4 { // on one loop and across
			there, back, a, b, conns := forwarded(t, rt)
			wrote(t, a, "question")
			require.Equal(t, "question", readFull(t, b, 8))
			require.NoError(t, a.CloseWrite())
			rest, err := io.ReadAll(b)
			require.NoError(t, err)
			require.Empty(t, rest, "the end was passed on")
			n, err := there.Await(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 8, n)
			wrote(t, b, "an answer all the same")
			require.NoError(t, b.CloseWrite())
			rest, err = io.ReadAll(a)
			require.NoError(t, err)
			require.Equal(t, "an answer all the same", string(rest))
			n, err = back.Await(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, len(rest), n)
			closedDown(t, conns[0])
			closedDown(t, conns[1])
		}
	}},
	{name: "Forward of 100 MiB through a proxy, compared byte by byte", show: func(t *testing.T, rt *proactor.Runtime) {
		const size = 100 << 20
		server, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer server.Close()
		var all sync.WaitGroup
		defer all.Wait()
		all.Go(func() { // sends back what it gets, with Go's own means
			c, err := server.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			io.Copy(c, c)
		})
		proxy := listen(t, rt)
		all.Go(func() {
			proxy.Serve(context.Background(), func(ctx context.Context, client *proactor.Conn) error {
				up, err := rt.Dial(ctx, "tcp", server.Addr().String()).Await(ctx)
				if err != nil {
					return err
				}
				defer up.Close()
				there, back := client.Forward(up), up.Forward(client)
				if _, err := there.Await(ctx); err != nil {
					return err
				}
				_, err = back.Await(ctx)
				return err
			})
		})
		client := dial(t, proxy.Addr())
		want := make(chan [sha256.Size]byte, 1)
		all.Go(func() {
			h := sha256.New()
			piece := pattern(1<<20 + 7)
			out := io.MultiWriter(client, h)
			for left := size; left > 0; {
				n, err := out.Write(piece[:min(left, len(piece))])
				if err != nil {
					break
				}
				left -= n
			}
			client.CloseWrite()
			want <- [sha256.Size]byte(h.Sum(nil))
		})
		h := sha256.New()
		n, err := io.Copy(h, client)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.Equal(t, <-want, [sha256.Size]byte(h.Sum(nil)))
		proxy.Close()
	}},
	{name: "Forward among other sends", show: func(t *testing.T, rt *proactor.Runtime) {
		_, _, a, b, conns := forwarded(t, rt)
		inTask(t, rt, conns[1], func(ctx context.Context) {
			for range 100 {
				wrote(t, a, "forwarded ")
				aside(t, ctx, func() { require.Equal(t, "forwarded ", readFull(t, b, 10)) })
				_, err := conns[1].SendBytes([]byte("own ")).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "own ", readFull(t, b, 4))
			}
		})
		conns[0].Abort()
		conns[1].Abort()
	}},
	{name: "Forward to a peer that goes away", show: func(t *testing.T, rt *proactor.Runtime) {
		there, back, a, b, _ := forwarded(t, rt)
		require.NoError(t, b.SetLinger(0))
		require.NoError(t, b.Close())
		_, err := back.Await(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET)
		for err == nil || errors.Is(err, syscall.ECONNRESET) {
			if _, err = a.Write([]byte("x")); err != nil || there.Ready() {
				break
			}
		}
		_, err = there.Await(t.Context())
		gone(t, err)
	}},
	{name: "Forward from a peer that resets", show: func(t *testing.T, rt *proactor.Runtime) {
		there, _, a, b, _ := forwarded(t, rt)
		wrote(t, a, "last")
		require.Equal(t, "last", readFull(t, b, 4))
		require.NoError(t, a.SetLinger(0))
		require.NoError(t, a.Close())
		n, err := there.Await(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.EqualValues(t, 4, n)
	}},
	{name: "Forward canceled", show: func(t *testing.T, rt *proactor.Runtime) {
		there, back, a, b, conns := forwarded(t, rt)
		wrote(t, a, "moved")
		require.Equal(t, "moved", readFull(t, b, 5))
		there.Cancel()
		n, err := there.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.EqualValues(t, 5, n)
		wrote(t, a, "kept")
		require.Equal(t, "kept", receivedAll(t, t.Context(), conns[0], 4), "what comes later is there")
		wrote(t, b, "back")
		require.Equal(t, "back", readFull(t, a, 4))
		back.Cancel()
		_, err = back.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
	}},
	{name: "Forward canceled while dst does not take more", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 10 {
			there, _, a, _, conns := forwarded(t, rt)
			require.NoError(t, a.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
			moved, err := io.Copy(a, zeros{}) // until sockets have no room, whatever their buffers grow to
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			there.Cancel()
			n, err := there.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.LessOrEqual(t, n, moved)
			conns[0].Abort()
			conns[1].Abort()
		}
	}},
	{name: "Forward of and to closed connections", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		d, _ := accepted(t, rt)
		closedDown(t, d)
		_, err := d.Forward(c).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		wrote(t, peer, "x")
		require.NoError(t, peer.CloseWrite())
		n, err := c.Forward(d).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		require.Zero(t, n)
		_, err = c.Forward(nil).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "Forward and the end of the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		there, back, _, _, _ := forwarded(t, rt)
		require.NoError(t, rt.Close())
		_, err := there.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = back.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func ExampleConn_SendFile() {
	rt := must(proactor.New())
	defer rt.Close()
	c, peer := peerOf(rt)
	f := must(os.CreateTemp("", "example"))
	defer os.Remove(f.Name())
	f.WriteString("a header and the body")
	sent := c.SendFile(f, 13, 8)
	f.Close() // the library has its own descriptor
	n := must(sent.Await(context.Background()))
	buf := must(peer.Recv().Await(context.Background()))
	fmt.Printf("%d %s\n", n, buf.Bytes())
	buf.Release()
	// Output: 8 the body
}

func ExampleConn_Forward() {
	rt := must(proactor.New())
	defer rt.Close()
	client, ours := peerOf(rt)
	upstream, server := peerOf(rt)
	ours.Forward(upstream)
	moved := upstream.Forward(ours)

	client.SendBytes([]byte("ping"))
	buf := must(server.Recv().Await(context.Background()))
	fmt.Printf("%s\n", buf.Bytes())
	server.Send(buf)
	server.CloseWrite()
	buf = must(client.Recv().Await(context.Background()))
	buf.Release()
	fmt.Println(must(moved.Await(context.Background())))
	// Output:
	// ping
	// 4
}

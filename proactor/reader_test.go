package proactor_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestReader(t *testing.T) { conform(t, readingFrames) }

// sends writes to the peer off the loop: it may have to wait until the task reads.
func sends(peer net.Conn, chunks ...string) futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	go func() {
		var err error
		for _, s := range chunks {
			if _, err = io.WriteString(peer, s); err != nil {
				break
			}
		}
		p.Settle(struct{}{}, err)
	}()
	return p.Future()
}

// eachWay runs fn in a task of c's loop and on a goroutine of the test's.
func eachWay(t *testing.T, rt *proactor.Runtime, fn func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn)) {
	t.Helper()
	for _, way := range []string{"task", "goroutine"} {
		c, peer := accepted(t, rt)
		if way == "task" {
			inTask(t, rt, c, func(ctx context.Context) { fn(ctx, c, peer) })
		} else {
			fn(t.Context(), c, peer)
		}
		closedDown(t, c)
		peer.Close()
	}
	require.Zero(t, rt.Stats().Total().BuffersOut)
	require.Zero(t, rt.Stats().Total().Held)
}

var readingFrames = []behaviour{
	{name: "Peek, Discard, ReadSlice and ReadFull give what was sent", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader()
			defer r.Release()
			wrote(t, peer, "GET /x\r\nbody4tail")
			line, err := r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			require.Equal(t, "GET /x\r\n", string(line))
			p, err := r.Peek(ctx, 4)
			require.NoError(t, err)
			require.Equal(t, "body", string(p))
			r.Discard(4)
			require.Equal(t, "body", string(p), "Discard leaves the slice valid")
			require.Equal(t, 5, r.Buffered())
			one := make([]byte, 1)
			n, err := r.ReadFull(ctx, one)
			require.NoError(t, err)
			require.Equal(t, "4", string(one[:n]))
			require.Panics(t, func() { r.Discard(5) })
			_, err = r.Peek(ctx, -1)
			require.ErrorIs(t, err, bufio.ErrNegativeCount)
			p, err = r.Peek(ctx, 0)
			require.NoError(t, err)
			require.Empty(t, p)
			skipped, err := r.Skip(ctx, 4)
			require.NoError(t, err)
			require.EqualValues(t, 4, skipped)
		})
	}},
	{name: "the end of the stream is io.EOF between frames, io.ErrUnexpectedEOF within", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, read := range []struct {
			name string
			call func(ctx context.Context, r *proactor.Reader) (string, error)
		}{
			{"Peek", func(ctx context.Context, r *proactor.Reader) (string, error) {
				p, err := r.Peek(ctx, 9)
				return string(p), err
			}},
			{"ReadSlice", func(ctx context.Context, r *proactor.Reader) (string, error) {
				p, err := r.ReadSlice(ctx, '\n')
				return string(p), err
			}},
			{"ReadFull", func(ctx context.Context, r *proactor.Reader) (string, error) {
				p := make([]byte, 9)
				n, err := r.ReadFull(ctx, p)
				return string(p[:n]), err
			}},
			{"large ReadFull", func(ctx context.Context, r *proactor.Reader) (string, error) {
				p := make([]byte, 1<<20)
				n, err := r.ReadFull(ctx, p)
				return string(p[:n]), err
			}},
			{"Skip", func(ctx context.Context, r *proactor.Reader) (string, error) {
				n, err := r.Skip(ctx, 9)
				return "part"[:n], err
			}},
			{"Lines", func(ctx context.Context, r *proactor.Reader) (string, error) {
				for line, err := range r.Lines(ctx, 0) {
					return string(line), err
				}
				return "", io.EOF
			}},
		} {
			for _, sent := range []string{"", "part"} {
				eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
					r := c.Reader()
					defer r.Release()
					wrote(t, peer, sent)
					require.NoError(t, peer.CloseWrite())
					got, err := read.call(ctx, r)
					require.Equal(t, sent, got, read.name)
					want := io.EOF
					if sent != "" {
						want = io.ErrUnexpectedEOF
					}
					require.Equal(t, want, err, read.name)
				})
			}
		}
	}},
	{name: "a frame over the limit fails and stays", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader(proactor.WithFrameLimit(8))
			defer r.Release()
			wrote(t, peer, "1234567\n12345678\nx\n")
			p, err := r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			require.Equal(t, "1234567\n", string(p))
			for range 2 {
				_, err = r.ReadSlice(ctx, '\n')
				require.ErrorIs(t, err, proactor.ErrFrameTooLong)
				require.ErrorContains(t, err, "8 bytes")
				require.ErrorAs(t, err, new(*net.OpError))
			}
			_, err = r.Peek(ctx, 9)
			require.ErrorIs(t, err, proactor.ErrFrameTooLong)
			p, err = r.Peek(ctx, 8)
			require.NoError(t, err)
			require.Equal(t, "12345678", string(p))
			_, err = r.Skip(ctx, 9)
			require.NoError(t, err)
			p, err = r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			require.Equal(t, "x\n", string(p))
		})
		require.Panics(t, func() { proactor.WithFrameLimit(0) })
	}},
	{name: "Lines cuts ends off and keeps to its limit", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader()
			defer r.Release()
			wrote(t, peer, "one\r\n\ntwo\n\r\n1234\r\n1234\n12345\nrest")
			require.NoError(t, peer.CloseWrite())
			var got []string
			var last error
			for line, err := range r.Lines(ctx, 4) {
				got, last = append(got, string(line)), err
			}
			require.Equal(t, []string{"one", "", "two", "", "1234", "1234", ""}, got)
			require.ErrorIs(t, last, proactor.ErrFrameTooLong)
			require.ErrorContains(t, last, "4 bytes")
			p, err := r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			require.Equal(t, "12345\n", string(p))
			got = nil
			for line, err := range r.Lines(ctx, 0) {
				got, last = append(got, string(line)), err
			}
			require.Equal(t, []string{"rest"}, got)
			require.Equal(t, io.ErrUnexpectedEOF, last)
		})
	}},
	{name: "a wait that ends loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader()
			defer r.Release()
			waits := func(ctx context.Context) []error {
				_, peek := r.Peek(ctx, 100)
				_, slice := r.ReadSlice(ctx, '\n')
				return []error{peek, slice}
			}
			var all strings.Builder
			for i := range 20 {
				s := fmt.Sprintf("%d,", i)
				wrote(t, peer, s)
				all.WriteString(s)
				canceled, cancel := context.WithCancel(ctx)
				if i%2 == 0 {
					cancel()
				} else {
					rt.Loops()[0].AfterFunc(time.Millisecond, cancel)
				}
				for _, err := range waits(canceled) {
					require.ErrorIs(t, err, context.Canceled)
				}
				require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
				for _, err := range waits(ctx) {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				}
				require.NoError(t, c.SetReadDeadline(time.Time{}))
			}
			wrote(t, peer, "\n")
			line, err := r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			require.Equal(t, all.String()+"\n", string(line))
		})
	}},
	{name: "a canceled ReadFull says how far it came", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader()
			defer r.Release()
			for _, size := range []int{100, 1 << 20} {
				p := make([]byte, size)
				wrote(t, peer, "begin")
				short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
				n, err := r.ReadFull(short, p)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				rest := bytes.Repeat([]byte("x"), size-5)
				sent := sends(peer, string(rest))
				k, err := r.ReadFull(ctx, p[n:])
				require.NoError(t, err)
				require.Equal(t, size, n+k)
				require.True(t, bytes.Equal(append([]byte("begin"), rest...), p))
				_, err = sent.Await(ctx)
				require.NoError(t, err)
			}
		})
	}},
	{name: "an idle Reader holds nothing, and a part of a frame little", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		lines := make(chan string, 10)
		f := c.Loop().Go(t.Context(), func(ctx context.Context) error {
			for line, err := range c.Reader().Lines(ctx, 0) {
				if err != nil {
					return err
				}
				lines <- string(line)
			}
			return nil
		})
		for _, s := range []string{"one\n", "two\nthree\n", strings.Repeat("long", 10000) + "\n"} {
			wrote(t, peer, s)
			for range strings.Count(s, "\n") {
				<-lines
			}
			eventually(t, func() bool { s := rt.Stats().Total(); return s.Held == 0 && s.BuffersOut == 0 }, rt.Describe)
		}
		wrote(t, peer, "part")
		eventually(t, func() bool { s := rt.Stats().Total(); return s.Held == 256 && s.BuffersOut == 0 }, rt.Describe)
		require.NoError(t, peer.CloseWrite())
		_, err := f.Await(t.Context())
		require.Equal(t, io.ErrUnexpectedEOF, err)
		require.Zero(t, rt.Stats().Total().Held, "the task gave it back")
		closedDown(t, c)
	}},
	{name: "what a Reader holds comes back when its task ends", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, end := range []string{"return", "panic"} {
			c, peer := accepted(t, rt)
			wrote(t, peer, "unread bytes\nmore")
			f := c.Loop().Go(t.Context(), func(ctx context.Context) error {
				r := c.Reader()
				if _, err := r.ReadSlice(ctx, '\n'); err != nil {
					return err
				}
				c.Writer().WriteString("never flushed")
				c.Loop().Buffer(100).Bytes()[0] = 1
				c.Loop().Buffer(10).Retain()
				if end == "panic" {
					panic("of the test")
				}
				return nil
			})
			_, err := f.Await(t.Context())
			require.Equal(t, end == "panic", err != nil)
			require.Zero(t, rt.Stats().Total().Held)
			closedDown(t, c)
		}
	}},
	{name: "Release leaves the rest to whoever receives next", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			r := c.Reader()
			wrote(t, peer, "CONNECT x\r\nab")
			_, err := r.ReadSlice(ctx, '\n')
			require.NoError(t, err)
			for r.Buffered() < 2 {
				_, err := r.Peek(ctx, 2)
				require.NoError(t, err)
			}
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			_, err = r.Peek(canceled, 5) // now it is in memory of the Reader's
			require.ErrorIs(t, err, context.Canceled)
			r.Release()
			r.Release()
			require.Zero(t, r.Buffered())
			p := make([]byte, 1)
			n, err := c.RecvInto(p).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "a", string(p[:n]))
			require.Equal(t, "b", received(t, ctx, c))
			wrote(t, peer, "cd")
			p2, err := r.Peek(ctx, 2)
			require.NoError(t, err)
			require.Equal(t, "cd", string(p2))
			r.Release()
			require.NoError(t, peer.CloseWrite())
			b, err := r.Bound(ctx).ReadByte()
			require.NoError(t, err)
			require.EqualValues(t, 'c', b)
			var rest bytes.Buffer
			k, err := io.Copy(&rest, r.Bound(ctx))
			require.NoError(t, err)
			require.EqualValues(t, 1, k)
			require.Equal(t, "d", rest.String())
		})
	}},
	{name: "Release after the end gives back", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		r := c.Reader()
		wrote(t, peer, "abc")
		_, err := r.Peek(t.Context(), 3)
		require.NoError(t, err)
		closedDown(t, c)
		_, err = r.Peek(t.Context(), 3)
		require.NoError(t, err, "it is there")
		_, err = r.Peek(t.Context(), 4)
		require.ErrorIs(t, err, net.ErrClosed)
		r.Release()
		require.Zero(t, rt.Stats().Total().Held)
	}},
	{name: "messages make one stream", show: func(t *testing.T, rt *proactor.Runtime) {
		a, b, err := rt.SocketPair("unixpacket")
		require.NoError(t, err)
		for _, s := range []string{"ab", "", "c\nd", "", "\n"} {
			_, err := a.SendBytes([]byte(s)).Await(t.Context())
			require.NoError(t, err)
		}
		r := b.Reader()
		for _, want := range []string{"abc\n", "d\n"} {
			line, err := r.ReadSlice(t.Context(), '\n')
			require.NoError(t, err)
			require.Equal(t, want, string(line))
		}
		r.Release()
		closedDown(t, a)
		closedDown(t, b)
	}},
}

// A Reader reads what a bufio.Reader reads of the same bytes, whatever the pieces that
// they come in.
func TestReaderIsLikeBufio(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for seed := range uint64(40) {
			readsLikeBufio(t, rt, seed, seed%2 == 0)
		}
		require.Zero(t, rt.Stats().Total().Held)
	}, proactor.WithBuffers(1024, 64))
}

func FuzzReader(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, inTask bool) {
		rt, err := proactor.New(proactor.WithBackend(proactor.Epoll), proactor.WithLoops(1), proactor.WithBuffers(1024, 64))
		require.NoError(t, err)
		readsLikeBufio(t, rt, seed, inTask)
		require.NoError(t, rt.Close())
	})
}

func readsLikeBufio(t *testing.T, rt *proactor.Runtime, seed uint64, asTask bool) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	content := make([]byte, random.IntN(60_000))
	for i := range content {
		content[i] = byte('a' + random.IntN(26))
		if random.IntN(1+random.IntN(700)) == 0 {
			content[i] = '\n'
		}
	}
	c, peer := accepted(t, rt)
	chunks := rand.New(rand.NewPCG(seed, 2))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+chunks.IntN(1+chunks.IntN(5000)))
			if _, err := peer.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		peer.CloseWrite()
	}()
	const limit = 4096
	compare := func(ctx context.Context) {
		r, model := c.Reader(proactor.WithFrameLimit(limit)), bufio.NewReaderSize(bytes.NewReader(content), limit)
		for done := false; !done; {
			what := fmt.Sprintf("seed %d", seed)
			if random.IntN(4) == 0 { // a wait that is canceled changes nothing
				canceled, cancel := context.WithCancel(ctx)
				cancel()
				r.Peek(canceled, 1+random.IntN(limit))
			}
			if random.IntN(8) == 0 {
				r.Release()
			}
			switch n := random.IntN(1 + random.IntN(limit)); random.IntN(5) {
			case 0:
				want, wantErr := model.Peek(n)
				got, err := r.Peek(ctx, n)
				requireSame(t, want, got, wantErr, err, what)
				r.Discard(len(got))
				model.Discard(len(got))
				done = err != nil
			case 1:
				want, wantErr := model.ReadSlice('\n')
				got, err := r.ReadSlice(ctx, '\n')
				if wantErr == bufio.ErrBufferFull {
					require.ErrorIs(t, err, proactor.ErrFrameTooLong, what)
					k, err := r.Skip(ctx, int64(len(want)))
					require.NoError(t, err, what)
					require.EqualValues(t, len(want), k)
					break
				}
				requireSame(t, want, got, wantErr, err, what)
				done = err != nil
			case 2:
				n *= 1 + 10*random.IntN(2)
				want, got := make([]byte, n), make([]byte, n)
				k, wantErr := io.ReadFull(model, want)
				l, err := r.ReadFull(ctx, got)
				requireSame(t, want[:k], got[:l], wantErr, err, what)
				done = err != nil
			case 3:
				k, wantErr := model.Discard(n)
				l, err := r.Skip(ctx, int64(n))
				require.EqualValues(t, k, l, what)
				require.Equal(t, wantErr == nil, err == nil, what)
				done = err != nil
			case 4:
				want, wantErr := model.ReadByte()
				got, err := r.Bound(ctx).ReadByte()
				require.Equal(t, wantErr, err, what)
				require.Equal(t, want, got, what)
				done = err != nil
			}
		}
		r.Release()
	}
	if asTask {
		inTask(t, rt, c, compare)
	} else {
		compare(t.Context())
	}
	c.Abort()
	<-sent
	_, err := c.Closed().Await(t.Context())
	require.NoError(t, err)
	peer.Close()
}

// requireSame compares with what bufio gives, for which any end is io.EOF.
func requireSame(t *testing.T, want, got []byte, wantErr, err error, what string) {
	t.Helper()
	require.Equal(t, string(want), string(got), what)
	if wantErr == io.EOF && len(want) > 0 {
		wantErr = io.ErrUnexpectedEOF
	}
	require.Equal(t, wantErr, err, what)
}

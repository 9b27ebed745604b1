package proactor_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestWriter(t *testing.T) { conform(t, writingReplies) }

var writingReplies = []behaviour{
	{name: "what is written goes out with Flush, as one", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			w := c.Writer()
			n, err := w.Flush().Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			w.WriteString("+OK")
			w.WriteByte(' ')
			w.Write(strconv.AppendInt(w.AvailableBuffer(), -42, 10))
			w.Write([]byte("\r\n"))
			require.Equal(t, 9, w.Buffered())
			n, err = w.Flush().Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 9, n)
			require.Zero(t, w.Buffered())
			aside(t, ctx, func() { require.Equal(t, "+OK -42\r\n", readFull(t, peer, 9)) })
			w.WriteString("dropped")
			w.Release()
			w.Release()
			w.WriteString("sent")
			_, err = w.Flush().Await(ctx)
			require.NoError(t, err)
			aside(t, ctx, func() { require.Equal(t, "sent", readFull(t, peer, 4)) })
		})
	}},
	{name: "much goes out in order", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			random := rand.New(rand.NewPCG(1, 2))
			var want bytes.Buffer
			w := c.Writer()
			var got []byte
			read := make(chan struct{})
			const size = 1 << 20
			go func() {
				defer close(read)
				got, _ = io.ReadAll(io.LimitReader(peer, size))
			}()
			for want.Len() < size {
				n := min(random.IntN(1+random.IntN(50_000)), size-want.Len())
				p := bytes.Repeat([]byte{byte(random.IntN(256))}, n)
				want.Write(p)
				var err error
				switch random.IntN(4) {
				case 0:
					_, err = w.WriteString(string(p))
				case 1:
					_, err = w.Write(append(w.AvailableBuffer(), p...))
				default:
					_, err = w.Write(p)
				}
				require.NoError(t, err)
				if random.IntN(5) == 0 {
					_, err := w.Flush().Await(ctx)
					require.NoError(t, err)
				}
			}
			_, err := w.Flush().Await(ctx)
			require.NoError(t, err)
			aside(t, ctx, func() { <-read })
			require.True(t, bytes.Equal(want.Bytes(), got))
		})
	}},
	{name: "what is queued goes out in order, and Queue waits above the high-water mark", opts: []proactor.Option{proactor.WithHighWater(64 << 10)}, show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			w := c.Writer()
			_, err := w.Queue().Await(ctx)
			require.NoError(t, err)
			w.WriteString("first ")
			_, err = w.Queue().Await(ctx)
			require.NoError(t, err)
			require.Zero(t, w.Buffered())
			w.WriteString("second ")
			_, err = w.Flush().Await(ctx)
			require.NoError(t, err)
			w.WriteString("third")
			_, err = w.Queue().Await(ctx)
			require.NoError(t, err)
			aside(t, ctx, func() { require.Equal(t, "first second third", readFull(t, peer, 18)) })

			// More than the two sockets take, whose buffers do not grow.
			require.NoError(t, peer.SetReadBuffer(1<<14))
			require.NoError(t, c.SetWriteBuffer(1<<17))
			const piece, sent = 48 << 10, 48 * 48 << 10
			full := futures.Future[struct{}]{}
			for range sent / piece {
				w.Write(make([]byte, piece))
				full = w.Queue()
			}
			_, err = rt.Sleep(time.Millisecond).Await(ctx)
			require.NoError(t, err)
			require.False(t, full.Ready(), "nobody reads")
			aside(t, ctx, func() { readFull(t, peer, sent) })
			_, err = full.Await(ctx)
			require.NoError(t, err)
			_, err = w.Queue().Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "errors stick", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			w := c.Writer()
			w.WriteString("begin")
			c.Abort()
			_, err := w.Flush().Await(ctx)
			require.ErrorIs(t, err, net.ErrClosed)
			for range 2 {
				n, err := w.WriteString("x")
				require.Zero(t, n)
				require.ErrorIs(t, err, net.ErrClosed)
				_, err = w.Write([]byte("x"))
				require.ErrorIs(t, err, net.ErrClosed)
				require.ErrorIs(t, w.WriteByte('x'), net.ErrClosed)
				require.Empty(t, w.AvailableBuffer())
				_, err = w.Flush().Await(ctx)
				require.ErrorIs(t, err, net.ErrClosed)
				_, err = w.Queue().Await(ctx)
				require.ErrorIs(t, err, net.ErrClosed)
			}
			w = c.Writer()
			_, err = w.Write(make([]byte, 100_000))
			require.ErrorIs(t, err, net.ErrClosed)
		})
		peer.Close()
		require.Zero(t, rt.Stats().Total().Held)
	}},
	{name: "memory of the loop's is filled, cut, shared, and comes back", show: func(t *testing.T, rt *proactor.Runtime) {
		eachWay(t, rt, func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			for _, size := range []int{0, 1, 300, 5000, 70_000} {
				b := c.Loop().Buffer(size)
				require.Equal(t, size, b.Len())
				require.Equal(t, make([]byte, size), append([]byte{}, b.Bytes()...))
				n := size / 2
				for i := range b.Bytes() {
					b.Bytes()[i] = byte(i)
				}
				want := string(b.Bytes()[:n])
				require.Panics(t, func() { b.Truncate(size + 1) })
				b = b.Truncate(n)
				again := b.Retain()
				third := again.Retain()
				_, err := c.Send(b).Await(ctx)
				require.NoError(t, err)
				require.Panics(t, func() { b.Retain() })
				require.Equal(t, want, string(again.Bytes()))
				again.Release()
				require.Panics(t, again.Release)
				require.Equal(t, want, string(third.Bytes()))
				_, err = c.Queue(third).Await(ctx)
				require.NoError(t, err)
				aside(t, ctx, func() { require.Equal(t, want+want, readFull(t, peer, 2*n)) })
			}
			proactor.Buffer{}.Retain().Truncate(0).Release()
		})
	}},
	{name: "a retained Buffer outlives the lease it was made of", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "data")
		var kept proactor.Buffer
		inTask(t, rt, c, func(ctx context.Context) {
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			kept = b.Retain().Keep()
		})
		require.Equal(t, 1, rt.Stats().Total().BuffersOut, "counted once")
		require.Equal(t, "data", string(kept.Bytes()))
		kept.Release()
		eventually(t, func() bool { return rt.Stats().Total().Held == 0 }, rt.Describe)
		closedDown(t, c)
	}},
}

// What a program sends and receives through Reader and Writer allocates nothing.
func TestReaderAndWriterAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	for _, frame := range []struct {
		name   string
		chunks []string // sent one by one, each but the last awaited by a "." from the server
	}{
		{"whole lines", []string{"GET key-of-some-length\r\n"}},
		{"a pipeline", []string{strings.Repeat("GET key-of-some-length\r\n", 50)}},
		{"a long line", []string{strings.Repeat("x", 40_000) + "\r\n"}},
		{"a part of a line, then the rest", []string{"GET key-of-", "some-length\r\n"}},
	} {
		t.Run(frame.name, func(t *testing.T) {
			eachSend(t, func(t *testing.T, send sendReplies) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					addr := serve(t, rt, answerLines(send))
					c := rawDial(t, addr)
					lines := strings.Count(strings.Join(frame.chunks, ""), "\n")
					answer := make([]byte, lines*len(replyLine))
					chunks := make([][]byte, len(frame.chunks))
					for i, s := range frame.chunks {
						chunks[i] = []byte(s)
					}
					round := func() {
						for _, p := range chunks {
							c.write(t, p)
						}
						c.read(t, answer)
					}
					requireNoAllocs(t, round)
				})
			})
		})
	}
}

// sendReplies sends what a Writer has collected, and waits if need be.
type sendReplies func(ctx context.Context, w *proactor.Writer) error

func eachSend(t *testing.T, test func(t *testing.T, send sendReplies)) {
	t.Run("Flush", func(t *testing.T) {
		test(t, func(ctx context.Context, w *proactor.Writer) error {
			_, err := w.Flush().Await(ctx)
			return err
		})
	})
	t.Run("Queue", func(t *testing.T) {
		test(t, func(ctx context.Context, w *proactor.Writer) error {
			_, err := w.Queue().Await(ctx)
			return err
		})
	})
}

const replyLine = "$24 some reply of a server\r\n"

// answerLines answers each line, and sends when no more are there.
func answerLines(send sendReplies) func(context.Context, *proactor.Conn) error {
	return func(ctx context.Context, c *proactor.Conn) error {
		r, w := c.Reader(), c.Writer()
		for line, err := range r.Lines(ctx, 0) {
			if err != nil {
				return err
			}
			w.WriteByte('$')
			w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(min(24, len(line)+24)), 10))
			w.WriteString(replyLine[3:])
			if r.Buffered() == 0 {
				if err := send(ctx, w); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// Memory of the program's own that is broadcast allocates nothing on its loop.
func TestBroadcastAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		var subscribers []*proactor.Conn
		joined := make(chan struct{})
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			subscribers = append(subscribers, c)
			joined <- struct{}{}
			for b, err := range c.Bufs(ctx) {
				if err != nil {
					return err
				}
				b.Release()
				out := c.Loop().Buffer(100)
				copy(out.Bytes(), "news")
				out = out.Truncate(4)
				for _, s := range subscribers {
					s.Queue(out.Retain())
				}
				proactor.Broadcast(out, subscribers...)
			}
			return nil
		})
		var peers []rawConn
		for range 8 {
			peers = append(peers, rawDial(t, addr))
			<-joined
		}
		p := make([]byte, 8)
		requireNoAllocs(t, func() {
			peers[0].write(t, p[:1])
			for _, c := range peers {
				c.read(t, p)
			}
		})
		require.Equal(t, "newsnews", string(p))
	}, proactor.WithLoops(1))
}

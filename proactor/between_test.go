package proactor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceBetweenLoops(t *testing.T) { conform(t, betweenLoops) }

// other is the loop of a runtime of two that c is not on.
func other(rt *proactor.Runtime, c *proactor.Conn) *proactor.Loop {
	for _, l := range rt.Loops() {
		if l != c.Loop() {
			return l
		}
	}
	return nil
}

var betweenLoops = []behaviour{
	{name: "Move takes the connection along", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer) // a multishot is armed
		for range 10 {
			old, addr := c, c.RemoteAddr()
			moved, err := old.Move(other(rt, old)).Await(t.Context())
			require.NoError(t, err)
			require.NotSame(t, old.Loop(), moved.Loop())
			require.Equal(t, addr.String(), moved.RemoteAddr().String())
			for _, err := range []error{
				errorOf(old.Recv().Await(t.Context())), errorOf(old.SendBytes([]byte("x")).Await(t.Context())),
				errorOf(old.RecvInto(make([]byte, 1)).Await(t.Context())), errorOf(old.Move(old.Loop()).Await(t.Context())),
			} {
				require.ErrorIs(t, err, proactor.ErrMoved)
				require.ErrorIs(t, err, net.ErrClosed)
			}
			require.NoError(t, old.Close())
			exchange(t, rt, moved, peer)
			c = moved
		}
		closedDown(t, c)
		_, err := io.ReadAll(peer)
		require.NoError(t, err)
	}},
	{name: "Do waits for a loop that does not keep up", show: func(t *testing.T, rt *proactor.Runtime) {
		const bound, posts = 1 << 16, 4 << 16
		l := rt.Loops()[0]
		for name, poster := range map[string]func(post func()){
			"goroutine": func(post func()) { post() },
			"handler of another loop": func(post func()) {
				rt.Loops()[1].Go(t.Context(), func(context.Context) error { post(); return nil }).Await(t.Context())
			},
		} {
			var posted, done, most atomic.Int64
			before := rt.Stats().Total().PostsDelayed
			l.Do(func() { // holds the loop until the poster waits
				for rt.Stats().Total().PostsDelayed == before && posted.Load() < posts {
					runtime.Gosched()
				}
			})
			poster(func() {
				for range posts {
					posted.Add(1)
					l.Do(func() { most.Store(max(most.Load(), posted.Load()-done.Add(1))) })
				}
			})
			ended := make(chan struct{})
			l.Do(func() { close(ended) })
			<-ended
			require.EqualValues(t, posts, done.Load(), name)
			require.Greater(t, rt.Stats().Total().PostsDelayed, before, name)
			require.LessOrEqual(t, most.Load(), int64(2*bound+2), name)
		}
	}},
	{name: "what was received goes along, in order", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		const n = 20_000
		go func() {
			for i := range n {
				peer.Write([]byte{byte(i), byte(i >> 8)})
			}
			peer.CloseWrite()
		}()
		got := 0
		half := -1
		for got < n {
			waits := c.Recv() // ends with ErrMoved, or has data
			moving := c.Move(other(rt, c))
			b, err := waits.Await(t.Context())
			if err == nil {
				got, half = inOrder(t, b, got, half)
			} else {
				require.ErrorIs(t, err, proactor.ErrMoved)
			}
			c, err = moving.Await(t.Context())
			require.NoError(t, err)
			for range 5 {
				b, err := c.Recv().Await(t.Context())
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				got, half = inOrder(t, b, got, half)
			}
		}
		require.Equal(t, n, got)
		_, err := c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
	}},
	{name: "what was queued is sent first", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		moving := c.Move(other(rt, c))
		_, err := c.SendBytes([]byte("too late")).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrMoved)
		_, err = c.Move(other(rt, c)).Await(t.Context())
		require.Error(t, err)
		require.False(t, moving.Ready())
		_, err = io.CopyN(io.Discard, peer, stuffed)
		require.NoError(t, err)
		n, err := sent.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, stuffed, n)
		moved, err := moving.Await(t.Context())
		require.NoError(t, err)
		_, err = moved.SendBytes([]byte("after")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "after", readFull(t, peer, 5))
	}},
	{name: "a handler of OnRecv ends with the move", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		ended := make(chan error, 1)
		c.OnRecv(func(b proactor.Buffer, err error) {
			b.Release()
			if err != nil {
				ended <- err
			}
		})
		moved, err := c.Move(other(rt, c)).Await(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, <-ended, proactor.ErrMoved)
		wrote(t, peer, "x")
		require.Equal(t, "x", received(t, t.Context(), moved))
	}},
	{name: "Move after CloseWrite: receiving goes on, sending stays ended", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, queued := range []int{0, 1, stuffed} {
			c, peer := accepted(t, rt)
			sent, shut := c.SendBytes(make([]byte, queued)), c.CloseWrite()
			moving := c.Move(other(rt, c))
			n, err := io.Copy(io.Discard, peer)
			require.NoError(t, err)
			require.EqualValues(t, queued, n)
			for _, err := range []error{errorOf(sent.Await(t.Context())), errorOf(shut.Await(t.Context()))} {
				require.NoError(t, err)
			}
			c, err = moving.Await(t.Context())
			require.NoError(t, err)
			require.ErrorIs(t, errorOf(c.SendBytes([]byte("x")).Await(t.Context())), syscall.EPIPE)
			require.NoError(t, errorOf(c.CloseWrite().Await(t.Context())), "again")
			wrote(t, peer, "in")
			require.Equal(t, "in", received(t, t.Context(), c))
			require.NoError(t, errorOf(c.Move(other(rt, c)).Await(t.Context())))
		}
	}},
	{name: "Move after the deadline of writing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, c.SetWriteDeadline(time.Unix(1, 0)))
		moved, err := c.Move(other(rt, c)).Await(t.Context())
		require.NoError(t, err)
		exchange(t, rt, moved, peer)
	}},
	{name: "what waits for a send goes on when it is canceled before it began", show: func(t *testing.T, rt *proactor.Runtime) {
		for name, wait := range map[string]func(c *proactor.Conn) func() error{
			"CloseWrite": func(c *proactor.Conn) func() error {
				f := c.CloseWrite()
				return func() error { return errorOf(f.Await(t.Context())) }
			},
			"Move": func(c *proactor.Conn) func() error {
				f := c.Move(other(rt, c))
				return func() error { return errorOf(f.Await(t.Context())) }
			},
			"Close": func(c *proactor.Conn) func() error {
				c.Close()
				f := c.Closed()
				return func() error { return errorOf(f.Await(t.Context())) }
			},
		} {
			c, _ := accepted(t, rt)
			waits := make(chan func() error, 1)
			c.Loop().Do(func() {
				sent := c.SendBytes([]byte("x"))
				w := wait(c)
				sent.Cancel()
				waits <- w
			})
			require.NoError(t, (<-waits)(), name)
		}
	}},
	{name: "Move and Close", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		f := c.SendBytes(make([]byte, stuffed))
		moving := c.Move(other(rt, c))
		require.NoError(t, c.Close())
		_, err := moving.Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
		c.Abort()
		_, err = f.Await(t.Context())
		require.Error(t, err)
		_, err = c.Move(other(rt, c)).Await(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
	}},
	{name: "a Move that waits for a peer can be canceled, and the connection stays", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		for range 3 {
			waits := c.Recv()
			moving := c.Move(other(rt, c))
			_, err := waits.Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrMoved)
			moving.Cancel()
			_, err = moving.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
			wrote(t, peer, "here")
			require.Equal(t, "here", receivedAll(t, t.Context(), c, 4))
		}
		late, cancel := context.WithDeadline(t.Context(), past)
		_, err := c.Move(other(rt, c)).Await(late)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		after := c.SendBytes([]byte("after"))
		_, err = io.CopyN(io.Discard, peer, stuffed)
		require.NoError(t, err)
		for _, f := range []futures.Future[int]{sent, after} {
			_, err := f.Await(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, "after", readFull(t, peer, 5))
		moved, err := c.Move(other(rt, c)).Await(t.Context())
		require.NoError(t, err)
		wrote(t, peer, "there")
		require.Equal(t, "there", receivedAll(t, t.Context(), moved, 5))
	}},
	{name: "no moves during Shutdown", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		moving := c.Move(other(rt, c))
		rt.Stats() // the Move has begun
		ctx := shutDown(t, rt)
		_, err := peer.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, peer.CloseWrite())
		eventually(t, func() bool { return rt.Draining() }, rt.Describe)
		_, err = io.CopyN(io.Discard, peer, stuffed-1)
		require.NoError(t, err)
		_, err = moving.Await(ctx)
		require.ErrorIs(t, err, proactor.ErrShutdown)
		_, err = sent.Await(ctx)
		require.NoError(t, err)
		_, err = c.Recv().Await(ctx)
		require.Equal(t, io.EOF, err)
		_, err = c.SendBytes([]byte("last")).Await(ctx)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Equal(t, "last", readFull(t, peer, 4))
	}},
	{name: "Close of the runtime amid moves", show: func(t *testing.T, rt *proactor.Runtime) {
		var all sync.WaitGroup
		for range 50 {
			c, _ := accepted(t, rt)
			all.Go(func() {
				for {
					moved, err := c.Move(other(rt, c)).Await(context.Background())
					if err != nil {
						if !errors.Is(err, net.ErrClosed) && !errors.Is(err, proactor.ErrShutdown) {
							t.Errorf("%v", err)
						}
						return
					}
					c = moved
				}
			})
		}
		require.NoError(t, rt.Close())
		all.Wait()
	}},
	{name: "a moved connection keeps its place in the limit", opts: []proactor.Option{proactor.WithMaxConns(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		defer ln.Close()
		f := ln.Accept()
		dial(t, ln.Addr())
		c, err := f.Await(t.Context())
		require.NoError(t, err)
		moved, err := c.Move(other(rt, c)).Await(t.Context())
		require.NoError(t, err)
		f = ln.Accept()
		peer := dial(t, ln.Addr())
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		rt.Stats()
		require.False(t, f.Ready())
		closedDown(t, moved)
		c, err = f.Await(t.Context())
		require.NoError(t, err)
		wrote(t, peer, "in")
		require.Equal(t, "in", receivedAll(t, t.Context(), c, 2))
	}},
	{name: "connections are spread as asked", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			address := "127.0.0.1:0"
			if network != "tcp" {
				address = filepath.Join(t.TempDir(), "socket")
			}
			for _, spread := range []proactor.Spread{proactor.SpreadRoundRobin, proactor.SpreadLeastConns} {
				ln, err := rt.Listen(network, address, proactor.WithSpread(spread))
				require.NoError(t, err)
				on := map[*proactor.Loop]int{}
				var conns []*proactor.Conn
				var peers []net.Conn
				const n = 20
				for range n {
					f := ln.Accept()
					peer, err := net.Dial(network, ln.Addr().String())
					require.NoError(t, err)
					c, err := f.Await(t.Context())
					require.NoError(t, err)
					wrote(t, peer, "x")
					require.Equal(t, "x", received(t, t.Context(), c))
					on[c.Loop()]++
					conns, peers = append(conns, c), append(peers, peer)
				}
				for _, l := range rt.Loops() {
					require.Equal(t, n/2, on[l], "%s spread %d", network, spread)
				}
				if spread == proactor.SpreadLeastConns { // those that leave are counted out
					for _, c := range conns {
						if c.Loop() == rt.Loops()[0] {
							closedDown(t, c)
						}
					}
					for range n / 2 {
						f := ln.Accept()
						peer, err := net.Dial(network, ln.Addr().String())
						require.NoError(t, err)
						c, err := f.Await(t.Context())
						require.NoError(t, err)
						require.Same(t, rt.Loops()[0], c.Loop())
						conns, peers = append(conns, c), append(peers, peer)
					}
				}
				for i, p := range peers {
					p.Close()
					closedDown(t, conns[i])
				}
				require.NoError(t, ln.Close())
			}
		}
		_, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithSpread(7))
		require.ErrorContains(t, err, "spread 7")
	}},
	{name: "Serve spreads, and closes amid connections", show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "socket")
		ln, err := rt.Listen("unix", path, proactor.WithSpread(proactor.SpreadRoundRobin))
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- ln.Serve(context.Background(), echo) }()
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					c, err := net.Dial("unix", path)
					if err != nil {
						return
					}
					roundTrip(c, 100, 's')
					c.Close()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		eventually(t, func() bool { s := rt.Stats(); return s[0].Accepted > 20 && s[1].Accepted > 20 }, rt.Describe)
		require.NoError(t, ln.Close())
		close(stop)
		all.Wait()
		require.ErrorIs(t, <-served, proactor.ErrClosed)
	}},
}

func errorOf[T any](_ T, err error) error { return err }

// inOrder checks numbers of two bytes each, of which one may have come half.
func inOrder(t *testing.T, b proactor.Buffer, next, half int) (int, int) {
	t.Helper()
	for _, v := range b.Bytes() {
		if half < 0 {
			half = int(v)
			continue
		}
		require.Equal(t, next, half|int(v)<<8)
		next, half = next+1, -1
	}
	b.Release()
	return next, half
}

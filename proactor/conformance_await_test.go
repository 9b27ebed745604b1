package proactor_test

import (
	"context"
	"io"
	"iter"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// awaiting is what futures of a loop promise to those who wait for them.
var awaiting = []behaviour{
	{name: "a handler may pull from Bufs", opts: oneLoop, show: func(t *testing.T, rt *proactor.Runtime) {
		ended := serveOne(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			next, stop := iter.Pull2(c.Bufs(ctx))
			defer stop()
			for {
				b, err, ok := next()
				if !ok || err != nil {
					return err
				}
				c.Queue(b)
			}
		}, func(peer *net.TCPConn) {
			for range 100 {
				wrote(t, peer, "hello")
				require.Equal(t, "hello", readFull(t, peer, 5))
			}
			peer.CloseWrite()
		})
		require.NoError(t, ended)
	}},
	{name: "a sequence that waits may pull from another one", opts: oneLoop, show: func(t *testing.T, rt *proactor.Runtime) {
		ended := serveOne(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			next, stop := iter.Pull2(pairs(c.Bufs(ctx)))
			defer stop()
			for {
				s, err, ok := next()
				if !ok || err != nil {
					return err
				}
				if _, err := c.SendBytes([]byte(s)).Await(ctx); err != nil {
					return err
				}
			}
		}, func(peer *net.TCPConn) {
			for range 20 {
				wrote(t, peer, "a")
				wrote(t, peer, "b")
				require.Equal(t, "ab", readFull(t, peer, 2))
			}
			peer.CloseWrite()
		})
		require.NoError(t, ended)
	}},
	{name: "a handler that waits in a sequence ends with its context", opts: oneLoop, show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		ctx, cancel := context.WithCancel(t.Context())
		f := c.Loop().Go(ctx, func(ctx context.Context) error {
			next, stop := iter.Pull2(c.Bufs(ctx))
			defer stop()
			c.Loop().Do(cancel)
			_, err, _ := next()
			return err
		})
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, context.Canceled)
		c.Abort()
	}},
	{name: "the loop turns while a task waits with another context", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		stranger, stop := context.WithCancel(t.Context())
		lent := make(chan context.Context, 1)
		loops := rt.Loops()
		lender := loops[len(loops)-1].Go(stranger, func(ctx context.Context) error {
			lent <- ctx
			_, err := rt.Sleep(time.Hour).Await(ctx)
			return err
		})
		for _, other := range []context.Context{context.Background(), <-lent} {
			inTask(t, rt, c, func(context.Context) {
				c.Loop().Do(func() { go wrote(t, peer, "data") })
				require.Equal(t, "data", receivedAll(t, other, c, 4))
			})
		}
		stop()
		_, err := lender.Await(t.Context())
		require.ErrorIs(t, err, context.Canceled)
		c.Abort()
	}},
	{name: "loops look at each other's futures", opts: []proactor.Option{proactor.WithLoops(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		var fs [2]futures.Future[struct{}]
		ctx, cancel := context.WithCancel(t.Context())
		for i, l := range rt.Loops() {
			done := make(chan struct{})
			l.Do(func() {
				fs[i] = rt.Go(ctx, func(ctx context.Context) error {
					_, err := rt.Sleep(time.Hour).Await(ctx)
					return err
				})
				close(done)
			})
			<-done
		}
		var both sync.WaitGroup
		both.Add(2)
		var looks [2]futures.Future[struct{}]
		for i, l := range rt.Loops() {
			looks[i] = l.Go(t.Context(), func(context.Context) error {
				both.Done()
				both.Wait() // neither loop turns while both are in here
				for range 1000 {
					require.False(t, fs[1-i].Ready())
					_, err := fs[1-i].Result()
					require.ErrorIs(t, err, futures.ErrPending)
					fs[1-i].Done()
				}
				return nil
			})
		}
		for _, f := range looks {
			_, err := f.Await(t.Context())
			require.NoError(t, err)
		}
		cancel()
		for _, f := range fs {
			<-f.Done()
			_, err := f.Result()
			require.ErrorIs(t, err, context.Canceled)
		}
	}},
	{name: "what was received stays in its future while later receives begin", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			var fs []futures.Future[proactor.Buffer]
			for _, s := range []string{"one", "two", "three"} {
				f := c.Recv()
				wrote(t, peer, s)
				untilReady(t, ctx, rt, f)
				fs = append(fs, f)
			}
			for i, want := range []string{"one", "two", "three"} {
				b, err := fs[i].Await(ctx)
				require.NoError(t, err)
				require.Equal(t, want, string(b.Bytes()))
				b.Release()
			}
		})
		require.Zero(t, rt.Stats().Total().BuffersOut)
	}},
	{name: "a sent header stays in its future while the body is sent", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			head := c.SendBytes([]byte("head"))
			untilReady(t, ctx, rt, head)
			body := c.SendBytes([]byte("the body"))
			sent, err := futures.All(head, body).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []int{4, 8}, sent)
		})
		require.Equal(t, "headthe body", readFull(t, peer, 12))
	}},
	{name: "what was written stays in its future while later writes begin", show: func(t *testing.T, rt *proactor.Runtime) {
		f, err := rt.Create(filepath.Join(t.TempDir(), "file")).Await(t.Context())
		require.NoError(t, err)
		_, err = f.Loop().Go(t.Context(), func(ctx context.Context) error {
			var fs []futures.Future[int]
			for i := range 3 {
				w := f.WriteAt(make([]byte, i+1), 0)
				untilReady(t, ctx, rt, w)
				fs = append(fs, w)
			}
			for i, w := range fs {
				n, err := w.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, i+1, n)
			}
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
		_, err = f.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "closed errors are one another and net.ErrClosed", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		c.Abort()
		_, err := c.Closed().Await(t.Context())
		require.NoError(t, err)
		_, closed := c.Recv().Await(t.Context())
		for _, err := range []error{closed, proactor.ErrClosed, futures.ErrClosed} {
			for _, target := range []error{net.ErrClosed, proactor.ErrClosed, futures.ErrClosed} {
				require.ErrorIs(t, err, target)
			}
			require.NotErrorIs(t, err, io.EOF)
		}
	}},
}

var oneLoop = []proactor.Option{proactor.WithLoops(1)}

// serveOne serves one connection, of which use has the other end, and returns
// what the handler returned.
func serveOne(t *testing.T, rt *proactor.Runtime, handler func(context.Context, *proactor.Conn) error, use func(peer *net.TCPConn)) error {
	t.Helper()
	ln := listen(t, rt)
	ended := make(chan error, 1)
	go ln.Serve(t.Context(), func(ctx context.Context, c *proactor.Conn) error {
		err := handler(ctx, c)
		ended <- err
		return err
	})
	use(dial(t, ln.Addr()))
	return <-ended
}

// pairs joins every two leases, and pulls them itself.
func pairs(bufs iter.Seq2[proactor.Buffer, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		next, stop := iter.Pull2(bufs)
		defer stop()
		pair := ""
		for {
			b, err, ok := next()
			if !ok {
				return
			}
			if err == nil {
				pair += string(b.Bytes())
				b.Release()
			}
			if err != nil || len(pair) == 2 {
				if !yield(pair, err) {
					return
				}
				pair = ""
			}
		}
	}
}

// untilReady lets the loop turn until f has its result, which stays in f.
func untilReady[T any](t *testing.T, ctx context.Context, rt *proactor.Runtime, f futures.Future[T]) {
	t.Helper()
	for !f.Ready() {
		_, err := rt.Sleep(0).Await(ctx)
		require.NoError(t, err)
	}
}

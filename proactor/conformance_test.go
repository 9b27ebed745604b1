package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// behaviour is one promise of Conn, Listener or Runtime.
type behaviour struct {
	name string
	show func(t *testing.T, rt *proactor.Runtime)
	opts []proactor.Option

	without faultqueue.Class // of faults that change what it shows
}

// TestConformance shows that every promise holds on every backend.
func TestConformance(t *testing.T) {
	for _, group := range []struct {
		name       string
		behaviours []behaviour
	}{
		{"Recv", receiving}, {"Send", sending}, {"Close", closing}, {"Deadline", expiring},
		{"Listener", listening}, {"Dial", dialing}, {"Packet", packets}, {"Runtime", running}, {"Await", awaiting},
	} {
		t.Run(group.name, func(t *testing.T) { conform(t, group.behaviours) })
	}
}

// conform shows each behaviour on every backend.
func conform(t *testing.T, behaviours []behaviour) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			if *faultSeeds > 0 {
				b.showFaulty(t)
				return
			}
			onEach(t, b.show, b.opts...)
		})
	}
}

// wrote is for what must be written at once.
func wrote(t *testing.T, c io.Writer, s string) {
	t.Helper()
	n, err := io.WriteString(c, s)
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

// received takes the next lease and ends it.
func received(t *testing.T, ctx context.Context, c *proactor.Conn) string {
	t.Helper()
	b, err := c.Recv().Await(ctx)
	require.NoError(t, err)
	defer b.Release()
	return string(b.Bytes())
}

// receivedAll takes leases until it has n bytes.
func receivedAll(t *testing.T, ctx context.Context, c *proactor.Conn, n int) string {
	t.Helper()
	var s strings.Builder
	for s.Len() < n {
		s.WriteString(received(t, ctx, c))
	}
	return s.String()
}

// readFull reads n bytes of the peer.
func readFull(t *testing.T, c io.Reader, n int) string {
	t.Helper()
	p := make([]byte, n)
	_, err := io.ReadFull(c, p)
	require.NoError(t, err)
	return string(p)
}

// aside runs what waits for the peer, off the loop.
func aside(t *testing.T, ctx context.Context, fn func()) {
	t.Helper()
	_, err := futures.Blocking(ctx, func() (struct{}, error) { fn(); return struct{}{}, nil })
	require.NoError(t, err)
}

// closedDown closes c and waits for that.
func closedDown(t *testing.T, c *proactor.Conn) {
	t.Helper()
	require.NoError(t, c.Close())
	_, err := c.Closed().Await(t.Context())
	require.NoError(t, err)
}

// stuffed sends until the peer's and the kernel's buffers are full and the
// send waits.
const stuffed = 64 << 20

var receiving = []behaviour{
	{name: "a lease holds what was sent, until Release", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			wrote(t, peer, "h")
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "h", string(b.Bytes()))
			require.Equal(t, 1, b.Len())
			again := b
			b.Release()
			require.Panics(t, b.Release, "a second Release")
			require.Panics(t, again.Release, "of a copy")
			require.Panics(t, func() { b.Bytes() })
			require.Panics(t, func() { b.Len() })
			require.Panics(t, func() { c.Send(b) })
			require.Panics(t, func() { c.Queue(b) })
		}
		check(t.Context())
		inTask(t, rt, c, check)
		var none proactor.Buffer
		none.Release()
		none.Release()
		require.Empty(t, none.Bytes())
	}},
	{name: "data in bulk comes in larger buffers, while there are any", opts: []proactor.Option{proactor.WithBuffers(4096, 16)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		const size = 1 << 20
		sent := make([]byte, size)
		rand.NewChaCha8([32]byte{7}).Read(sent)
		var writing sync.WaitGroup
		writing.Go(func() { peer.Write(sent) })
		defer writing.Wait()
		var got []byte
		var held []proactor.Buffer // two of eight times the size is all there are: the rest comes in the usual ones
		largest := 0
		for len(got) < size {
			b, err := c.Recv().Await(t.Context())
			require.NoError(t, err)
			largest = max(largest, b.Len())
			got = append(got, b.Bytes()...)
			if b.Len() > 4096 && len(held) < 2 {
				held = append(held, b)
				continue
			}
			b.Release()
		}
		require.True(t, bytes.Equal(sent, got))
		require.Greater(t, largest, 4096)
		require.LessOrEqual(t, largest, 8*4096)
		for _, b := range held {
			b.Release()
		}
		closedDown(t, c)
	}},
	{name: "Send and Queue take the lease", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			wrote(t, peer, "one")
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			f := c.Send(b)
			require.Panics(t, func() { b.Bytes() })
			require.Panics(t, b.Release)
			n, err := f.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 3, n)
			require.Equal(t, "one", readFull(t, peer, 3))

			wrote(t, peer, "two")
			b, err = c.Recv().Await(ctx)
			require.NoError(t, err)
			q := c.Queue(b)
			require.Panics(t, func() { b.Bytes() })
			require.Panics(t, b.Release)
			_, err = q.Await(ctx)
			require.NoError(t, err)
		}
		check(t.Context())
		require.Equal(t, "two", readFull(t, peer, 3))
		inTask(t, rt, c, check)
		require.Equal(t, "two", readFull(t, peer, 3))
	}},
	{name: "the lease is the holder's to change", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			wrote(t, peer, "shout")
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			copy(b.Bytes(), bytes.ToUpper(b.Bytes()))
			wrote(t, peer, "next")
			require.Equal(t, "next", receivedAll(t, ctx, c, 4))
			_, err = c.Send(b).Await(ctx)
			require.NoError(t, err)
		})
		require.Equal(t, "SHOUT", readFull(t, peer, 5))
	}},
	{name: "several Recvs are answered in order", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for range 10 { // both before and after the receive is a multishot
				var fs []futures.Future[proactor.Buffer]
				for range 5 {
					fs = append(fs, c.Recv())
				}
				for i, f := range fs {
					wrote(t, peer, fmt.Sprint(i))
					b, err := f.Await(ctx)
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(i), string(b.Bytes()))
					b.Release()
				}
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a Recv whose data was taken is stale once the next has begun", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			wrote(t, peer, "one")
			f := c.Recv()
			b, err := f.Await(ctx)
			require.NoError(t, err)
			b.Release()
			next := c.Recv()
			_, err = f.Await(ctx)
			require.ErrorContains(t, err, "taken already")
			f.Cancel() // a stale handle cancels nothing
			wrote(t, peer, "two")
			b, err = next.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "two", string(b.Bytes()))
			b.Release()
		})
	}},
	{name: "any goroutine may receive", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "here")
		require.Equal(t, "here", receivedAll(t, t.Context(), c, 4))
		other, otherPeer := acceptedOn(t, rt, 1)
		mine, _ := acceptedOn(t, rt, 0)
		wrote(t, otherPeer, "from another loop")
		inTask(t, rt, mine, func(ctx context.Context) {
			require.Equal(t, "from another loop", receivedAll(t, ctx, other, 17))
		})
	}},
	{name: "io.EOF, again and again", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "last")
		require.NoError(t, peer.CloseWrite())
		require.Equal(t, "last", receivedAll(t, t.Context(), c, 4))
		for range 3 {
			_, err := c.Recv().Await(t.Context())
			require.True(t, err == io.EOF, "%v", err)
			_, err = c.RecvInto(make([]byte, 1)).Await(t.Context())
			require.True(t, err == io.EOF, "%v", err)
		}
		_, err := c.SendBytes([]byte("still")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "still", readFull(t, peer, 5))
	}},
	{name: "a reset is ECONNRESET", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := c.Recv()
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "read", op.Op)
	}},
	{name: "a canceled Recv loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for range 5 {
				f := c.Recv()
				f.Cancel()
				_, err := f.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				require.ErrorIs(t, err, context.Canceled)
				first, second := c.Recv(), c.Recv()
				first.Cancel() // the one in front of another
				_, err = first.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				wrote(t, peer, "kept")
				b, err := second.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "kept", string(b.Bytes()))
				b.Release()
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "cancels that race with data lose nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		const n = 2000
		sent := make(chan error, 1)
		go func() {
			for i := range n {
				if _, err := peer.Write([]byte{byte(i)}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		check := func(ctx context.Context, upTo, from int) int {
			for i := 0; from < upTo; i++ {
				f := c.Recv()
				if i%2 == 0 {
					f.Cancel()
				}
				b, err := f.Await(ctx)
				if err != nil {
					require.ErrorIs(t, err, futures.ErrCanceled)
					continue
				}
				for _, got := range b.Bytes() {
					require.Equal(t, byte(from), got)
					from++
				}
				b.Release()
			}
			return from
		}
		from := check(t.Context(), n/2, 0)
		inTask(t, rt, c, func(ctx context.Context) { check(ctx, n, from) })
		require.NoError(t, <-sent)
	}},
	{name: "a derived context ends a Recv and loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := c.Recv().Await(short)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = c.RecvInto(make([]byte, 8)).Await(short)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			wrote(t, peer, "still there")
			require.Equal(t, "still there", receivedAll(t, ctx, c, 11))

			own, stop := context.WithCancelCause(ctx)
			why := errors.New("changed my mind")
			stop(why)
			_, err = c.Recv().Await(own)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, why)
			wrote(t, peer, "this too")
			require.Equal(t, "this too", receivedAll(t, ctx, c, 8))
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "futures.WithTimeout ends a Recv and loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			_, err := futures.WithTimeout(c.Recv(), time.Millisecond).Await(ctx)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			wrote(t, peer, "late")
			b, err := futures.WithTimeout(c.Recv(), time.Hour).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "late", string(b.Bytes()))
			b.Release()
		}
		check(t.Context())
		inTask(t, rt, c, check)
		eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, func() string { return "the timeouts' timers are left" })
	}},
	{name: "RecvInto fills the caller's memory", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for range 5 {
				p := make([]byte, 8)
				wrote(t, peer, "four")
				n, err := c.RecvInto(p).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "four", string(p[:n]))
				wrote(t, peer, "more than eight")
				rest := ""
				for len(rest) < len("more than eight") {
					n, err = c.RecvInto(p).Await(ctx)
					require.NoError(t, err)
					rest += string(p[:n])
				}
				require.Equal(t, "more than eight", rest)
				n, err = c.RecvInto(nil).Await(ctx)
				require.NoError(t, err)
				require.Zero(t, n)
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "RecvInto and Recv take turns", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for range 5 {
				p, q := make([]byte, 2), make([]byte, 2)
				first, second, third := c.RecvInto(p), c.Recv(), c.RecvInto(q)
				wrote(t, peer, "ab")
				n, err := first.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "ab", string(p[:n]))
				wrote(t, peer, "cd")
				b, err := second.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "cd", string(b.Bytes()))
				b.Release()
				wrote(t, peer, "efgh")
				n, err = third.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "ef", string(q[:n]))
				require.Equal(t, "gh", receivedAll(t, ctx, c, 2))
			}
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a canceled RecvInto has let go of the memory", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			p := []byte("untouched")
			f := c.RecvInto(p)
			_, err := rt.Sleep(0).Await(ctx)
			require.NoError(t, err)
			f.Cancel()
			_, err = f.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			wrote(t, peer, "elsewhere")
			require.Equal(t, "elsewhere", receivedAll(t, ctx, c, 9))
			require.Equal(t, "untouched", string(p))
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "Bufs ranges to the end", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		go func() {
			for i := range 100 {
				fmt.Fprintf(peer, "%d,", i)
			}
			peer.CloseWrite()
		}()
		var got strings.Builder
		read := func(ctx context.Context, upTo int) {
			for b, err := range c.Bufs(ctx) {
				require.NoError(t, err)
				got.Write(b.Bytes())
				b.Release()
				if upTo > 0 && got.Len() >= upTo {
					break // loses nothing
				}
			}
		}
		inTask(t, rt, c, func(ctx context.Context) { read(ctx, 10) })
		read(t.Context(), 20)
		inTask(t, rt, c, func(ctx context.Context) { read(ctx, 0) })
		var want strings.Builder
		for i := range 100 {
			fmt.Fprintf(&want, "%d,", i)
		}
		require.Equal(t, want.String(), got.String())
	}},
	{name: "Bufs gives an error once", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := 0
		for _, err := range c.Bufs(ctx) {
			require.ErrorIs(t, err, context.Canceled)
			n++
		}
		require.Equal(t, 1, n)
	}},
	{name: "the last call of OnRecv is the last, though a deadline has passed", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, peer.CloseWrite())
		_, err := c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
		var calls []error
		inTask(t, rt, c, func(ctx context.Context) {
			c.OnRecv(func(_ proactor.Buffer, err error) { calls = append(calls, err) })
			require.NoError(t, futures.Yield(ctx))
			require.NoError(t, futures.Yield(ctx))
		})
		require.Equal(t, io.EOF, calls[len(calls)-1], "%v", calls)
	}},
	{name: "OnRecv has everything in order, and io.EOF", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "0") // unread when the handler comes
		f := c.Recv()
		f.Cancel()
		f.Await(t.Context())
		got := make(chan string, 1)
		var all strings.Builder
		c.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				got <- all.String() + err.Error()
				return
			}
			all.Write(b.Bytes())
			b.Release()
		})
		// The canceled Recv may have taken the first byte after all.
		v, err := f.Result()
		first := ""
		if err == nil {
			first = string(v.Bytes())
			v.Release()
		}
		for i := range 1000 {
			wrote(t, peer, fmt.Sprint(i%10))
		}
		require.NoError(t, peer.CloseWrite())
		require.Equal(t, "0"+strings.Repeat("0123456789", 100)+"EOF", first+<-got)
	}},
	{name: "Recv beside OnRecv is refused", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		c.OnRecv(func(b proactor.Buffer, _ error) { b.Release() })
		check := func(ctx context.Context) {
			_, err := c.Recv().Await(ctx)
			require.ErrorContains(t, err, "OnRecv")
			_, err = c.RecvInto(make([]byte, 1)).Await(ctx)
			require.ErrorContains(t, err, "OnRecv")
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "a slow reader is paused, and gets everything", without: faultqueue.Endings, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer)
		piece := bytes.Repeat([]byte("p"), 1000)
		const pieces = 500
		for range pieces {
			wrote(t, peer, string(piece))
			if rt.Stats().Total().ReceivesPaused > 0 {
				break
			}
		}
		require.NotZero(t, rt.Stats().Total().ReceivesPaused)
		require.NoError(t, peer.CloseWrite())
		var n int
		inTask(t, rt, c, func(ctx context.Context) {
			for b, err := range c.Bufs(ctx) {
				require.NoError(t, err)
				n += b.Len()
				b.Release()
			}
		})
		require.NotZero(t, n)
		require.Zero(t, n%1000)
	}},
	{name: "receives that find no buffer wait for one", opts: []proactor.Option{proactor.WithBuffers(4096, 4)},
		show: func(t *testing.T, rt *proactor.Runtime) {
			const conns = 12
			var cs []*proactor.Conn
			var peers []*net.TCPConn
			var fs []futures.Future[proactor.Buffer]
			for range conns {
				c, peer := acceptedOn(t, rt, 0)
				fs = append(fs, c.Recv())
				cs, peers = append(cs, c), append(peers, peer)
			}
			// All that comes in while the loop is busy is received at once, and there
			// are not as many buffers.
			busy, written := make(chan struct{}), make(chan struct{})
			rt.Loops()[0].Do(func() { close(busy); <-written })
			<-busy
			for _, peer := range peers {
				wrote(t, peer, "x")
			}
			close(written)
			var held []proactor.Buffer
			for i, o := range futures.AsCompleted(t.Context(), fs...) {
				require.NoError(t, o.Err, "connection %d", i)
				require.Equal(t, "x", string(o.Value.Bytes()))
				held = append(held, o.Value) // which keeps no other from receiving
			}
			require.NotZero(t, rt.Stats().Total().NoBuffers)
			require.NotZero(t, rt.Stats().Total().Copied)
			for _, b := range held {
				b.Release()
			}
			for _, c := range cs {
				closedDown(t, c)
			}
		}},
}

var sending = []behaviour{
	{name: "the result is the number of bytes", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for _, size := range []int{1, 10, 1000, 100_000} {
				n, err := c.SendBytes(make([]byte, size)).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, size, n)
				readFull(t, peer, size)
			}
			n, err := c.SendVector([]byte("one "), nil, []byte("two "), []byte("three")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 13, n)
			require.Equal(t, "one two three", readFull(t, peer, 13))
		}
		check(t.Context())
		inTask(t, rt, c, check)
	}},
	{name: "sending nothing succeeds", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context) {
			for _, f := range []futures.Future[int]{c.SendBytes(nil), c.SendBytes([]byte{}), c.Send(proactor.Buffer{}), c.SendVector(), c.SendVector(nil, nil)} {
				n, err := f.Await(ctx)
				require.NoError(t, err)
				require.Zero(t, n)
			}
			_, err := c.Queue(proactor.Buffer{}).Await(ctx)
			require.NoError(t, err)
		}
		check(t.Context())
		inTask(t, rt, c, func(ctx context.Context) {
			// Between two others, too.
			before := c.SendBytes([]byte("be"))
			none := c.SendBytes(nil)
			after := c.SendBytes([]byte("fore"))
			n, err := none.Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			_, err = after.Await(ctx)
			require.NoError(t, err)
			require.True(t, before.Ready())
		})
		require.Equal(t, "before", readFull(t, peer, 6))
	}},
	{name: "each goroutine's sends keep their order", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		const senders, each = 8, 500
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				var last futures.Future[int]
				for i := range each {
					last = c.SendBytes([]byte{byte(s), byte(i >> 8), byte(i)})
				}
				if _, err := last.Await(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		var next [senders]int
		for range senders * each {
			m := readFull(t, peer, 3)
			s := m[0]
			require.Equal(t, next[s], int(m[1])<<8|int(m[2]), "sender %d", s)
			next[s]++
		}
		all.Wait()
	}},
	{name: "a send does not wait for a large one behind it", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		ctx := t.Context()
		large := make([]byte, 32<<20)
		var small [2]futures.Future[int]
		var behind futures.Future[int]
		queued := make(chan struct{})
		require.True(t, c.Loop().Do(func() { // in one turn: all go out together
			defer close(queued)
			small[0], small[1] = c.SendBytes([]byte("a")), c.SendVector([]byte("b"), []byte("c"))
			behind = c.SendBytes(large)
			c.Queue(c.Loop().Buffer(10))
		}))
		<-queued
		for i, f := range small {
			n, err := f.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 1+i, n)
		}
		require.False(t, behind.Ready(), "nobody reads")
		go io.CopyN(io.Discard, peer, int64(len(large))+13)
		n, err := behind.Await(ctx)
		require.NoError(t, err)
		require.Equal(t, len(large), n)
	}},
	{name: "Send, SendBytes, SendVector and Queue keep their order", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		var want strings.Builder
		inTask(t, rt, c, func(ctx context.Context) {
			lease := func(s string) proactor.Buffer {
				want.WriteString(s)
				wrote(t, peer, s)
				b, err := c.Recv().Await(ctx)
				require.NoError(t, err)
				require.Equal(t, s, string(b.Bytes()))
				return b
			}
			bytesOf := func(s string) []byte { want.WriteString(s); return []byte(s) }
			for i := range 100 {
				b, d := lease(fmt.Sprintf("a%d ", i)), lease(fmt.Sprintf("b%d ", i))
				c.Queue(b)
				c.Send(d)
				c.SendBytes(bytesOf(fmt.Sprintf("c%d ", i)))
				c.SendVector(bytesOf(fmt.Sprintf("d%d", i)), bytesOf(" "))
				e := lease(fmt.Sprintf("e%d ", i))
				_, err := c.Queue(e).Await(ctx)
				require.NoError(t, err)
			}
			c.Close()
		})
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, want.String(), string(got))
	}},
	{name: "a big send reaches a slow reader whole", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		big := make([]byte, 8<<20)
		for i := range big {
			big[i] = byte(i * 7 >> 3)
		}
		f := c.SendBytes(big)
		got := make([]byte, 0, len(big))
		for p := make([]byte, 10_007); len(got) < len(big); runtime.Gosched() {
			n, err := peer.Read(p)
			require.NoError(t, err)
			got = append(got, p[:n]...)
		}
		n, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(big), n)
		require.True(t, bytes.Equal(big, got))
	}},
	{name: "a send cut short tells how much went out", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		check := func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			f := c.SendBytes(make([]byte, stuffed))
			behind := c.SendBytes([]byte("never sent"))
			aside(t, ctx, func() {
				readFull(t, peer, 100_000)
				require.NoError(t, peer.SetLinger(0))
				require.NoError(t, peer.Close())
			})
			n, err := f.Await(ctx)
			gone(t, err)
			require.GreaterOrEqual(t, n, 100_000)
			require.Less(t, n, stuffed)
			n, err = behind.Await(ctx)
			gone(t, err)
			require.Zero(t, n)
			n, err = c.SendBytes([]byte("later")).Await(ctx)
			gone(t, err)
			require.Zero(t, n)
			_, err = c.Queue(proactor.Buffer{}).Await(ctx)
			gone(t, err)
			_, err = c.CloseWrite().Await(ctx)
			gone(t, err)
		}
		check(t.Context(), c, peer)
		c, peer = accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) { check(ctx, c, peer) })
	}},
	{name: "sends to a peer that has closed fail", without: faultqueue.ShortWrites, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, peer.Close())
		inTask(t, rt, c, func(ctx context.Context) {
			for {
				// The first may go out before the peer's reset comes in.
				n, err := c.SendBytes([]byte("anyone?")).Await(ctx)
				if err == nil {
					require.Equal(t, 7, n)
					continue
				}
				gone(t, err)
				require.Zero(t, n)
				return
			}
		})
	}},
	{name: "a canceled send ends the sending", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := c.SendBytes(make([]byte, stuffed))
		readFull(t, peer, 1) // some of it is under way
		f.Cancel()
		n, err := f.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.Positive(t, n)
		require.Less(t, n, stuffed)
		_, err = c.SendBytes([]byte("x")).Await(t.Context())
		require.Error(t, err, "the stream has a hole")
	}},
	{name: "a send canceled in line takes nothing else with it", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		big := make([]byte, stuffed)
		var unwanted futures.Future[int]
		var first, last futures.Future[int]
		inTask(t, rt, c, func(ctx context.Context) {
			first = c.SendBytes(big)
			_, err := rt.Sleep(0).Await(ctx)
			require.NoError(t, err)
			unwanted = c.SendBytes([]byte("unwanted"))
			last = c.SendBytes([]byte("wanted"))
			unwanted.Cancel()
			n, err := unwanted.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.Zero(t, n)
		})
		n, err := io.CopyN(io.Discard, peer, stuffed)
		require.NoError(t, err)
		require.EqualValues(t, stuffed, n)
		require.Equal(t, "wanted", readFull(t, peer, 6))
		for f, want := range map[futures.Future[int]]int{first: stuffed, last: 6} {
			n, err := f.Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	}},
	{name: "Queue waits above the high-water mark, and goes on below", opts: []proactor.Option{proactor.WithHighWater(64 << 10)},
		show: func(t *testing.T, rt *proactor.Runtime) {
			from, source := accepted(t, rt)
			to, sink := accepted(t, rt)
			require.NoError(t, sink.SetReadBuffer(64<<10)) // or the sockets may take all of it
			var fed atomic.Int64
			go func() {
				piece := make([]byte, 32<<10)
				for fed.Load() < stuffed {
					n, err := source.Write(piece)
					if err != nil {
						t.Error(err)
						return
					}
					fed.Add(int64(n))
				}
				source.CloseWrite()
			}()
			waited := make(chan struct{})
			done := make(chan error, 1)
			go func() {
				once := sync.OnceFunc(func() { close(waited) })
				for b, err := range from.Bufs(context.Background()) {
					if err != nil {
						done <- err
						return
					}
					f := to.Queue(b)
					short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					_, err = f.Await(short)
					cancel()
					if errors.Is(err, context.DeadlineExceeded) {
						once()
						_, err = f.Await(context.Background())
					}
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			<-waited
			require.Less(t, fed.Load(), int64(stuffed), "the queue took all of it")
			n, err := io.CopyN(io.Discard, sink, stuffed)
			require.NoError(t, err)
			require.EqualValues(t, stuffed, n)
			require.NoError(t, <-done)
		}},
	{name: "errors of Queue show at the next operation", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			wrote(t, peer, "x")
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			require.NoError(t, peer.SetLinger(0))
			require.NoError(t, peer.Close())
			_, err = c.Recv().Await(ctx)
			require.Error(t, err) // the reset has come in
			c.Queue(b)
			for err = nil; err == nil; {
				_, err = c.SendBytes([]byte("y")).Await(ctx)
			}
			gone(t, err)
		})
	}},
	{name: "CloseWrite: the peer sees the end, and still sends", show: func(t *testing.T, rt *proactor.Runtime) {
		check := func(ctx context.Context, c *proactor.Conn, peer *net.TCPConn) {
			sent := c.SendBytes([]byte("last"))
			end := c.CloseWrite()
			_, err := end.Await(ctx)
			require.NoError(t, err)
			_, err = sent.Await(ctx)
			require.NoError(t, err)
			got, err := io.ReadAll(peer)
			require.NoError(t, err)
			require.Equal(t, "last", string(got))
			n, err := c.SendBytes([]byte("more")).Await(ctx)
			require.ErrorIs(t, err, syscall.EPIPE)
			require.Zero(t, n)
			wrote(t, peer, "answer")
			require.Equal(t, "answer", receivedAll(t, ctx, c, 6))
		}
		c, peer := accepted(t, rt)
		check(t.Context(), c, peer)
		c, peer = accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) { check(ctx, c, peer) })
	}},
	{name: "CloseWrite waits for what is queued", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		sent := c.SendBytes(make([]byte, stuffed))
		end := c.CloseWrite()
		_, err := c.SendBytes([]byte("too late")).Await(t.Context())
		require.ErrorIs(t, err, syscall.EPIPE)
		n, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, stuffed, n)
		_, err = sent.Await(t.Context())
		require.NoError(t, err)
		_, err = end.Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "the peer's half-close leaves our side open", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer)
		require.NoError(t, peer.CloseWrite())
		_, err := c.Recv().Await(t.Context())
		require.Equal(t, io.EOF, err)
		go func() {
			for range 10 {
				c.SendBytes(make([]byte, 100_000)).Await(context.Background())
			}
			c.Close()
		}()
		n, err := io.Copy(io.Discard, peer)
		require.NoError(t, err)
		require.EqualValues(t, 1_000_000, n)
	}},
}

// gone wants the errors of a peer that is not there any more.
func gone(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("want EPIPE or ECONNRESET, got %v", err)
	}
}

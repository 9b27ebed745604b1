package proactor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

func TestConformanceZeroCopy(t *testing.T) {
	conform(t, zeroCopying)
	t.Run("by size", func(t *testing.T) {
		conform(t, []behaviour{{name: "from a size on", show: bySize, opts: []proactor.Option{proactor.WithZeroCopy(1000)}}})
	})
}

// pattern is bytes of which no run repeats soon.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7>>3) ^ byte(i>>13)
	}
	return p
}

var zeroCopying = []behaviour{
	{name: "SendZeroCopy sends all of it, in its place", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		big := pattern(1 << 20)
		bothWays(t, rt, c, func(ctx context.Context) {
			var all []futures.Future[int]
			for i := range 10 {
				c.SendBytes(fmt.Appendf(nil, "before %d ", i))
				all = append(all, c.SendZeroCopy(big))
				c.SendVector([]byte("be"), []byte("hind "))
			}
			aside(t, ctx, func() {
				for i := range 10 {
					require.Equal(t, fmt.Sprintf("before %d ", i), readFull(t, peer, 9))
					require.True(t, readFull(t, peer, len(big)) == string(big))
					require.Equal(t, "behind ", readFull(t, peer, 7))
				}
			})
			for _, f := range all {
				n, err := f.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, len(big), n)
			}
		})
	}},
	{name: "SendZeroCopy of nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		bothWays(t, rt, c, func(ctx context.Context) {
			n, err := c.SendZeroCopy(nil).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}},
	{name: "SendZeroCopy where nothing can is a send", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := socketPair(t, rt, "unix")
		packets, other := socketPair(t, rt, "unixpacket")
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		bothWays(t, rt, c, func(ctx context.Context) {
			c.SendBytes([]byte("one "))
			f := c.SendZeroCopy([]byte("two "))
			last := c.SendBytes([]byte("three"))
			n, err := f.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			_, err = last.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "one two three", readFull(t, peer, 13))
		})
		bothWays(t, rt, packets, func(ctx context.Context) {
			n, err := packets.SendZeroCopy([]byte("message")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 7, n)
			p := make([]byte, 100)
			n, err = other.Read(p)
			require.NoError(t, err)
			require.Equal(t, "message", string(p[:n]))
		})
		n, err := w.SendZeroCopy([]byte("pipe")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Equal(t, "pipe", receivedAll(t, t.Context(), r, 4))
	}},
	{name: "SendZeroCopy cut short tells how much went out", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := slowly(t, rt)
		f, behind := c.SendZeroCopy(make([]byte, uncopied)), c.SendZeroCopy([]byte("never sent"))
		readFull(t, peer, 100_000)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		n, err := f.Await(t.Context())
		gone(t, err)
		require.GreaterOrEqual(t, n, 100_000)
		require.Less(t, n, uncopied)
		n, err = behind.Await(t.Context())
		gone(t, err)
		require.Zero(t, n)
	}},
	{name: "Close of a net.Conn between the end of a Write and its result", opts: []proactor.Option{proactor.WithZeroCopy(1000)}, show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := slowly(t, rt)
		n, loop := c.NetConn(t.Context()), c.Loop()
		before, _ := acceptedOn(t, rt, slices.Index(rt.Loops(), loop))
		behind, _ := acceptedOn(t, rt, slices.Index(rt.Loops(), loop))
		release := occupy(t, loop) // all three are submitted by one call
		written := make(chan error, 1)
		for _, begin := range []func(){
			func() { before.SendBytes([]byte("x")).Then(func(int, error) { n.Close() }) },
			func() {
				_, err := n.Write(make([]byte, 120<<10)) // the peer has no room for all of it
				written <- err
			},
			func() { behind.SendBytes([]byte("x")).Then(func(int, error) { n.Close() }) },
		} {
			posted := proactor.Posted(loop)
			go begin()
			eventually(t, func() bool { return proactor.Posted(loop) > posted }, func() string { return "nothing was posted" })
		}
		release()
		if err := <-written; err != nil { // a socket that cannot send without copying has taken it
			require.ErrorIs(t, err, net.ErrClosed)
		}
		closedDown(t, c)
	}},
	{name: "SendZeroCopy canceled", without: faultqueue.Shortages, show: func(t *testing.T, rt *proactor.Runtime) {
		for _, where := range []string{"outside", "inside"} {
			c, peer := slowly(t, rt)
			check := func(ctx context.Context) {
				f, queued := c.SendZeroCopy(make([]byte, uncopied)), c.SendZeroCopy([]byte("queued"))
				queued.Cancel()
				n, err := queued.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				require.Zero(t, n)
				aside(t, ctx, func() { readFull(t, peer, 1) }) // the socket has part of it
				limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				_, err = f.Await(limited)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				_, err = c.Closed().Await(ctx) // it was reset
				require.NoError(t, err)
			}
			if where == "outside" {
				check(t.Context())
			} else {
				inTask(t, rt, c, check)
			}
			c.Abort()
		}
	}},
	{name: "SendZeroCopy canceled when the socket has all of it", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 100 {
			c, peer := accepted(t, rt)
			f := c.SendZeroCopy([]byte("hello"))
			require.Equal(t, "hello", readFull(t, peer, 5))
			f.Cancel()
			n, err := f.Await(t.Context())
			require.Equal(t, 5, n)
			if err != nil { // came before the notification
				require.ErrorIs(t, err, futures.ErrCanceled)
				_, err = c.Closed().Await(t.Context())
				require.NoError(t, err)
			}
			c.Close()
			peer.Close()
		}
	}},
	{name: "SendZeroCopy past its deadline", without: faultqueue.Shortages, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := slowly(t, rt)
		f := c.SendZeroCopy(make([]byte, uncopied))
		readFull(t, peer, 1) // the socket has part of it
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "SendZeroCopy and Close", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		big := pattern(4 << 20)
		f := c.SendZeroCopy(big)
		require.NoError(t, c.Close())
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.True(t, bytes.Equal(big, got))
		n, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(big), n)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		_, err = c.SendZeroCopy(big).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, "write", op.Op)
	}},
	{name: "SendZeroCopy and Abort", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := slowly(t, rt)
		f := c.SendZeroCopy(make([]byte, uncopied))
		c.Abort()
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "SendZeroCopy and CloseWrite", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		f := c.SendZeroCopy([]byte("all"))
		_, err := c.CloseWrite().Await(t.Context())
		require.NoError(t, err)
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "all", string(got))
		n, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)
		_, err = c.SendZeroCopy([]byte("more")).Await(t.Context())
		require.ErrorIs(t, err, syscall.EPIPE)
	}},
	{name: "SendZeroCopy and the end of the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := slowly(t, rt)
		f := c.SendZeroCopy(make([]byte, uncopied))
		require.NoError(t, rt.Close())
		_, err := f.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

// bySize has long sends go without copying, leases included, and short ones not.
func bySize(t *testing.T, rt *proactor.Runtime) {
	c, peer := slowly(t, rt)
	long := strings.Repeat("long ", 1000)
	inTask(t, rt, c, func(ctx context.Context) {
		for range 20 {
			wrote(t, peer, long)
			for n := 0; n < len(long); {
				b, err := c.Recv().Await(ctx)
				require.NoError(t, err)
				n += b.Len()
				_, err = c.Send(b).Await(ctx)
				require.NoError(t, err)
			}
			_, err := c.SendBytes([]byte("short")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, long+"short", readFull(t, peer, len(long)+5))
		}
	})
	rt2, err := proactor.New(proactor.WithZeroCopy(-1))
	require.Nil(t, rt2)
	require.ErrorContains(t, err, "-1 bytes")
}

func TestSendZeroCopyAllocatesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if raceEnabled {
			t.Skip("the race detector allocates")
		}
		c, peer := slowly(t, rt)
		// Much at a time: little would wait for a delayed acknowledgement.
		p, in := make([]byte, 256<<10), make([]byte, 64<<10)
		go func() {
			for err := error(nil); err == nil; {
				_, err = peer.Read(in)
			}
		}()
		inTask(t, rt, c, func(ctx context.Context) {
			once := func() {
				if _, err := c.SendZeroCopy(p).Await(ctx); err != nil {
					panic(err)
				}
			}
			for range 100 {
				once()
			}
			require.Zero(t, testing.AllocsPerRun(200, once))
		})
		closedDown(t, c)
	})
}

func ExampleConn_SendZeroCopy() {
	rt := must(proactor.New())
	defer rt.Close()
	ln := must(rt.Listen("tcp", "127.0.0.1:0"))
	c := must(rt.Dial(context.Background(), "tcp", ln.Addr().String()).Await(context.Background()))
	peer := must(ln.Accept().Await(context.Background()))
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sent := c.SendZeroCopy(big) // big is the library's
	received := 0
	for received < len(big) {
		buf := must(peer.Recv().Await(context.Background()))
		received += buf.Len()
		buf.Release()
	}
	n := must(sent.Await(context.Background())) // and ours again
	clear(big)
	fmt.Println(n, received)
	// Output: 1048576 1048576
}

// BenchmarkSend compares a copy with none, over loopback, where the kernel copies
// in any case: what remains is what it costs to do without.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20} {
		for _, how := range []string{"copy", "zero copy"} {
			b.Run(fmt.Sprintf("%s/%dK", how, size>>10), func(b *testing.B) {
				rt, err := proactor.New(proactor.WithBackend(proactor.IOUring), proactor.WithLoops(1))
				if err != nil {
					b.Skip(err)
				}
				defer rt.Close()
				ln := must(rt.Listen("tcp", "127.0.0.1:0"))
				peer := must(net.Dial("tcp", ln.Addr().String()))
				defer peer.Close()
				c := must(ln.Accept().Await(b.Context()))
				go io.Copy(io.Discard, peer)
				p := make([]byte, size)
				const inFlight = 8
				b.SetBytes(int64(size))
				start := cpuTime()
				_, err = c.Loop().Go(b.Context(), func(ctx context.Context) error {
					var sent [inFlight]futures.Future[int]
					for i := range b.N {
						if i >= inFlight {
							if _, err := sent[i%inFlight].Await(ctx); err != nil {
								return err
							}
						}
						if how == "copy" {
							sent[i%inFlight] = c.SendBytes(p)
						} else {
							sent[i%inFlight] = c.SendZeroCopy(p)
						}
					}
					return nil
				}).Await(context.Background())
				require.NoError(b, err)
				b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/1e3, "cpu-µs/op")
			})
		}
	}
}

// cpuTime is the processor time of the process so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// uncopied sends until the buffers of a connection of slowly are full and the
// send waits. It is less than an ordinary user may lock (RLIMIT_MEMLOCK, 8 MiB),
// which memory that is sent without copying counts against: beyond that it is a
// send like any other.
const uncopied = 4 << 20

// slowly is accepted, of a peer that takes little before it reads. The sending socket does
// not grow: with the usual settings it could in the end hold all of uncopied.
func slowly(t *testing.T, rt *proactor.Runtime) (*proactor.Conn, *net.TCPConn) {
	t.Helper()
	c, peer := accepted(t, rt)
	require.NoError(t, peer.SetReadBuffer(1<<14))
	require.NoError(t, c.SetWriteBuffer(1<<17))
	return c, peer
}

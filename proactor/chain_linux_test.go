package proactor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceChain(t *testing.T) { conform(t, chaining) }

// count is a result without an error.
func count(n int) proactor.StepResult { return proactor.StepResult{N: n} }

var chaining = []behaviour{
	{name: "connect, send, receive", show: func(t *testing.T, rt *proactor.Runtime) {
		tcp := serve(t, rt, echo)
		abstract := abstractName("chain-" + rt.Backend().Backend.String())
		ln, err := rt.Listen("unix", abstract)
		require.NoError(t, err)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
			c.OnRecv(func(b proactor.Buffer, err error) {
				if err != nil {
					c.Close()
					return
				}
				c.Queue(b)
			})
		}))
		defer ln.Close()
		ours, _ := accepted(t, rt)
		for network, address := range map[string]string{"tcp": tcp.String(), "unix": abstract} {
			bothWays(t, rt, ours, func(ctx context.Context) {
				c, connect, err := rt.Unconnected(network, address)
				require.NoError(t, err)
				p := make([]byte, 5)
				results, err := rt.Chain(connect, c.SendStep([]byte("hello")), c.RecvFullStep(p)).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, []proactor.StepResult{count(0), count(5), count(5)}, results)
				require.Equal(t, "hello", string(p))
				require.Equal(t, address, c.RemoteAddr().String())
				// It is a connection like any other.
				_, err = c.SendBytes([]byte("more")).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "more", receivedAll(t, ctx, c, 4))
				results, err = rt.Chain(c.SendStep([]byte("again")), c.RecvStep(p)).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "again"[:results[1].N], string(p[:results[1].N]))
				require.NoError(t, c.Close())
			})
		}
	}},
	{name: "the first failure cancels the rest", show: func(t *testing.T, rt *proactor.Runtime) {
		ours, _ := accepted(t, rt)
		nobody := refusing(t)
		bothWays(t, rt, ours, func(ctx context.Context) {
			c, connect, err := rt.Unconnected("tcp", nobody.String())
			require.NoError(t, err)
			results, err := rt.Chain(connect, c.SendStep([]byte("hello")), c.RecvStep(make([]byte, 5))).Await(ctx)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.ErrorAs(t, err, new(*net.OpError))
			require.Equal(t, err, results[0].Err)
			require.Equal(t, futures.ErrCanceled, results[1].Err)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			require.NoError(t, c.Close())
		})
	}},
	{name: "the end of the stream cuts a chain", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "hal")
		require.NoError(t, peer.CloseWrite())
		p := make([]byte, 5)
		results, err := rt.Chain(c.SendStep([]byte("x")), c.RecvFullStep(p), c.SendStep([]byte("never"))).Await(t.Context())
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, 3, results[1].N)
		require.Equal(t, futures.ErrCanceled, results[2].Err)
		results, err = rt.Chain(c.RecvStep(p), c.SendStep([]byte("never"))).Await(t.Context())
		require.Equal(t, io.EOF, err)
		require.Equal(t, futures.ErrCanceled, results[1].Err)
		_, err = c.SendBytes([]byte("y")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "xy", readFull(t, peer, 2))
	}},
	{name: "sends keep their order around a chain", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		want := ""
		bothWays(t, rt, c, func(ctx context.Context) {
			var all []futures.Future[int]
			var chains []futures.Future[[]proactor.StepResult]
			send := func(s string) { want += s; all = append(all, c.SendBytes([]byte(s))) }
			for range 20 {
				send("a")
				send("b")
				want += "CD"
				chains = append(chains, rt.Chain(c.SendStep([]byte("C")), c.SendStep([]byte("D"))))
				send("e")
			}
			for _, f := range chains {
				_, err := f.Await(ctx)
				require.NoError(t, err)
			}
			_, err := all[len(all)-1].Await(ctx)
			require.NoError(t, err)
		})
		require.Equal(t, want, readFull(t, peer, len(want)))
	}},
	{name: "a chain behind a send that waits", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		first := c.SendBytes(make([]byte, stuffed))
		unwanted := rt.Chain(c.SendStep([]byte("unwanted")))
		chain := rt.Chain(c.SendStep([]byte("chain")))
		last := c.SendBytes([]byte("last"))
		unwanted.Cancel()
		_, err := unwanted.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.False(t, chain.Ready())
		_, err = io.CopyN(io.Discard, peer, stuffed)
		require.NoError(t, err)
		require.Equal(t, "chainlast", readFull(t, peer, 9))
		_, err = first.Await(t.Context())
		require.NoError(t, err)
		_, err = chain.Await(t.Context())
		require.NoError(t, err)
		_, err = last.Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "a chain is canceled, and ends with deadlines and Close", show: func(t *testing.T, rt *proactor.Runtime) {
		var chain futures.Future[[]proactor.StepResult]
		for name, end := range map[string]func(c *proactor.Conn) error{
			"cancel":   func(*proactor.Conn) error { chain.Cancel(); return futures.ErrCanceled },
			"deadline": func(c *proactor.Conn) error { c.SetReadDeadline(soon()); return os.ErrDeadlineExceeded },
			"close":    func(c *proactor.Conn) error { c.SetDeadline(soon()); c.Close(); return os.ErrDeadlineExceeded },
			"abort":    func(c *proactor.Conn) error { c.Abort(); return net.ErrClosed },
		} {
			c, peer := accepted(t, rt)
			chain = rt.Chain(c.SendStep([]byte("ask")), c.RecvStep(make([]byte, 1)), c.SendStep([]byte("never")))
			require.Equal(t, "ask", readFull(t, peer, 3))
			want := end(c)
			results, err := chain.Await(t.Context())
			require.ErrorIs(t, err, want, name)
			require.NoError(t, results[0].Err)
			require.Error(t, results[1].Err)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			c.Close()
			_, err = c.Closed().Await(t.Context())
			require.NoError(t, err)
			_, err = rt.Chain(c.SendStep([]byte("x"))).Await(t.Context())
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = rt.Chain(c.RecvStep(make([]byte, 1))).Await(t.Context())
			require.ErrorIs(t, err, net.ErrClosed)
		}
	}},
	{name: "cancels that race with the chain", show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		go func() {
			p := make([]byte, 1)
			for {
				if _, err := io.ReadFull(peer, p); err != nil {
					return
				}
				peer.Write(p)
			}
		}()
		for i := range 500 {
			p := make([]byte, 1)
			f := rt.Chain(c.SendStep([]byte{byte(i)}), c.RecvStep(p))
			go f.Cancel()
			results, err := f.Await(t.Context())
			if err == nil {
				require.Equal(t, byte(i), p[0])
				continue
			}
			require.ErrorIs(t, err, futures.ErrCanceled)
			if results[0].N == 1 { // the answer is still to come
				require.Equal(t, string([]byte{byte(i)}), received(t, t.Context(), c))
			}
		}
	}},
	{name: "who may receive beside a chain", without: faultqueue.Interrupts | faultqueue.Shortages | faultqueue.Endings, show: func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer) // a multishot is armed and must give way
		p := make([]byte, 1)
		chain := rt.Chain(c.SendStep([]byte("1")), c.RecvFullStep(p))
		require.Equal(t, "1", readFull(t, peer, 1))
		f := c.Recv() // its turn comes when the chain has ended
		_, err := rt.Chain(c.RecvStep(p)).Await(t.Context())
		require.ErrorContains(t, err, "another receive")
		wrote(t, peer, "2")
		_, err = chain.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "2", string(p))
		wrote(t, peer, "3")
		b, err := f.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "3", string(b.Bytes()))
		b.Release()

		f = c.Recv()
		_, err = rt.Chain(c.RecvStep(p)).Await(t.Context())
		require.ErrorContains(t, err, "another receive")
		f.Cancel()
		_, err = f.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		wrote(t, peer, "unasked") // the receive of the canceled Recv takes it
		eventually(t, func() bool { return rt.Stats().Total().BuffersOut > 0 }, rt.Describe)
		_, err = rt.Chain(c.RecvStep(p)).Await(t.Context())
		require.ErrorContains(t, err, "is unread")
		require.Equal(t, "unasked", receivedAll(t, t.Context(), c, 7))
		c.OnRecv(func(b proactor.Buffer, _ error) { b.Release() })
		_, err = rt.Chain(c.RecvStep(p)).Await(t.Context())
		require.ErrorContains(t, err, "OnRecv")
	}},
	{name: "any operation: open, read, close", without: faultqueue.Interrupts | faultqueue.ShortReads | faultqueue.Shortages, show: func(t *testing.T, rt *proactor.Runtime) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		c, _ := accepted(t, rt)
		bothWays(t, rt, c, func(ctx context.Context) {
			wrote(t, w, "content")
			p := make([]byte, 7)
			// An accept stands for the open: an operation that makes a descriptor.
			ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
			require.NoError(t, err)
			defer ln.Close()
			listener, err := ln.(*net.UnixListener).File()
			require.NoError(t, err)
			defer listener.Close()
			peer, err := net.Dial("unix", ln.Addr().String())
			require.NoError(t, err)
			defer peer.Close()
			wrote(t, peer, "content")
			number := int(listener.Fd())
			open := proactor.Operation("accept4", func(sqe *ring.SQE) { sqe.PrepAccept(number, unix.SOCK_CLOEXEC) })
			read := proactor.OperationAfter("read", func(sqe *ring.SQE, before []proactor.StepResult) { sqe.PrepRead(before[0].N, p) })
			end := proactor.OperationAfter("close", func(sqe *ring.SQE, before []proactor.StepResult) { sqe.PrepClose(before[0].N) })
			there := openDescriptors(t)
			results, err := rt.Chain(open, read.Full(7), end.Always()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, count(7), results[1])
			require.Equal(t, "content", string(p))
			eventually(t, func() bool { return openDescriptors(t) <= there }, func() string { return "not closed" })

			// The close runs although the read fails.
			peer, err = net.Dial("unix", ln.Addr().String())
			require.NoError(t, err)
			wrote(t, peer, "short")
			results, err = rt.Chain(open, read.Full(7), read, end.Always()).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, 5, results[1].N)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			require.NoError(t, results[3].Err)
			require.NoError(t, peer.Close())
			_ = r
			q := make([]byte, 7)
			_, err = io.ReadFull(r, q)
			require.NoError(t, err)
			eventually(t, func() bool { return openDescriptors(t) <= there }, func() string { return "not closed" })
		})
	}},
	{name: "a write and what follows it on a pipe", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w, err := rt.Pipe()
		require.NoError(t, err)
		p := make([]byte, 4)
		results, err := rt.Chain(w.SendStep([]byte("pipe")), r.RecvStep(p)).Await(t.Context())
		if err != nil { // the ends may be on different loops
			require.ErrorContains(t, err, "different loops")
			return
		}
		require.Equal(t, []proactor.StepResult{count(4), count(4)}, results)
		require.Equal(t, "pipe", string(p))
	}},
	{name: "bounds", show: func(t *testing.T, rt *proactor.Runtime) {
		nop := proactor.Operation("nop", func(sqe *ring.SQE) { sqe.PrepNop() })
		steps := func(n int) (s []proactor.Step) {
			for range n {
				s = append(s, nop)
			}
			return s
		}
		ctx := t.Context()
		results, err := rt.Chain(steps(1024)...).Await(ctx)
		require.NoError(t, err)
		require.Len(t, results, 1024)
		results, err = rt.Chain(steps(1025)...).Await(ctx)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "chain of 1025")
		require.Equal(t, futures.ErrCanceled, results[1024].Err)
		results, err = rt.Chain().Await(ctx)
		require.NoError(t, err)
		require.Empty(t, results)
		_, err = rt.Chain(proactor.Step{}).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		c, _ := acceptedOn(t, rt, 0)
		d, _ := acceptedOn(t, rt, 1)
		_, err = rt.Chain(c.SendStep(nil), d.SendStep(nil)).Await(ctx)
		require.ErrorContains(t, err, "different loops")
		_, err = rt.Chain(c.RecvStep(nil)).Await(ctx)
		require.ErrorIs(t, err, syscall.EINVAL)
		_, _, err = rt.Unconnected("pigeon", "x")
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
		_, _, err = rt.Unconnected("tcp", "localhost:http")
		require.Error(t, err)
		_, _, err = rt.Unconnected("tcp4", "[::1]:80")
		require.Error(t, err)
		_, _, err = rt.Unconnected("unix", "")
		require.ErrorIs(t, err, syscall.EINVAL)
	}},
	{name: "Close ends chains", show: func(t *testing.T, rt *proactor.Runtime) {
		var all sync.WaitGroup
		for range 20 {
			c, _ := accepted(t, rt)
			chain := rt.Chain(c.SendStep([]byte("x")), c.RecvStep(make([]byte, 1)))
			all.Go(func() {
				if _, err := chain.Await(context.Background()); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v", err)
				}
			})
		}
		require.NoError(t, rt.Close())
		all.Wait()
		_, err := rt.Chain(proactor.Operation("nop", func(sqe *ring.SQE) { sqe.PrepNop() })).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "a chain with a time limit", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		_, err := futures.WithTimeout(rt.Chain(c.SendStep([]byte("x")), c.RecvStep(make([]byte, 1))), time.Millisecond).Await(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}},
}

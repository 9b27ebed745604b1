package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceForwardBulk(t *testing.T) { conform(t, forwardingBulk) }

// bulk is how much makes a Forward go over to splices, and leaves some for them.
const bulk = 8 << 20

// sendAll sends data, and reports when it is done.
func sendAll(c net.Conn, data []byte) <-chan error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- err
	}()
	return sent
}

// passesBulk sends bulk from a and wants it at b.
func passesBulk(t *testing.T, a, b net.Conn) {
	t.Helper()
	data := pattern(bulk)
	sent := sendAll(a, data)
	got := make([]byte, len(data))
	_, err := io.ReadFull(b, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.NoError(t, <-sent)
}

// stuck has a send until nobody takes more: the Forward then mostly waits for room, with
// its pipe full.
func stuck(t *testing.T, a net.Conn) {
	t.Helper()
	if c, ok := a.(*net.TCPConn); ok { // where tcp_wmem and tcp_rmem are large, it would all have room
		require.NoError(t, c.SetWriteBuffer(64<<10))
	}
	require.NoError(t, a.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := io.CopyN(a, zeros{}, stuffed)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// pump sends until there is over: a Forward that waits for nothing but data learns of
// what became of dst when it sends.
func pump(a net.Conn, there futures.Future[int64]) {
	for err := error(nil); !there.Ready() && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)); {
		a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = a.Write(make([]byte, 1<<10))
	}
}

var forwardingBulk = []behaviour{
	{name: "bulk and small by turns, both ways at once", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 4 { // on one loop and across
			there, back, a, b, _ := forwarded(t, rt)
			var all sync.WaitGroup
			exchange := func(from, to *net.TCPConn, seed uint64) {
				chance := rand.New(rand.NewPCG(seed, 1))
				var pieces [][]byte
				for range 12 {
					pieces = append(pieces, pattern(1+chance.IntN(4<<20>>(3*chance.IntN(8)))))
				}
				all.Go(func() {
					for _, p := range pieces {
						if _, err := from.Write(p); err != nil {
							t.Error(err)
						}
					}
					from.CloseWrite()
				})
				all.Go(func() {
					got, err := io.ReadAll(to)
					if err != nil || !bytes.Equal(got, bytes.Join(pieces, nil)) {
						t.Error("other bytes, or an error", err, len(got))
					}
				})
			}
			exchange(a, b, 1)
			exchange(b, a, 2)
			all.Wait()
			_, err := there.Await(t.Context())
			require.NoError(t, err)
			_, err = back.Await(t.Context())
			require.NoError(t, err)
		}
	}},
	{name: "bulk between Unix sockets", show: func(t *testing.T, rt *proactor.Runtime) {
		c, a := socketPair(t, rt, "unix")
		d, b := socketPair(t, rt, "unix")
		c.Forward(d)
		d.Forward(c)
		passesBulk(t, a, b)
		passesBulk(t, b, a)
	}},
	{name: "bulk behind a multishot, and again", show: func(t *testing.T, rt *proactor.Runtime) {
		_, _, a, b, _ := forwarded(t, rt)
		for range 5 {
			for range 10 {
				wrote(t, a, "small")
				require.Equal(t, "small", readFull(t, b, 5))
			}
			passesBulk(t, a, b)
		}
	}},
	{name: "many at once, more than there are pipes", show: func(t *testing.T, rt *proactor.Runtime) {
		var all sync.WaitGroup
		for range 150 {
			_, _, a, b, _ := forwarded(t, rt)
			sent := sendAll(a, make([]byte, bulk)) // more than the sockets hold
			all.Go(func() {
				if n, err := io.CopyN(io.Discard, b, bulk); err != nil {
					t.Error(n, err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}},
	{name: "other sends between the pieces", show: func(t *testing.T, rt *proactor.Runtime) {
		_, _, a, b, conns := forwarded(t, rt)
		sent := sendAll(a, make([]byte, bulk))
		own := bytes.Repeat([]byte{1}, 1000)
		var all []futures.Future[int]
		for range 50 {
			all = append(all, conns[1].SendBytes(own))
		}
		got := make([]byte, bulk+50*len(own))
		_, err := io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, 50*len(own), bytes.Count(got, []byte{1}))
		require.Equal(t, 50, bytes.Count(got, own), "each is whole")
		_, err = futures.All(all...).Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-sent)
	}},
	{name: "a peer that goes away", show: func(t *testing.T, rt *proactor.Runtime) {
		there, _, a, b, _ := forwarded(t, rt)
		passesBulk(t, a, b)
		stuck(t, a)
		require.NoError(t, b.SetLinger(0))
		require.NoError(t, b.Close())
		pump(a, there)
		n, err := there.Await(t.Context())
		gone(t, err)
		require.GreaterOrEqual(t, n, int64(bulk))
	}},
	{name: "a peer that resets in the middle", show: func(t *testing.T, rt *proactor.Runtime) {
		there, _, a, b, _ := forwarded(t, rt)
		passesBulk(t, a, b)
		require.NoError(t, a.SetLinger(0))
		require.NoError(t, a.Close())
		n, err := there.Await(t.Context())
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.EqualValues(t, bulk, n)
	}},
	{name: "canceled while nothing comes, and while dst takes no more", show: func(t *testing.T, rt *proactor.Runtime) {
		there, _, a, b, conns := forwarded(t, rt)
		passesBulk(t, a, b)
		there.Cancel()
		n, err := there.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.EqualValues(t, bulk, n)
		wrote(t, a, "kept")
		require.Equal(t, "kept", receivedAll(t, t.Context(), conns[0], 4), "what comes later is there")

		again := conns[0].Forward(conns[1])
		passesBulk(t, a, b)
		stuck(t, a)
		again.Cancel()
		_, err = again.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
	}},
	{name: "idle while dst takes no more", show: func(t *testing.T, rt *proactor.Runtime) {
		c, a := accepted(t, rt)
		d, _ := accepted(t, rt)
		there := c.Forward(d, proactor.ForwardIdleTimeout(100*time.Millisecond))
		stuck(t, a)
		_, err := there.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrIdle)
	}},
	{name: "deadlines", show: func(t *testing.T, rt *proactor.Runtime) {
		there, _, a, b, conns := forwarded(t, rt)
		passesBulk(t, a, b)
		require.NoError(t, conns[0].SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err := there.Await(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, conns[0].SetReadDeadline(time.Time{}))

		there = conns[0].Forward(conns[1])
		stuck(t, a)
		require.NoError(t, conns[1].SetWriteDeadline(time.Now().Add(time.Millisecond)))
		pump(a, there)
		_, err = there.Await(t.Context())
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}},
	{name: "aborts and closes", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, end := range []func(conns [2]*proactor.Conn){
			func(conns [2]*proactor.Conn) { conns[0].Abort() },
			func(conns [2]*proactor.Conn) { conns[1].Abort() },
			func(conns [2]*proactor.Conn) { conns[0].Close(); conns[1].Abort() },
		} {
			for _, full := range []bool{false, true} {
				there, _, a, b, conns := forwarded(t, rt)
				passesBulk(t, a, b)
				if full {
					stuck(t, a)
				}
				end(conns)
				if full {
					conns[1].Abort() // which it waits for
				}
				pump(a, there)
				_, err := there.Await(t.Context())
				require.Error(t, err)
				require.True(t, errors.Is(err, proactor.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), err)
			}
		}
	}},
	{name: "the end of the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		there, back, a, b, _ := forwarded(t, rt)
		passesBulk(t, a, b)
		stuck(t, a)
		require.NoError(t, rt.Close())
		_, err := there.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
		_, err = back.Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "the sockets stay blocking or not as they were", without: faultqueue.Interrupts | faultqueue.Delays, show: func(t *testing.T, rt *proactor.Runtime) {
		_, _, a, b, conns := forwarded(t, rt)
		raw, err := conns[1].NetConn(context.Background()).(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		blocking := func() (is bool) {
			require.NoError(t, raw.Control(func(fd uintptr) { is = isBlocking(t, int(fd)) }))
			return is
		}
		before := blocking()
		passesBulk(t, a, b)
		eventually(t, func() bool { return blocking() == before }, rt.Describe)
	}},
}

func isBlocking(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	require.NoError(t, err)
	return flags&unix.O_NONBLOCK == 0
}

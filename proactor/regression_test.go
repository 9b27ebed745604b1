package proactor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// bounded fails the test when fn takes for ever.
func bounded(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s: never ended\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// accepted returns a connection of a new listener and the client at its other
// end.
func accepted(t *testing.T, rt *proactor.Runtime) (*proactor.Conn, *net.TCPConn) {
	t.Helper()
	ln := listen(t, rt)
	defer ln.Close()
	peer := dial(t, ln.Addr())
	c, err := ln.Accept().Await(t.Context())
	require.NoError(t, err)
	return c, peer
}

// acceptedOn is accepted with a connection of the i-th loop.
func acceptedOn(t *testing.T, rt *proactor.Runtime, i int) (*proactor.Conn, *net.TCPConn) {
	t.Helper()
	for {
		c, peer := accepted(t, rt)
		if c.Loop() == rt.Loops()[i] {
			return c, peer
		}
		peer.Close()
		c.Abort()
	}
}

// inTask runs fn as a task on c's loop and waits for it.
func inTask(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, fn func(ctx context.Context)) {
	t.Helper()
	done := futures.NewPromise[struct{}]()
	require.True(t, c.Loop().Do(func() {
		rt.Go(t.Context(), func(ctx context.Context) error { fn(ctx); return nil }).
			Then(func(_ struct{}, err error) { done.Settle(struct{}{}, err) })
	}))
	_, err := done.Future().Await(context.Background())
	require.NoError(t, err)
}

// exchange makes short messages go from peer to c until a multishot receive is
// armed.
func exchange(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer net.Conn) {
	t.Helper()
	inTask(t, rt, c, func(ctx context.Context) {
		for range 4 {
			_, err := futures.Blocking(ctx, func() (int, error) { return peer.Write([]byte("short")) })
			require.NoError(t, err)
			b, err := c.Recv().Await(ctx)
			require.NoError(t, err)
			b.Release()
		}
		// One more Recv makes sure that the next receive is armed.
		f := c.Recv()
		f.Cancel()
		_, err := f.Await(ctx)
		require.ErrorIs(t, err, futures.ErrCanceled)
	})
}

func TestCloseFlushesPromptlyAfterShortMessages(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer)
		inTask(t, rt, c, func(ctx context.Context) {
			c.SendBytes([]byte("goodbye"))
			c.Close()
		})
		got, err := io.ReadAll(peer)
		require.NoError(t, err)
		require.Equal(t, "goodbye", string(got))
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
	}, proactor.WithDrainTimeout(time.Hour))
}

func TestRecvIntosShareOneMessage(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		exchange(t, rt, c, peer)
		var p [3][4]byte
		var fs []futures.Future[int]
		for i := range p {
			fs = append(fs, c.RecvInto(p[i][:]))
		}
		last := c.Recv()
		_, err := peer.Write([]byte("aaaabbbbccccdd"))
		require.NoError(t, err)
		bounded(t, "the second RecvInto", func() {
			for i, f := range fs {
				n, err := f.Await(context.Background())
				if n != 4 || err != nil {
					t.Errorf("RecvInto %d: %d, %v", i, n, err)
				}
			}
			b, err := last.Await(context.Background())
			if err != nil || string(b.Bytes()) != "dd" {
				t.Errorf("%q %v", b.Bytes(), err)
			}
			b.Release()
		})
		require.Equal(t, "aaaabbbbcccc", string(p[0][:])+string(p[1][:])+string(p[2][:]))
	})
}

// TestLeaseSentOnAnotherLoop is a proxy between connections of two loops, both
// ways: the leases of one loop are given away on the other.
func TestLeaseSentOnAnotherLoop(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		left, a := acceptedOn(t, rt, 0)
		right, b := acceptedOn(t, rt, 1)
		for _, way := range [][2]*proactor.Conn{{left, right}, {right, left}} {
			way[0].OnRecv(func(buf proactor.Buffer, err error) {
				if err != nil {
					way[1].CloseWrite()
					return
				}
				way[1].Send(buf)
			})
		}
		var all sync.WaitGroup
		for i, ends := range [][2]*net.TCPConn{{a, b}, {b, a}} {
			all.Go(func() {
				sum := sha256.New()
				sent := make(chan []byte, 1)
				go func() {
					if err := sendRandom(ends[0], uint64(i), 4<<20, sum); err != nil {
						t.Error(err)
					}
					sent <- sum.Sum(nil)
				}()
				got := sha256.New()
				n, err := io.Copy(got, ends[1])
				if err != nil || n != 4<<20 || !bytes.Equal(<-sent, got.Sum(nil)) {
					t.Errorf("%d bytes came through, %v, or not those that were sent", n, err)
				}
			})
		}
		all.Wait()
		left.Close()
		right.Close()
		for i := range 2 {
			eventually(t, func() bool { return rt.Stats()[i].BuffersOut == 0 },
				func() string { return fmt.Sprintf("loop %d: %d buffers out", i, rt.Stats()[i].BuffersOut) })
		}
	})
}

func TestNetConnClosedWithDataUnread(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		n := c.NetConn(t.Context())
		_, err := peer.Write(make([]byte, 100))
		require.NoError(t, err)
		_, err = n.Read(make([]byte, 10))
		require.NoError(t, err)
		require.NoError(t, n.Close())
		_, err = c.Closed().Await(t.Context())
		require.NoError(t, err)
		eventually(t, func() bool { return rt.Stats().Total().BuffersOut == 0 }, func() string { return "the lease is lost" })
	})
}

func TestReleaseTwiceElsewhere(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		_, err := peer.Write([]byte("x"))
		require.NoError(t, err)
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		b.Release()
		require.Panics(t, func() { _ = b.Bytes() })
		require.Panics(t, b.Release)
	})
}

func TestAddressesAcrossLoops(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, _ := acceptedOn(t, rt, 0)
		b, _ := acceptedOn(t, rt, 1)
		var both, done sync.WaitGroup
		both.Add(2)
		ask := func(on, of *proactor.Conn) {
			done.Add(1)
			on.Loop().Do(func() {
				defer done.Done()
				both.Done()
				both.Wait()
				of.RemoteAddr()
			})
		}
		ask(a, b)
		ask(b, a)
		bounded(t, "two loops that ask each other for an address", done.Wait)
	})
}

func TestShutdownTwice(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serveEcho(t, rt, "await")
		peer := dial(t, addr)
		require.NoError(t, roundTrip(peer, 10, 'x'))
		gate := make(chan struct{})
		rt.Loops()[0].Do(func() { <-gate })
		rt.Loops()[1].Do(func() { <-gate })
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { rt.Shutdown(context.Background()) })
		}
		runtime.Gosched()
		close(gate)
		bounded(t, "several Shutdowns", all.Wait)
	})
}

func TestFarFuture(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		require.NoError(t, c.SetDeadline(time.Now().Add(math.MaxInt64)))
		require.NoError(t, c.SetDeadline(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
		f := c.Recv()
		s := rt.Sleep(math.MaxInt64)
		_, err := rt.Sleep(10 * time.Millisecond).Await(t.Context())
		require.NoError(t, err)
		_, err = peer.Write([]byte("x"))
		require.NoError(t, err)
		b, err := f.Await(t.Context())
		require.NoError(t, err)
		b.Release()
		require.False(t, s.Ready())
		s.Cancel()
	})
}

func TestUnixListenerLeavesNoFile(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "s")
		for range 2 {
			ln, err := rt.Listen("unix", path)
			require.NoError(t, err)
			require.NoError(t, ln.Close())
			eventually(t, func() bool { _, err := os.Stat(path); return os.IsNotExist(err) }, func() string { return "the socket's file is left" })
		}
	})
}

func TestTwoRuntimesOneAddress(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		defer ln.Close()
		_, err := rt.Listen("tcp", ln.Addr().String())
		require.ErrorContains(t, err, "address already in use")
	})
}

func TestOnRecvLearnsOfTheEnd(t *testing.T) {
	for name, end := range map[string]func(*proactor.Conn){
		"close":    func(c *proactor.Conn) { c.Close() },
		"abort":    func(c *proactor.Conn) { c.Abort() },
		"deadline": func(c *proactor.Conn) { c.SetReadDeadline(time.Unix(1, 0)) },
	} {
		for _, before := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/before", false: "/after"}[before], func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					c, _ := accepted(t, rt)
					got := make(chan error, 10)
					if before {
						end(c)
					}
					c.OnRecv(func(_ proactor.Buffer, err error) { got <- err })
					if !before {
						end(c)
					}
					var err error
					bounded(t, "OnRecv", func() { err = <-got })
					require.Error(t, err)
				})
			})
		}
	}
}

// TestCallbacksThatDoNotReturn must lose their connection at most: everything
// still closes. These are the callbacks that run on a loop; one that the
// program attaches elsewhere runs, and fails, on a goroutine like any other.
func TestCallbacksThatDoNotReturn(t *testing.T) {
	type setup func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer *net.TCPConn, fail func())
	elsewhere := map[string]setup{
		"send here": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, _ *net.TCPConn, fail func()) {
			c.Loop().Do(func() { c.SendBytes([]byte("x")).Then(func(int, error) { fail() }) })
		},
		"half-close": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, _ *net.TCPConn, fail func()) {
			c.Loop().Do(func() {
				c.CloseWrite().Then(func(struct{}, error) { fail() })
				c.Close()
			})
		},
		"recv into here": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer *net.TCPConn, fail func()) {
			c.Loop().Do(func() { c.RecvInto(make([]byte, 10)).Then(func(int, error) { fail() }) })
			peer.Write([]byte("x"))
		},
		"handler": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer *net.TCPConn, fail func()) {
			c.OnRecv(func(b proactor.Buffer, err error) { b.Release(); fail() })
			peer.Write([]byte("x"))
			bounded(t, "the connection of a failed handler", func() { c.Closed().Await(context.Background()) })
		},
		"handler with data unread": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer *net.TCPConn, fail func()) {
			exchange(t, rt, c, peer)
			peer.Write([]byte("x"))
			rt.Stats()
			c.OnRecv(func(b proactor.Buffer, err error) { b.Release(); fail() })
			bounded(t, "the connection of a failed handler", func() { c.Closed().Await(context.Background()) })
		},
		"timer": func(t *testing.T, rt *proactor.Runtime, c *proactor.Conn, peer *net.TCPConn, fail func()) {
			c.Loop().AfterFunc(0, fail)
			c.Loop().Do(fail)
		},
	}
	for how, fail := range map[string]func(){
		"panic":  func() { panic("a callback's own fault") },
		"goexit": runtime.Goexit,
	} {
		for name, set := range elsewhere {
			t.Run(name+"/"+how, func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					c, peer := accepted(t, rt)
					other, _ := acceptedOn(t, rt, 0)
					set(t, rt, c, peer, fail)
					sleep := rt.Sleep(time.Hour)
					rt.Stats() // the loops still turn
					bounded(t, "Close", func() { rt.Close() })
					bounded(t, "Closed", func() { c.Closed().Await(context.Background()); other.Closed().Await(context.Background()) })
					bounded(t, "Sleep", func() { sleep.Await(context.Background()) })
				})
			})
		}
	}
}

// TestNewSendOutlivesAPassedDeadline clears a deadline before the kernel has
// answered the cancel that it caused: sends that begin after belong to the new
// time.
func TestNewSendOutlivesAPassedDeadline(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		inTask(t, rt, c, func(ctx context.Context) {
			first := c.SendBytes(make([]byte, 32<<20))
			_, err := rt.Sleep(time.Millisecond).Await(ctx) // the loop has turned: it is with the kernel
			require.NoError(t, err)
			c.SetWriteDeadline(time.Unix(1, 0))
			c.SetWriteDeadline(time.Time{})
			second := c.SendBytes([]byte("second"))
			n, err := first.Await(ctx)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			go io.Copy(io.Discard, peer)
			m, err := second.Await(ctx)
			require.NoError(t, err, n)
			require.Equal(t, 6, m)
		})
	})
}

// Handlers that go on after their listener was closed end with the context of Serve.
func TestServeEndsHandlersOfAClosedListener(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		ctx, cancel := context.WithCancel(t.Context())
		running, returned, served := make(chan struct{}), make(chan error, 1), make(chan error, 1)
		go func() {
			served <- ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
				close(running)
				_, err := rt.Sleep(time.Hour).Await(ctx)
				returned <- err
				return err
			})
		}()
		dial(t, ln.Addr())
		<-running
		require.NoError(t, ln.Close())
		cancel()
		require.ErrorIs(t, <-returned, context.Canceled)
		require.ErrorIs(t, <-served, context.Canceled)
	})
}

func TestLeasesThatOutliveTheRuntimeAreCounted(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c, peer := accepted(t, rt)
		wrote(t, peer, "lent")
		b, err := c.Recv().Await(t.Context())
		require.NoError(t, err)
		shared := b.Retain()
		require.NoError(t, rt.Close())
		require.Equal(t, 1, rt.Stats().Total().BuffersOut)
		b.Release()
		require.Equal(t, 1, rt.Stats().Total().BuffersOut, "another holds it")
		require.Equal(t, "lent", string(shared.Bytes()))
		shared.Release()
		require.Zero(t, rt.Stats().Total().BuffersOut)
		require.Zero(t, rt.Stats().Total().Held)
	})
}

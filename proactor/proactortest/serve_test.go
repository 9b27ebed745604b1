package proactortest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/proactor/proactortest"
	"github.com/stretchr/testify/require"
)

func echo(ctx context.Context, c *proactor.Conn) error {
	for {
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Send(b).Await(ctx); err != nil {
			return err
		}
	}
}

func TestServe(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		proactortest.CheckProcess(t)
		conn := proactortest.Serve(t, echo, proactor.WithBackend(b))
		require.Equal(t, "tcp", conn.RemoteAddr().Network())
		fmt.Fprint(conn, "hello")
		got := make([]byte, 5)
		_, err := io.ReadFull(conn, got)
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
	})
}

func TestServePacket(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		proactortest.CheckProcess(t)
		conn := proactortest.ServePacket(t, func(ctx context.Context, pc *proactor.PacketConn) error {
			for m, err := range pc.Messages(ctx) {
				if err != nil {
					return err
				}
				pc.Reply(m)
			}
			return nil
		}, proactor.WithBackend(b))
		fmt.Fprint(conn, "ping")
		got := make([]byte, 16)
		n, err := conn.Read(got)
		require.NoError(t, err)
		require.Equal(t, "ping", string(got[:n]))
	})
}

func TestBackends(t *testing.T) {
	for _, b := range proactortest.Backends(t) {
		require.Equal(t, b, proactortest.Start(t, proactor.WithBackend(b)).Backend().Backend)
	}
}

// trial is a test within the test, which may fail.
type trial struct {
	testing.TB
	mu      sync.Mutex
	failure string
	log     strings.Builder
	cleanup []func()
}

func (r *trial) Helper()           {}
func (r *trial) Failed() bool      { return r.failure != "" }
func (r *trial) Cleanup(fn func()) { r.cleanup = append(r.cleanup, fn) }
func (r *trial) Output() io.Writer { return r }
func (r *trial) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }
func (r *trial) Error(args ...any) { r.note(&r.failure, fmt.Sprintln(args...)) }
func (r *trial) Log(args ...any)   { fmt.Fprintln(r, args...) }
func (r *trial) FailNow()          { r.Error("FailNow"); runtime.Goexit() }

func (r *trial) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }
func (r *trial) Logf(format string, args ...any)   { r.Log(fmt.Sprintf(format, args...)) }

func (r *trial) note(where *string, s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*where += s
}

func (r *trial) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// attempt runs a test and returns what it failed with and what it logged.
func attempt(t *testing.T, test func(t testing.TB)) (failure, log string) {
	r := &trial{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanup) - 1; i >= 0; i-- {
				r.cleanup[i]()
			}
		}()
		test(r)
	}()
	<-done
	return r.failure, r.log.String()
}

// What a handler does wrong shows in its test.
func TestHandlersThatFail(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler proactortest.Handler
		failure string // "" for none
		log     string
	}{
		{"nothing wrong", echo, "", ""},
		{"an error", func(context.Context, *proactor.Conn) error { return errors.New("no such user") }, "", "no such user"},
		{"a panic", func(context.Context, *proactor.Conn) error { panic("out of order") }, "the handler panicked: out of order", "serve_test.go"},
		{"a lease that is forgotten", func(ctx context.Context, c *proactor.Conn) error {
			_, err := c.Recv().Await(ctx)
			return err
		}, "", ""},
		{"it waits for its context", func(ctx context.Context, c *proactor.Conn) error {
			_, err := c.Loop().Runtime().Sleep(time.Hour).Await(ctx)
			return err
		}, "", "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
				failure, log := attempt(t, func(t testing.TB) {
					conn := proactortest.Serve(t, c.handler, proactor.WithBackend(b))
					fmt.Fprint(conn, "hello")
					conn.(*net.TCPConn).CloseWrite()
				})
				require.Contains(t, log, c.log)
				if c.failure == "" {
					require.Empty(t, failure)
				}
				require.Contains(t, failure, c.failure)
			})
		})
	}
}

// A FailNow ends the handler and fails the test.
func TestFailNowInAHandler(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		failure, _ := attempt(t, func(t testing.TB) {
			conn := proactortest.Serve(t, func(context.Context, *proactor.Conn) error {
				t.FailNow()
				return nil
			}, proactor.WithBackend(b))
			io.ReadAll(conn)
		})
		require.Equal(t, "FailNow\n", failure)
	})
}

// Whatever a handler leaves behind is named.
func TestLeftovers(t *testing.T) {
	var lease proactor.Buffer
	var never futures.Event
	for _, c := range []struct {
		name    string
		leave   func(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) (end func(), err error)
		message string
	}{
		{"a lease", func(ctx context.Context, _ *proactor.Runtime, c *proactor.Conn) (func(), error) {
			b, err := c.Recv().Await(ctx)
			lease = b.Keep()
			return func() { lease.Release() }, err
		}, "bytes of leases that nobody has released"},
		{"a file", func(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) (func(), error) {
			f, err := rt.Open(os.Args[0]).Await(ctx)
			return func() { f.Close() }, err
		}, "1 files that nobody has closed"},
		{"connections", func(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) (func(), error) {
			one, other, err := rt.SocketPair("unix")
			return func() { one.Close(); other.Close() }, err
		}, "2 connections"},
		{"a listener", func(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) (func(), error) {
			ln, err := rt.Listen("tcp", "127.0.0.1:0")
			return func() { ln.Close() }, err // the other is that of Serve
		}, "2 listeners"},
		{"a ticker", func(ctx context.Context, rt *proactor.Runtime, c *proactor.Conn) (func(), error) {
			ticker := rt.Every(time.Hour)
			return ticker.Stop, nil
		}, "1 timers"},
		{"a task", func(_ context.Context, rt *proactor.Runtime, c *proactor.Conn) (func(), error) {
			ctx, cancel := context.WithCancel(context.Background())
			rt.Go(ctx, func(ctx context.Context) error {
				return never.Wait(ctx)
			})
			return cancel, nil
		}, "1 tasks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
				ended := make(chan func(), 1)
				var rt *proactor.Runtime
				conn := proactortest.Serve(t, func(ctx context.Context, conn *proactor.Conn) error {
					rt = conn.Loop().Runtime()
					end, err := c.leave(ctx, rt, conn)
					ended <- end
					return err
				}, proactor.WithBackend(b))
				fmt.Fprint(conn, "hello")
				end := <-ended
				require.Contains(t, proactortest.LeftoversOf(rt), c.message)
				end() // the end of the test finds nothing
			})
		})
	}
}

// What the process has more is told with the file that it is.
func TestCheckProcess(t *testing.T) {
	var left *os.File
	failure, _ := attempt(t, func(t testing.TB) {
		proactortest.CheckProcessWithin(t, time.Millisecond)
		var err error
		left, err = os.Open(os.Args[0])
		require.NoError(t, err)
	})
	defer left.Close()
	if runtime.GOOS != "linux" {
		require.Empty(t, failure)
		return
	}
	require.Contains(t, failure, "1 descriptors are left over")
	require.Contains(t, failure, os.Args[0])
}

// A client in a bubble of testing/synctest reads and writes as anywhere else.
func TestClientInABubble(t *testing.T) {
	proactortest.Each(t, func(t *testing.T, b proactor.Backend) {
		address := proactortest.Listen(t, echo, proactor.WithBackend(b))
		synctest.Test(t, func(t *testing.T) {
			conn, err := net.Dial(address.Network(), address.String())
			require.NoError(t, err)
			defer conn.Close()
			fmt.Fprint(conn, "hello")
			_, err = io.ReadFull(conn, make([]byte, 5))
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(-time.Second)))
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
	})
}

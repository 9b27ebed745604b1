package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// backends are what every test runs on.
var backends = []proactor.Backend{proactor.IOUring, proactor.Epoll}

// everySubmissionThread is for runs apart: they take as long as all tests together.
var everySubmissionThread = flag.Bool("submissionthread", false, "has a thread of the kernel submit in each runtime on io_uring that a test gets")

// onEach runs test on a runtime of each backend, and then checks that the
// runtime left nothing behind: no descriptor, no goroutine, no buffer.
func onEach(t *testing.T, test func(t *testing.T, rt *proactor.Runtime), opts ...proactor.Option) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) { onBackend(t, b, test, opts...) })
	}
}

// statsPatience is for tests that do not hold up a loop; those that do give the usual one.
const statsPatience = 30 * time.Second

// onBackend is onEach for one backend.
func onBackend(t *testing.T, b proactor.Backend, test func(t *testing.T, rt *proactor.Runtime), opts ...proactor.Option) {
	off := ioUringOff()
	leftNothing(t)
	if *everySubmissionThread && b == proactor.IOUring {
		opts = append([]proactor.Option{proactor.WithSubmissionThread(time.Millisecond)}, opts...)
	}
	// What a test asks of Stats is the present state, also where the machine stands still.
	common := []proactor.Option{proactor.WithBackend(b), proactor.WithLoops(2), proactor.WithStatsPatience(statsPatience)}
	rt, err := proactor.New(append(common, opts...)...)
	if b == proactor.IOUring && off != nil {
		if err == nil { // the limit of locked memory has room for some
			rt.Close()
		}
		t.Skip("no io_uring here: ", off)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().Total().BuffersOut, "leases not released")
		require.Zero(t, rt.Stats().Total().Conns)
		require.Zero(t, rt.Stats().Total().AlignedBytes, "aligned memory not released")
	})
	test(t, rt)
}

// ioUringOff is why this machine refuses io_uring, by the probe: package ring's tests show
// that it agrees with the kernel. What else keeps a runtime from starting is a fault.
var ioUringOff = sync.OnceValue(func() error {
	if err := ring.Probe().Require(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return lockedmemory.Short()
})

// requireBackend skips where this machine refuses it.
func requireBackend(t testing.TB, b proactor.Backend) {
	t.Helper()
	if off := ioUringOff(); b == proactor.IOUring && off != nil {
		t.Skip("no io_uring here: ", off)
	}
}

// leftNothing compares descriptors and goroutines when the test ends with
// what there was when it began.
func leftNothing(t *testing.T) {
	t.Helper()
	fds, goroutines, before := openDescriptors(t), runtime.NumGoroutine(), descriptorNames()
	t.Cleanup(func() {
		eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines }, func() string {
			buf := make([]byte, 1<<20)
			return "goroutines left over:\n" + string(buf[:runtime.Stack(buf, true)])
		})
		eventually(t, func() bool {
			if openDescriptors(t) <= fds {
				return true
			}
			runtime.GC() // package net keeps pipes for its own splices until they are garbage
			return false
		}, func() string {
			return fmt.Sprintf("descriptors left over: before %q, now %q", before, descriptorNames())
		})
	})
}

// eventually waits for what other threads are about to do, and for no fixed
// time: a bound only ends a test that has failed.
func eventually(t *testing.T, cond func() bool, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal(what())
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	return len(names)
}

// descriptorNames is what the open descriptors are.
func descriptorNames() (names []string) {
	paths, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range paths {
		name, _ := os.Readlink(path)
		names = append(names, filepath.Base(path)+" "+name)
	}
	return names
}

// abstractName is a name of the abstract namespace (unix(7)) that no other process has: it
// is one for all processes of the machine, and two runs of the tests may meet.
func abstractName(name string) string { return fmt.Sprintf("@goproactor-%s-%d", name, os.Getpid()) }

// ownAddress is where no other process listens, and nobody connects from: what was closed there
// refuses connections, and is free.
func ownAddress() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:0", 64+pid>>16, pid>>8&0xff, pid&0xff)
}

// listen opens a listener whose address dial can take.
func listen(t *testing.T, rt *proactor.Runtime) *proactor.Listener {
	t.Helper()
	ln, err := rt.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln
}

// shutDown begins a Shutdown, and returns the test's context.
func shutDown(t *testing.T, rt *proactor.Runtime) context.Context {
	done := make(chan error, 1)
	go func() { done <- rt.Shutdown(context.Background()) }()
	t.Cleanup(func() { require.NoError(t, <-done) })
	return t.Context()
}

// serve runs handler on a listener of its own until the test ends.
func serve(t *testing.T, rt *proactor.Runtime, handler func(context.Context, *proactor.Conn) error) net.Addr {
	t.Helper()
	ln := listen(t, rt)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- ln.Serve(ctx, handler) }()
	t.Cleanup(func() {
		cancel()
		<-served
	})
	return ln.Addr()
}

func dial(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// serveEcho serves in the given style until the test ends.
func serveEcho(t *testing.T, rt *proactor.Runtime, style string) net.Addr {
	t.Helper()
	switch style {
	case "await":
		return serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			for {
				b, err := c.Recv().Await(ctx)
				if err != nil {
					return err
				}
				if _, err := c.Send(b).Await(ctx); err != nil {
					return err
				}
			}
		})
	case "queue":
		return serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			for b, err := range c.Bufs(ctx) {
				if err != nil {
					return err
				}
				if _, err := c.Queue(b).Await(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	case "callback":
		ln := listen(t, rt)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) {
			c.OnRecv(func(b proactor.Buffer, err error) {
				if err != nil {
					c.Close()
					return
				}
				c.Queue(b)
			})
		}))
		t.Cleanup(func() { ln.Close() })
		return ln.Addr()
	}
	t.Fatalf("style %q", style)
	return nil
}

var styles = []string{"await", "queue", "callback"}

func TestBackendSaysWhatRuns(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		info := rt.Backend()
		require.Contains(t, t.Name(), info.Backend.String())
		require.NotEmpty(t, info.Kernel)
		require.Empty(t, info.Reason, "nothing was chosen, so there is no reason")
	})
}

func TestOptionsRefuseNonsense(t *testing.T) {
	for name, opt := range map[string]proactor.Option{
		"loops":      proactor.WithLoops(0),
		"buffers":    proactor.WithBuffers(1, 16),
		"count":      proactor.WithBuffers(4096, 1<<20),
		"high-water": proactor.WithHighWater(0),
		"drain":      proactor.WithDrainTimeout(-1),
		"conn":       proactor.WithMaxConns(-1),
		"stall":      proactor.WithStallLimit(-1),
		"polling":    proactor.WithBusyPoll(-1),
		"submission": proactor.WithSubmissionThread(-1),
		"idle":       proactor.WithSubmissionThread(25 * time.Hour),
		"processor":  proactor.WithSubmissionThread(time.Second, -1),
		"workers":    proactor.WithFileWorkers(0),
		"backend":    proactor.WithBackend(proactor.Backend(9)),
	} {
		_, err := proactor.New(opt)
		require.ErrorContains(t, err, strings.Split(name, "-")[0])
	}
}

func TestListenErrors(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		_, err := rt.Listen("carrier-pigeon", "127.0.0.1:0")
		require.ErrorAs(t, err, new(net.UnknownNetworkError))

		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		_, err = rt.Listen("tcp", taken.Addr().String())
		require.ErrorContains(t, err, "address already in use")
		require.ErrorAs(t, err, new(*net.OpError))

		_, err = rt.Listen("tcp", "256.0.0.1:80")
		require.Error(t, err)
	})
}

func TestHandlerPanicEndsThatHandlerOnly(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			b, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			defer b.Release()
			switch string(b.Bytes()) {
			case "panic":
				panic("the handler's own fault")
			case "goexit":
				runtime.Goexit()
			}
			_, err = c.SendBytes([]byte("fine")).Await(ctx)
			return err
		})
		for _, say := range []string{"panic", "goexit", "hello", "panic", "hello", "goexit"} {
			c := dial(t, addr)
			_, err := c.Write([]byte(say))
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			if say == "hello" {
				require.Equal(t, "fine", string(got))
			} else {
				require.Empty(t, got)
			}
		}
	}, proactor.WithLogger(logger))
	require.Contains(t, log.String(), "the handler's own fault")
	require.Contains(t, log.String(), "TestHandlerPanicEndsThatHandlerOnly", "the stack names the handler")
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestCloseEndsWhatIsInFlight(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		started, ended := make(chan struct{}), make(chan error, 1)
		ln := listen(t, rt)
		served := make(chan error, 1)
		go func() {
			served <- ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
				close(started)
				_, err := c.Recv().Await(ctx)
				ended <- err
				return err
			})
		}()
		dial(t, ln.Addr())
		<-started
		require.NoError(t, rt.Close())
		require.Error(t, <-ended)
		require.ErrorIs(t, <-served, proactor.ErrClosed)
		require.NoError(t, rt.Close(), "closing twice is harmless")

		_, err := rt.Listen("tcp", "127.0.0.1:0")
		require.Error(t, err)
		_, err = rt.Sleep(time.Hour).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	})
}

func TestShutdownLetsHandlersFinish(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		addr := serveEcho(t, rt, "await")
		c := dial(t, addr)
		msg := bytes.Repeat([]byte("last words "), 1000)
		_, err := c.Write(msg)
		require.NoError(t, err)
		got := make([]byte, 11)
		_, err = io.ReadFull(c, got) // the server has begun to answer
		require.NoError(t, err)
		require.NoError(t, rt.Shutdown(t.Context()))
		rest, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, string(msg), string(got)+string(rest))
	})
}

func TestShutdownDeadlineCutsOff(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		started := make(chan struct{})
		addr := serve(t, rt, func(ctx context.Context, c *proactor.Conn) error {
			close(started)
			_, err := rt.Sleep(time.Hour).Await(ctx)
			return err
		})
		dial(t, addr)
		<-started
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, rt.Shutdown(ctx), context.DeadlineExceeded)
	})
}

func TestWaitingOnALoopIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		_, err := rt.Go(t.Context(), func(ctx context.Context) error {
			return errors.Join(rt.Close(), rt.Shutdown(ctx), ln.Serve(ctx, nil))
		}).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrOnLoop)
	})
}

func TestSleepAndEvery(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		_, err := rt.Sleep(time.Millisecond).Await(t.Context())
		require.NoError(t, err)

		_, err = rt.Go(t.Context(), func(ctx context.Context) error {
			_, err := rt.Sleep(time.Millisecond).Await(ctx)
			return err
		}).Await(t.Context())
		require.NoError(t, err)

		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = rt.Sleep(time.Hour).Await(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		tick := rt.Every(time.Millisecond)
		n := 0
		for _, err := range tick.All(t.Context()) {
			require.NoError(t, err)
			if n++; n == 3 {
				tick.Stop()
			}
		}
		require.GreaterOrEqual(t, n, 3)
		eventually(t, func() bool { return rt.Stats().Total().Timers == 0 }, func() string { return "timers left armed" })
	})
}

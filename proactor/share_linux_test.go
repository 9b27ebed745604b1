package proactor_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// echoProcess is a connection to a process of its own that sends back what it is
// sent: what keeps a loop turning while no goroutine of this process runs.
func echoProcess(t *testing.T, rt *proactor.Runtime) *proactor.Conn {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	cat := exec.Command("cat")
	cat.Stdin, cat.Stdout = theirs, theirs
	require.NoError(t, cat.Start())
	t.Cleanup(func() { require.NoError(t, cat.Wait()) }) // it ends with its input
	c, err := rt.FileConn(ours)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); <-c.Closed().Done() })
	return c
}

// echoesUntil sends and receives on c until done says so.
func echoesUntil(ctx context.Context, c *proactor.Conn, done func() bool) error {
	for !done() {
		if _, err := c.SendBytes([]byte("again")).Await(ctx); err != nil {
			return err
		}
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		b.Release()
	}
	return nil
}

// A loop that turns often keeps its processor while it waits, gives it up to
// whoever wants it, and in the end to nobody.
func TestBusyLoopHoldsItsProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := echoProcess(t, rt)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		l := c.Loop()
		holds := func() bool { return proactor.Holds(l) }
		_, err := l.Go(ctx, func(ctx context.Context) error {
			if err := echoesUntil(ctx, c, holds); err != nil {
				return err
			}
			// Of goroutines: one that the loop makes ready, one that a timer
			// does, and those of a collection.
			ran := make(chan struct{})
			go func() {
				time.Sleep(time.Millisecond) // a timer makes it ready: when does not matter
				runtime.GC()
				close(ran)
			}()
			err := echoesUntil(ctx, c, func() bool {
				select {
				case <-ran:
					return true
				default:
					return false
				}
			})
			if err != nil {
				return err
			}
			if err := echoesUntil(ctx, c, holds); err != nil {
				return err
			}
			if _, err := futures.Blocking(ctx, func() (int, error) { return 0, nil }); err != nil {
				return err
			}
			if err := echoesUntil(ctx, c, holds); err != nil {
				return err
			}
			for holds() { // it has less to do now
				if _, err := rt.Sleep(4 * time.Millisecond).Await(ctx); err != nil {
					return err
				}
			}
			return nil
		}).Await(ctx)
		require.NoError(t, err)
	})
}

// Where a processor is free for other goroutines there is nothing to hold.
func TestLoopWithAProcessorToSpareHoldsNone(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := echoProcess(t, rt)
		turns, held := 0, false
		_, err := c.Loop().Go(t.Context(), func(ctx context.Context) error {
			return echoesUntil(ctx, c, func() bool {
				held = held || proactor.Holds(c.Loop())
				turns++
				return turns > 2000
			})
		}).Await(t.Context())
		require.NoError(t, err)
		require.False(t, held)
	})
}

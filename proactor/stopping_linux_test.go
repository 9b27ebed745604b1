package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestStopping ends a runtime that has everything under way, from everywhere.
func TestStopping(t *testing.T) {
	none := make(chan os.Signal, 1)
	signal.Notify(none) // starts a goroutine that stays
	signal.Stop(none)
	conform(t, stopping)
}

// repeated has goroutines do something again and again until it fails, and counts how
// often it was done.
type repeated struct {
	all    sync.WaitGroup
	rounds []*atomic.Int64
}

func (r *repeated) begin(goroutines int, do func() error) {
	n := new(atomic.Int64)
	r.rounds = append(r.rounds, n)
	for range goroutines {
		r.all.Go(func() {
			for do() == nil {
				n.Add(1)
			}
		})
	}
}

// underLoad has operations of all kinds under way on rt. wait returns when all of them
// have ended, as they do when rt is closed.
func underLoad(t *testing.T, rt *proactor.Runtime) (wait func()) {
	t.Helper()
	ctx := context.Background()
	load := new(repeated)
	ln := listen(t, rt)
	load.all.Go(func() { ln.Serve(ctx, echo) })
	address := ln.Addr().String()
	load.begin(4, func() error { // clients that come and go
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		return hello(c)
	})
	load.begin(4, func() error { // the same on the runtime
		c, err := rt.Dial(ctx, "tcp", address).Await(ctx)
		if err != nil {
			return err
		}
		defer c.Abort()
		if _, err := c.SendBytes([]byte("hello")).Await(ctx); err != nil {
			return err
		}
		b, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		b.Release()
		return nil
	})
	for range 4 { // clients that do not read
		c := narrow(t, ln.Addr())
		load.all.Go(func() {
			for _, err := c.Write(make([]byte, 64<<10)); err == nil; _, err = c.Write(make([]byte, 64<<10)) {
			}
		})
	}
	path := filepath.Join(t.TempDir(), "file")
	load.begin(2, func() error {
		f, err := rt.Create(path).Await(ctx)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(make([]byte, 8192), 0).Await(ctx)
		_, failed := f.Close().Await(ctx)
		return errors.Join(err, failed)
	})
	load.begin(2, func() error { return errorOf(rt.Sleep(time.Microsecond).Await(ctx)) })
	load.begin(2, func() error {
		if !rt.Loops()[0].Do(func() {}) {
			return proactor.ErrClosed
		}
		return nil
	})
	load.begin(2, func() error {
		return errorOf(rt.Go(ctx, func(ctx context.Context) error { return errorOf(rt.Sleep(0).Await(ctx)) }).Await(ctx))
	})
	for _, n := range load.rounds {
		eventually(t, func() bool { return n.Load() > 5 }, rt.Describe)
	}
	return func() { t.Helper(); bounded(t, "the load", load.all.Wait) }
}

// stops calls Close or Shutdown from several goroutines at once, and each twice.
func stops(t *testing.T, rt *proactor.Runtime, stop func() error) {
	t.Helper()
	bounded(t, "Close", func() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 2 {
					if err := stop(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

// shutsDown is a Shutdown that some connections hold up until its context ends.
func shutsDown(rt *proactor.Runtime) error {
	ctx, enough := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer enough()
	return rt.Shutdown(ctx)
}

// stuckOpens begins opens of named pipes that nobody opens at the other end: each
// takes a worker.
func stuckOpens(t *testing.T, rt *proactor.Runtime, n int) (opens []futures.Future[*proactor.File], name string) {
	t.Helper()
	name = pipeNamed(t)
	for range n {
		opens = append(opens, rt.OpenFile(name, os.O_WRONLY, 0))
	}
	rt.Stats() // they have begun
	return opens, name
}

// leased is a file that others wait to open until the lease ends (fcntl(2), F_SETLEASE):
// so waits who opens a file on a server that does not answer.
func leased(t *testing.T) (name string, end func()) {
	t.Helper()
	signal.Ignore(unix.SIGIO) // how the kernel asks for it
	t.Cleanup(func() { signal.Reset(unix.SIGIO) })
	name = filepath.Join(t.TempDir(), "leased")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if err == unix.EINVAL {
		f.Close()
		t.Skipf("the file system of temporary files has no leases: %v", err)
	}
	require.NoError(t, err)
	return name, sync.OnceFunc(func() { f.Close() })
}

var stopping = []behaviour{
	{name: "Close under load", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		stops(t, rt, rt.Close)
		wait()
	}},
	{name: "Shutdown under load", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		stops(t, rt, func() error { return shutsDown(rt) })
		wait()
	}},
	{name: "Shutdown and Close at once under load", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		var n atomic.Int32
		stops(t, rt, func() error {
			if n.Add(1)%2 == 0 {
				return rt.Close()
			}
			return shutsDown(rt)
		})
		wait()
	}},
	{name: "from a handler under load", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		closed := make(chan error, 1)
		onLoop(t, rt.Loops()[0], func(ctx context.Context) {
			for range 2 { // it would wait for itself
				require.ErrorIs(t, rt.Close(), proactor.ErrOnLoop)
				require.ErrorIs(t, rt.Shutdown(ctx), proactor.ErrOnLoop)
			}
			go func() { closed <- rt.Close() }()
			_, err := rt.Sleep(time.Hour).Await(ctx) // until it is told to end
			require.Error(t, err)
		})
		bounded(t, "Close", func() { require.NoError(t, <-closed) })
		wait()
	}},
	{name: "from a callback under load", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		c, peer := accepted(t, rt)
		refused, closed := make(chan error, 4), make(chan error, 1)
		c.OnRecv(func(b proactor.Buffer, err error) {
			b.Release()
			if err != nil {
				return
			}
			refused <- rt.Close()
			refused <- rt.Shutdown(context.Background())
			go func() { closed <- rt.Close() }()
		})
		wrote(t, peer, "x")
		require.ErrorIs(t, <-refused, proactor.ErrOnLoop)
		require.ErrorIs(t, <-refused, proactor.ErrOnLoop)
		bounded(t, "Close", func() { require.NoError(t, <-closed) })
		wait()
	}},
	{name: "while it dials", show: func(t *testing.T, rt *proactor.Runtime) {
		address, dials := silent(t, rt)
		for range 50 {
			dials = append(dials, rt.Dial(t.Context(), "unix", address))
		}
		rt.Stats() // they have begun
		stops(t, rt, rt.Close)
		for _, f := range dials {
			if c, err := f.Await(t.Context()); err != nil {
				require.ErrorIs(t, err, proactor.ErrClosed)
			} else {
				c.Abort()
			}
		}
	}},
	{name: "while all workers wait for a named pipe", show: func(t *testing.T, rt *proactor.Runtime) {
		wait := underLoad(t, rt)
		opens, name := stuckOpens(t, rt, 100)
		stops(t, rt, rt.Close)
		for _, f := range opens {
			_, err := f.Await(t.Context())
			require.Error(t, err)
		}
		wait()
		end, err := os.OpenFile(name, os.O_RDWR, 0) // lets threads go on that wait
		require.NoError(t, err)
		require.NoError(t, end.Close())
	}},
	{name: "while a read waits for what never comes", show: func(t *testing.T, rt *proactor.Runtime) {
		name := pipeNamed(t)
		f, err := rt.OpenFile(name, os.O_RDWR, 0).Await(t.Context())
		require.NoError(t, err)
		var reads []futures.Future[int]
		for range 40 {
			reads = append(reads, f.Read(make([]byte, 8)))
		}
		_, err = rt.Stat("/").Await(t.Context())
		require.NoError(t, err, "other work goes on")
		stops(t, rt, rt.Close)
		for _, f := range reads {
			_, err := f.Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
	}},
	{name: "while an open waits for a file server", show: func(t *testing.T, rt *proactor.Runtime) {
		name, end := leased(t)
		t.Cleanup(end)
		f := rt.OpenFile(name, os.O_RDONLY, 0)
		rt.Stats() // it has begun
		_, err := rt.Stat("/").Await(t.Context())
		require.NoError(t, err, "other work goes on")
		require.False(t, f.Ready())
		stops(t, rt, func() error { return shutsDown(rt) })
		_, err = f.Await(t.Context())
		require.Error(t, err)
		end()
	}},
	{name: "amid signals", show: func(t *testing.T, rt *proactor.Runtime) {
		got := make(chan os.Signal, 1)
		signal.Notify(got, unix.SIGUSR1, unix.SIGWINCH)
		defer signal.Stop(got)
		over := make(chan struct{})
		var storm sync.WaitGroup
		storm.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				tasks, _ := os.ReadDir("/proc/self/task")
				for _, task := range tasks { // each thread gets its own
					var tid int
					fmt.Sscan(task.Name(), &tid)
					unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1)
					unix.Tgkill(os.Getpid(), tid, unix.SIGURG) // how Go preempts
				}
				unix.Kill(os.Getpid(), unix.SIGWINCH)
			}
		})
		wait := underLoad(t, rt)
		stops(t, rt, rt.Close)
		wait()
		close(over)
		storm.Wait()
		require.NotEmpty(t, got)
	}},
	{name: "children inherit nothing", without: faultqueue.Delays, show: func(t *testing.T, rt *proactor.Runtime) {
		inherited := func() string {
			out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
			if errors.Is(err, exec.ErrNotFound) {
				t.Skip("needs ls: ", err)
			}
			require.NoError(t, err, "%s", out)
			return string(out)
		}
		wait := underLoad(t, rt)
		_, name := stuckOpens(t, rt, 4)
		for range 20 {
			for line := range strings.Lines(inherited()) {
				for _, ours := range []string{"socket:", "[io_uring]", "[eventpoll]", "[eventfd]", "[timerfd]", t.Name()} {
					require.NotContains(t, line, ours)
				}
			}
		}
		stops(t, rt, rt.Close)
		wait()
		end, err := os.OpenFile(name, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, end.Close())
	}},
}

// TestOpenOfALeasedFileWaits has an open wait until the lease of another ends.
func TestOpenOfALeasedFileWaits(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name, end := leased(t)
		t.Cleanup(end)
		opens := rt.OpenFile(name, os.O_RDONLY, 0)
		for range 20 { // other work goes on, and takes longer than a refusal would
			_, err := rt.Stat(name).Await(t.Context())
			require.NoError(t, err)
		}
		require.False(t, opens.Ready())
		end()
		f, err := opens.Await(t.Context())
		require.NoError(t, err)
		closed(t, t.Context(), f)
	})
}

// silent is the address of a unix listener whose queue is full, and the connections that
// have filled it.
func silent(t *testing.T, rt *proactor.Runtime) (address string, dials []futures.Future[*proactor.Conn]) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
	require.NoError(t, unix.Listen(fd, 0))
	return address, []futures.Future[*proactor.Conn]{rt.Dial(t.Context(), "unix", address)}
}

// TestManyRuntimes opens and closes runtimes, one after the other, of which nothing is
// left: no descriptor, no goroutine, no thread.
func TestManyRuntimes(t *testing.T) {
	runtimes := 1000
	if raceEnabled || testing.Short() {
		runtimes = 100
	}
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		return len(tasks)
	}
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			use := func() {
				rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(2))
				require.NoError(t, err)
				one, other, err := rt.SocketPair("unix")
				require.NoError(t, err)
				one.SendBytes([]byte("x"))
				require.Equal(t, "x", received(t, t.Context(), other))
				_, err = rt.Stat("/").Await(t.Context()) // starts a worker
				require.NoError(t, err)
				require.NoError(t, rt.Close())
			}
			use()
			leftNothing(t)
			before := threads()
			for range runtimes {
				use()
			}
			// Go and the kernel keep some threads for the next that needs one, the same
			// however many runtimes there were.
			const kept = 16
			eventually(t, func() bool { return threads() <= before+kept }, func() string {
				return fmt.Sprintf("%d threads, %d before", threads(), before)
			})
		})
	}
}

// TestTheOtherLoopsGoOn closes the queue of one of two loops behind its back: what is on
// it fails, and the runtime says so; the other loop serves on.
func TestTheOtherLoopsGoOn(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			leftNothing(t)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
			require.NoError(t, err)
			require.NoError(t, rt.Close()) // what Go itself opens is open
			before := queueDescriptors(t)
			rt, err = proactor.New(proactor.WithBackend(b), proactor.WithLoops(2))
			require.NoError(t, err)
			t.Cleanup(func() { rt.Close() })
			var queues []int
			for fd := range queueDescriptors(t) {
				if !before[fd] {
					queues = append(queues, fd)
				}
			}
			require.Len(t, queues, 2)

			var pairs [2][2]*proactor.Conn // on each loop
			for i, l := range rt.Loops() {
				onLoop(t, l, func(context.Context) {
					one, other, err := rt.SocketPair("unix")
					require.NoError(t, err)
					pairs[i] = [2]*proactor.Conn{one, other}
				})
			}
			works := func(pair [2]*proactor.Conn) error {
				for range 10 {
					if _, err := pair[0].SendBytes([]byte("x")).Await(t.Context()); err != nil {
						return err
					}
					b, err := pair[1].Recv().Await(t.Context())
					if err != nil {
						return err
					}
					b.Release()
				}
				return nil
			}
			require.NoError(t, works(pairs[0]))
			require.NoError(t, works(pairs[1]))
			var waits [2]<-chan error
			for i := range pairs {
				waits[i] = outcome(pairs[i][0].Recv())
			}
			for _, l := range rt.Loops() {
				doOnLoop(t, l, func() {})
			}
			require.NoError(t, unix.Close(queues[0]))
			for _, l := range rt.Loops() {
				l.Do(func() {}) // wakes it
			}
			var dead int
			bounded(t, "the loop", func() {
				select {
				case err = <-waits[0]:
				case err = <-waits[1]:
					dead = 1
				}
			})
			require.ErrorIs(t, err, unix.EBADF)
			require.ErrorIs(t, err, proactor.ErrClosed)
			require.ErrorContains(t, err, fmt.Sprintf("event loop %d failed", dead))
			require.Error(t, works(pairs[dead]))
			require.False(t, rt.Loops()[dead].Do(func() {}))
			alive := 1 - dead
			require.NoError(t, works(pairs[alive]), "the other loop")
			onLoop(t, rt.Loops()[alive], func(ctx context.Context) { // and takes new work
				one, other, err := rt.SocketPair("unix")
				require.NoError(t, err)
				require.NoError(t, works([2]*proactor.Conn{one, other}))
			})
			bounded(t, "Close", func() {
				err := rt.Close()
				require.ErrorIs(t, err, unix.EBADF)
				require.ErrorContains(t, err, fmt.Sprintf("event loop %d failed", dead))
			})
			require.ErrorIs(t, <-waits[alive], proactor.ErrClosed)
		})
	}
}

package proactor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// once has one entry of a runtime go wrong, the first that is chosen.
func once(fault faultqueue.Fault, chosen func(faultqueue.Operation) bool) proactor.Option {
	var done atomic.Bool
	return withFaults(func(loop int) faultqueue.Plan {
		if loop == 0 { // of another runtime
			done.Store(false)
		}
		return func(o faultqueue.Operation) faultqueue.Fault {
			if !chosen(o) || !done.CompareAndSwap(false, true) {
				return faultqueue.Fault{}
			}
			return fault
		}
	})
}

// ofKind chooses entries of a kind, but for the loops' own reads of eight bytes.
func ofKind(kind ring.Op) func(faultqueue.Operation) bool {
	return func(o faultqueue.Operation) bool { return o.Kind == kind && !(kind == ring.OpRead && o.Bytes == 8) }
}

// What a signal interrupts, or what finds a descriptor not ready that others have made
// non-blocking, is tried again.
func TestInterruptedOperations(t *testing.T) {
	again := []syscall.Errno{syscall.EINTR, syscall.EAGAIN}
	onlyEINTR := again[:1]
	for _, c := range []struct {
		name   string
		kind   ring.Op
		errnos []syscall.Errno
		show   func(t *testing.T, rt *proactor.Runtime)
	}{
		{"a receive in a chain", ring.OpRecv, again, inChain},
		{"a send in a chain", ring.OpSend, again, inChain},
		{"an open in a chain", ring.OpOpenat, onlyEINTR, fileInChain},
		{"a read of a file in a chain", ring.OpRead, again, fileInChain},
		{"a write of a file in a chain", ring.OpWrite, again, fileInChain},
		{"a sync in a chain", ring.OpFsync, onlyEINTR, fileInChain},
		{"any operation in a chain", ring.OpFadvise, onlyEINTR, func(t *testing.T, rt *proactor.Runtime) {
			f := opened(t, t.Context(), rt, "content")
			_, err := rt.Chain(proactor.Operation("fadvise", func(sqe *ring.SQE) { sqe.PrepFadvise(f.Fd(), 0, 0, 0) })).Await(t.Context())
			require.NoError(t, err)
		}},
		{"a read of a pipe with a name", ring.OpRead, again, throughNamedPipe},
		{"a write of a pipe with a name", ring.OpWrite, again, throughNamedPipe},
		{"an open", ring.OpOpenat, onlyEINTR, throughNamedPipe},
	} {
		for _, errno := range c.errnos {
			t.Run(c.name+"/"+errno.Error(), func(t *testing.T) {
				onEach(t, c.show, once(faultqueue.Fault{Errno: errno}, ofKind(c.kind)))
			})
		}
	}
}

func inChain(t *testing.T, rt *proactor.Runtime) {
	c, peer := accepted(t, rt)
	wrote(t, peer, "hello")
	p := make([]byte, 5)
	_, err := rt.Chain(c.RecvFullStep(p), c.SendStep([]byte("one")), c.SendStep([]byte("two"))).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hello", string(p))
	require.Equal(t, "onetwo", readFull(t, peer, 6))
}

func fileInChain(t *testing.T, rt *proactor.Runtime) {
	name := filepath.Join(t.TempDir(), "file")
	f := proactor.NewChainFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	p := make([]byte, 4)
	_, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("text"), 0), f.SyncStep(), f.ReadFullStep(p, 0), f.CloseStep()).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "text", string(p))
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "text", string(content))
}

func throughNamedPipe(t *testing.T, rt *proactor.Runtime) {
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	f, err := rt.OpenFile(name, os.O_RDWR, 0).Await(t.Context())
	require.NoError(t, err)
	_, err = f.Write([]byte("pipe")).Await(t.Context())
	require.NoError(t, err)
	p := make([]byte, 4)
	_, err = f.Read(p).Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, "pipe", string(p))
	_, err = f.Close().Await(t.Context())
	require.NoError(t, err)
}

// A File that is non-blocking waits all the same, and can be canceled then.
func TestNonblockingFile(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(name, 0o600))
		everywhere(t, rt, func(ctx context.Context) {
			f, err := rt.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0).Await(ctx)
			require.NoError(t, err)
			writer, err := os.OpenFile(name, os.O_WRONLY, 0)
			require.NoError(t, err)
			defer writer.Close()
			p := make([]byte, 4)
			read := f.Read(p)
			wrote(t, writer, "late")
			n, err := read.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "late", string(p[:n]))

			chain := rt.Chain(f.ReadNextFullStep(p))
			wrote(t, writer, "ch")
			wrote(t, writer, "ain")
			_, err = chain.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "chai", string(p))
			n, err = f.Read(p).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "n", string(p[:n]))

			read = f.Read(p)
			read.Cancel()
			_, err = read.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			chain = rt.Chain(f.ReadNextFullStep(p))
			chain.Cancel()
			_, err = chain.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			_, err = f.Close().Await(ctx)
			require.NoError(t, err)
		})
	})
}

// A send that waits for room in a socket that others have made non-blocking is canceled
// there, also when the room comes at the same time.
func TestCanceledSendThatWaitsForRoom(t *testing.T) {
	plan := func(int) faultqueue.Plan {
		return func(o faultqueue.Operation) (f faultqueue.Fault) {
			switch o.Kind {
			case ring.OpSend:
				f.Errno = syscall.EAGAIN
			case ring.OpPollAdd: // there is room at once
				f.Delay = 16
			}
			return f
		}
	}
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("full=%v", full), func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				c, _ := accepted(t, rt)
				if full {
					stuff(t, c)
				}
				sent := make(chan error, 1)
				l := c.Loop()
				l.Do(func() {
					f := c.SendBytes([]byte("late"))
					f.Then(func(_ int, err error) { sent <- err })
					l.Do(func() { l.Do(func() { l.Do(f.Cancel) }) }) // when it waits
				})
				require.ErrorIs(t, <-sent, futures.ErrCanceled)
				c.Abort()
			}, withFaults(plan))
		})
	}
}

// stuff fills the buffer of a connection's socket.
func stuff(t *testing.T, c *proactor.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		for p := make([]byte, 1<<20); err == nil; {
			err = unix.Sendto(int(fd), p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		}
	}))
	require.Equal(t, syscall.EAGAIN, err)
}

// An accept that finds no descriptor when its listener is being closed is not tried again
// later.
func TestShortageOfAClosedListener(t *testing.T) {
	accepts := func(o faultqueue.Operation) bool { return o.Kind == ring.OpAccept }
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.EAGAIN} {
		t.Run(errno.Error(), func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				ln, l := listen(t, rt), rt.Loops()[0]
				closed := make(chan error)
				l.Do(func() {
					ln.OnConn(func(c *proactor.Conn) { c.Close() })
					l.Do(func() { l.Do(func() { go func() { closed <- ln.Close() }() }) }) // when it accepts
				})
				require.NoError(t, <-closed)
				require.NoError(t, rt.Close())
				require.Zero(t, rt.Stats().Total().Timers)
			}, once(faultqueue.Fault{Errno: errno, Delay: 16}, accepts), proactor.WithLoops(1))
		})
	}
}

// A pause counts, too, if the accept has ended by itself.
func TestPauseOfAnEndedAccept(t *testing.T) {
	const ahead = 128 // of Accept, then accepting pauses
	accepts := func(o faultqueue.Operation) bool { return o.Kind == ring.OpAccept }
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		first := ln.Accept()
		for range 1 + ahead {
			dial(t, ln.Addr())
		}
		eventually(t, func() bool { return rt.Stats().Total().AcceptsPaused == 1 }, func() string { return "accepting does not pause" })
		c, err := first.Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		require.NoError(t, ln.Close())
	}, once(faultqueue.Fault{Ends: 1 + ahead}, accepts), proactor.WithLoops(1))
}

package proactor_test

import (
	"context"
	"iter"
	"net"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pipeWorks sends through a new pipe and closes it.
func pipeWorks(t *testing.T, ctx context.Context, r, w *proactor.Conn) {
	t.Helper()
	_, err := w.SendBytes([]byte("through")).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, "through", receivedAll(t, ctx, r, 7))
	r.Close()
	w.Close()
}

// A pipe is made in a task, in a callback, on a goroutine and on the thread of
// another runtime's loop.
func TestPipe(t *testing.T) { onEach(t, showPipe) }

func showPipe(t *testing.T, rt *proactor.Runtime) {
	everywhere(t, rt, func(ctx context.Context) {
		for range 3 {
			r, w, err := rt.Pipe()
			require.NoError(t, err)
			pipeWorks(t, ctx, r, w)
		}
	})
	type result struct {
		r, w *proactor.Conn
		err  error
	}
	made := make(chan result, 1)
	require.True(t, rt.Loops()[0].Do(func() {
		r, w, err := rt.Pipe()
		made <- result{r, w, err}
	}))
	of := <-made
	require.NoError(t, of.err)
	require.Equal(t, rt.Loops()[0], of.r.Loop())
	pipeWorks(t, t.Context(), of.r, of.w)

	other, err := proactor.New(proactor.WithBackend(rt.Backend().Backend))
	require.NoError(t, err)
	_, err = other.Go(t.Context(), func(ctx context.Context) error {
		r, w, err := rt.Pipe()
		if err == nil {
			pipeWorks(t, ctx, r, w)
		}
		return err
	}).Await(t.Context())
	require.NoError(t, err)
	require.NoError(t, other.Close())
}

// In a coroutine within a task, too.
func TestPipeInAnIterator(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		onLoop(t, rt.Loops()[0], func(ctx context.Context) {
			next, stop := iter.Pull2(func(yield func(*proactor.Conn, *proactor.Conn) bool) {
				r, w, err := rt.Pipe()
				require.NoError(t, err)
				yield(r, w)
			})
			defer stop()
			r, w, ok := next()
			require.True(t, ok)
			pipeWorks(t, ctx, r, w)
		})
	})
}

// In a task it is an operation of the queue, if that has it.
func TestPipeIsAnOperation(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		onLoop(t, l, func(ctx context.Context) {
			ran := false
			l.AfterFunc(0, func() { ran = true })
			for range 100 { // each gives way to the loop
				r, w, err := rt.Pipe()
				require.NoError(t, err)
				r.Close()
				w.Close()
			}
			require.True(t, ran)
		})
	})
}

// Without descriptors the error is EMFILE, and nothing is left.
func TestPipeWithoutDescriptors(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			var before unix.Rlimit
			require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
			fd, err := unix.Dup(0) // the lowest that is free
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
			require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd), Max: before.Max}))
			_, _, err = rt.Pipe()
			require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
			require.ErrorIs(t, err, syscall.EMFILE)
			var e *net.OpError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "open pipe: pipe2: too many open files", err.Error())
		})
	})
}

// A runtime that ends while pipes are made leaks none: leftNothing counts.
func TestPipeWhileTheRuntimeEnds(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		started := make(chan struct{}, 8)
		for range cap(started) {
			rt.Go(t.Context(), func(context.Context) error {
				started <- struct{}{}
				for {
					if _, _, err := rt.Pipe(); err != nil {
						return err
					}
				}
			})
		}
		for range cap(started) {
			<-started
		}
		require.NoError(t, rt.Close())
		_, _, err := rt.Pipe()
		require.ErrorIs(t, err, proactor.ErrClosed)
	})
}

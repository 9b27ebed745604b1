package proactor_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net"
	"os"
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
			var err error
			withoutDescriptors(t, func() { _, _, err = rt.Pipe() })
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

// What a SendVector has in PIPE_BUF bytes goes into a pipe as a whole: not the first piece
// alone because there is room for it, with the bytes of another writer behind.
func TestVectorIsWholeOnPipe(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, pieces := range [][]int{{1500, 1500}, {1, 2000, 1000}, {2000, 2096}} {
			r, other, err := os.Pipe()
			require.NoError(t, err)
			_, err = unix.FcntlInt(other.Fd(), unix.F_SETPIPE_SZ, 4096)
			require.NoError(t, err)
			w, err := rt.FileConn(other)
			require.NoError(t, err)
			before := bytes.Repeat([]byte("b"), 2000)
			_, err = other.Write(before)
			require.NoError(t, err)

			var vector [][]byte
			for _, n := range pieces {
				vector = append(vector, bytes.Repeat([]byte("v"), n))
			}
			whole := bytes.Join(vector, nil)
			sent := w.SendVector(vector...)
			for range 3 { // turns of the loop, in which it is tried
				turned := make(chan struct{})
				require.True(t, w.Loop().Do(func() { close(turned) }))
				<-turned
			}
			if len(whole)+len(before) > 4096 {
				require.False(t, sent.Ready())
			}
			_, err = other.Write([]byte("others"))
			require.NoError(t, err)

			got := make([]byte, len(before)+len(whole)+len("others"))
			_, err = io.ReadFull(r, got)
			require.NoError(t, err)
			n, err := sent.Await(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(whole), n)
			require.Contains(t, string(got), string(whole))
			closedDown(t, w)
			require.NoError(t, other.Close())
			require.NoError(t, r.Close())
		}
	})
}

package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
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

func TestConformanceSplice(t *testing.T) { conform(t, splicing) }

// emptyPipe has blocking ends, which the test closes in the end.
func emptyPipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	t.Cleanup(func() {
		unix.Close(p[0])
		unix.Close(p[1])
	})
	return p[0], p[1]
}

// fullPipe has no room in it: it holds n bytes.
func fullPipe(t testing.TB) (r, w, n int) {
	t.Helper()
	r, w = emptyPipe(t)
	n, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
	require.NoError(t, err)
	put(t, w, string(make([]byte, n)))
	return r, w, n
}

// sockets are two ends of a connection, blocking.
func sockets(t testing.TB) (ours, theirs int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		unix.Close(p[0])
		unix.Close(p[1])
	})
	return p[0], p[1]
}

func put(t testing.TB, fd int, s string) {
	t.Helper()
	n, err := unix.Write(fd, []byte(s))
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

// taken is exactly n bytes of a descriptor.
func taken(t testing.TB, fd, n int) string {
	t.Helper()
	p := make([]byte, n)
	for got := 0; got < n; {
		k, err := unix.Read(fd, p[got:])
		require.NoError(t, err)
		require.Positive(t, k, "%d of %d bytes", got, n)
		got += k
	}
	return string(p)
}

var splicing = []behaviour{
	{name: "moves what there is", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		in, w := emptyPipe(t)
		r, out := emptyPipe(t)
		ours, theirs := sockets(t)
		f := fileNamed(t, "0123456789")
		file := int(f.Fd())
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, s := range []struct {
				dst, src proactor.SpliceEnd
				before   func()
				n, want  int
				after    func() string
				content  string
			}{
				{proactor.AtCursor(out), proactor.AtCursor(in), func() { put(t, w, "hello") }, 100, 5, func() string { return taken(t, r, 5) }, "hello"},
				{proactor.AtCursor(out), proactor.AtOffset(file, 3), func() {}, 4, 4, func() string { return taken(t, r, 4) }, "3456"},
				{proactor.AtOffset(file, 3), proactor.AtCursor(in), func() { put(t, w, "3456") }, 4, 4, func() string { return contentOf(t, f) }, "0123456789"},
				{proactor.AtCursor(ours), proactor.AtCursor(in), func() { put(t, w, "send") }, 4, 4, func() string { return taken(t, theirs, 4) }, "send"},
				{proactor.AtCursor(out), proactor.AtCursor(ours), func() { put(t, theirs, "recv") }, 100, 4, func() string { return taken(t, r, 4) }, "recv"},
			} {
				s.before()
				n, err := rt.Splice(s.dst, s.src, s.n).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, s.want, n)
				require.Equal(t, s.content, s.after())
			}
			n, err := rt.Splice(proactor.AtCursor(out), proactor.AtCursor(in), 0).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			put(t, w, "hello")
			n, err = rt.Tee(out, in, 100).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 5, n)
			require.Equal(t, "hello", taken(t, r, 5))
			require.Equal(t, "hello", taken(t, in, 5))
		})
	}},
	{name: "moves a file's cursor", show: func(t *testing.T, rt *proactor.Runtime) {
		f := fileNamed(t, "0123456789")
		_, err := f.Seek(2, io.SeekStart)
		require.NoError(t, err)
		r, out := emptyPipe(t)
		n, err := rt.Splice(proactor.AtCursor(out), proactor.AtCursor(int(f.Fd())), 5).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "23456", taken(t, r, n))
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 7, at)
	}},
	{name: "waits for either end", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		bothWays(t, rt, c, func(ctx context.Context) {
			in, w := emptyPipe(t)
			r, out, full := fullPipe(t)
			for _, start := range []func() futures.Future[int]{
				func() futures.Future[int] {
					return rt.Splice(proactor.AtCursor(out), proactor.AtCursor(in), 5)
				},
				func() futures.Future[int] { return rt.Tee(out, in, 5) },
			} {
				moved := start()
				put(t, w, "hello")
				require.Len(t, taken(t, r, full), full)
				n, err := moved.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, 5, n)
				require.Equal(t, "hello", taken(t, r, 5))
				put(t, out, string(make([]byte, full)))
			}
			ours, theirs := sockets(t)
			moved := rt.Splice(proactor.AtCursor(w), proactor.AtCursor(ours), 5)
			put(t, theirs, "world")
			n, err := moved.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "helloworld", taken(t, in, 5+n)) // the tee left some
		})
	}},
	{name: "cancel", show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		bothWays(t, rt, c, func(ctx context.Context) {
			for _, s := range stuckSplices(t, rt) {
				moved := s()
				moved.Cancel()
				_, err := moved.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				short, cancel := context.WithTimeout(ctx, time.Millisecond)
				_, err = s().Await(short)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				_, err = futures.WithTimeout(s(), time.Millisecond).Await(ctx)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
		})
	}},
	{name: "ends with the runtime", show: func(t *testing.T, rt *proactor.Runtime) {
		starts := stuckSplices(t, rt)
		var moved []futures.Future[int]
		for _, start := range starts {
			moved = append(moved, start())
		}
		require.NoError(t, rt.Close())
		for _, f := range moved {
			_, err := f.Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		_, err := starts[0]().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "many that wait hold nobody up", show: func(t *testing.T, rt *proactor.Runtime) {
		in, _ := emptyPipe(t)
		_, out := emptyPipe(t)
		var moved []futures.Future[int]
		for range 2000 {
			moved = append(moved, rt.Splice(proactor.AtCursor(out), proactor.AtCursor(in), 5))
		}
		other, w := emptyPipe(t)
		put(t, w, "hello")
		n, err := rt.Splice(proactor.AtCursor(out), proactor.AtCursor(other), 5).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 5, n)
		_, err = rt.Stat(".").Await(t.Context())
		require.NoError(t, err)
		for _, f := range moved {
			f.Cancel()
		}
		for _, f := range moved {
			_, err := f.Await(t.Context())
			require.ErrorIs(t, err, futures.ErrCanceled)
		}
	}},
	{name: "does not lock the pipe while it waits for a socket", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w := emptyPipe(t)
		ours, theirs := sockets(t)
		moved := rt.Splice(proactor.AtCursor(w), proactor.AtCursor(ours), 100)
		for range 10 {
			put(t, w, "x")
			require.Equal(t, "x", taken(t, r, 1))
		}
		put(t, theirs, "y")
		n, err := moved.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "y", taken(t, r, n))
	}},
	{name: "the end", show: func(t *testing.T, rt *proactor.Runtime) {
		_, out := emptyPipe(t)
		f := fileNamed(t, "x")
		ours, theirs := sockets(t)
		in, w := emptyPipe(t)
		end := func(src proactor.SpliceEnd) {
			t.Helper()
			_, err := rt.Splice(proactor.AtCursor(out), src, 5).Await(t.Context())
			require.Equal(t, io.EOF, err)
		}
		end(proactor.AtOffset(int(f.Fd()), 1))
		require.NoError(t, unix.Shutdown(theirs, unix.SHUT_WR))
		end(proactor.AtCursor(ours))
		moved := rt.Splice(proactor.AtCursor(out), proactor.AtCursor(in), 5)
		require.NoError(t, unix.Dup2(out, w)) // closes it
		_, err := moved.Await(t.Context())
		require.Equal(t, io.EOF, err)
		_, err = rt.Tee(out, in, 5).Await(t.Context())
		require.Equal(t, io.EOF, err)
	}},
	{name: "what cannot be spliced", show: func(t *testing.T, rt *proactor.Runtime) {
		r, w := emptyPipe(t)
		put(t, w, "hello")
		f := int(fileNamed(t, "0123456789").Fd())
		_, out := emptyPipe(t)
		ours, theirs := sockets(t)
		put(t, ours, "hello")
		gone, nobody := emptyPipe(t)
		require.NoError(t, unix.Dup2(nobody, gone))
		event := eventfd(t)
		signalEvent(t, event)
		for _, c := range []struct {
			dst, src proactor.SpliceEnd
			n        int
			want     syscall.Errno
		}{
			{proactor.AtCursor(ours), proactor.AtCursor(theirs), 5, syscall.EINVAL},
			{proactor.AtOffset(f, 0), proactor.AtOffset(f, 5), 5, syscall.EINVAL},
			{proactor.AtCursor(out), proactor.AtCursor(event), 5, syscall.EINVAL},
			{proactor.AtCursor(w), proactor.AtCursor(r), 5, syscall.EINVAL},
			{proactor.AtCursor(out), proactor.AtOffset(f, -2), 5, syscall.EINVAL},
			{proactor.AtOffset(out, 3), proactor.AtCursor(r), 5, syscall.ESPIPE},
			{proactor.AtCursor(nobody), proactor.AtCursor(r), 5, syscall.EPIPE},
			{proactor.AtCursor(out), proactor.AtCursor(1 << 20), 5, syscall.EBADF},
			{proactor.AtCursor(-1), proactor.AtCursor(r), 5, syscall.EBADF},
			{proactor.AtCursor(-1), proactor.AtCursor(r), 0, syscall.EBADF},
			{proactor.AtCursor(out), proactor.AtCursor(r), -1, syscall.EINVAL},
		} {
			_, err := rt.Splice(c.dst, c.src, c.n).Await(t.Context())
			require.ErrorIs(t, err, c.want)
			var call *os.SyscallError
			require.ErrorAs(t, err, &call)
			require.Equal(t, "splice", call.Syscall)
		}
		_, err := rt.Tee(out, f, 5).Await(t.Context())
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, "tee")
	}},
	{name: "as steps of a chain", without: faultqueue.ShortReads | faultqueue.Interrupts, show: func(t *testing.T, rt *proactor.Runtime) {
		c, _ := accepted(t, rt)
		f := int(fileNamed(t, "0123456789").Fd())
		r, w := emptyPipe(t)
		ours, theirs := sockets(t)
		empty, _ := emptyPipe(t)
		step := func(src int, offset int64, dst int) proactor.Step {
			return proactor.Operation("splice", func(e *ring.SQE) { e.PrepSplice(src, offset, dst, ring.AtCursor, 4, 0) }).Full(4)
		}
		bothWays(t, rt, c, func(ctx context.Context) {
			results, err := rt.Chain(step(f, 2, w), step(r, ring.AtCursor, ours)).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{{N: 4}, {N: 4}}, results)
			require.Equal(t, "2345", taken(t, theirs, 4))
			results, err = rt.Chain(step(f, 8, w), step(r, ring.AtCursor, ours)).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.ErrorIs(t, results[1].Err, futures.ErrCanceled)
			require.Equal(t, "89", taken(t, r, 2))
			waits := rt.Chain(step(empty, ring.AtCursor, w), step(r, ring.AtCursor, ours))
			waits.Cancel()
			results, err = waits.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.ErrorIs(t, results[1].Err, futures.ErrCanceled)
		})
	}},
	{name: "a device", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		zero, err := os.OpenFile("/dev/zero", os.O_RDONLY, 0)
		require.NoError(t, err)
		defer zero.Close()
		null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
		require.NoError(t, err)
		defer null.Close()
		r, w := emptyPipe(t)
		n, err := rt.Splice(proactor.AtCursor(w), proactor.AtCursor(int(zero.Fd())), 5).Await(t.Context())
		require.NoError(t, err)
		n, err = rt.Splice(proactor.AtCursor(int(null.Fd())), proactor.AtCursor(r), n).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 5, n)
	}},
	{name: "everything of a file, to a socket that is read slowly", show: func(t *testing.T, rt *proactor.Runtime) {
		content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
		f := fileNamed(t, string(content))
		ours, theirs := sockets(t)
		var all sync.WaitGroup
		var got []byte
		all.Go(func() {
			for p := make([]byte, 10_000); ; {
				n, err := unix.Read(theirs, p)
				if n <= 0 || err != nil {
					return
				}
				got = append(got, p[:n]...)
			}
		})
		err := errors.Join(sendBySplice(t, rt, ours, int(f.Fd())), unix.Shutdown(ours, unix.SHUT_WR))
		all.Wait()
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	}},
}

// sendBySplice moves a file to a socket by way of a pipe, one piece being read
// while another is sent.
func sendBySplice(t testing.TB, rt *proactor.Runtime, socket, file int) error {
	l := rt.Loops()[0]
	r, w := emptyPipe(t)
	sent, end := futures.NewPromise[error](), make(chan error, 1)
	l.Go(t.Context(), func(ctx context.Context) error {
		for {
			if _, err := l.Splice(proactor.AtCursor(socket), proactor.AtCursor(r), 1<<20).Await(ctx); err != nil {
				sent.Resolve(err)
				return nil
			}
		}
	})
	l.Go(t.Context(), func(ctx context.Context) error {
		offset := int64(0)
		for {
			n, err := l.Splice(proactor.AtCursor(w), proactor.AtOffset(file, offset), 1<<20).Await(ctx)
			if err != nil {
				// The pipe ends with its other end: whoever sends gets the rest, and then that.
				unix.Dup2(r, w)
				end <- err
				return nil
			}
			offset += int64(n)
		}
	})
	err, _ := sent.Future().Await(t.Context())
	if fileErr := <-end; fileErr != io.EOF {
		return fileErr
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// stuckSplices start what waits: for a pipe to fill or empty, or a socket.
func stuckSplices(t *testing.T, rt *proactor.Runtime) []func() futures.Future[int] {
	t.Helper()
	empty, _ := emptyPipe(t)
	in, w := emptyPipe(t)
	put(t, w, "hello")
	_, out := emptyPipe(t)
	_, full, _ := fullPipe(t)
	ours, _ := sockets(t)
	f := int(fileNamed(t, "hello").Fd())
	splice := func(dst, src proactor.SpliceEnd) func() futures.Future[int] {
		return func() futures.Future[int] { return rt.Splice(dst, src, 5) }
	}
	return []func() futures.Future[int]{
		splice(proactor.AtCursor(out), proactor.AtCursor(empty)),
		splice(proactor.AtCursor(full), proactor.AtCursor(in)),
		splice(proactor.AtCursor(out), proactor.AtCursor(ours)),
		splice(proactor.AtCursor(full), proactor.AtOffset(f, 0)),
		splice(proactor.AtOffset(f, 0), proactor.AtCursor(empty)),
		func() futures.Future[int] { return rt.Tee(out, empty, 5) },
		func() futures.Future[int] { return rt.Tee(full, in, 5) },
	}
}

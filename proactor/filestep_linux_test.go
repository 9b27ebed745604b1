package proactor_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceFileChain(t *testing.T) { conform(t, filesInChains) }

// chained opens a file of its own with that content, on the caller's loop.
func chained(t *testing.T, ctx context.Context, rt *proactor.Runtime, content string) *proactor.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	f, err := rt.OpenFile(name, os.O_RDWR, 0).Await(ctx)
	require.NoError(t, err)
	return f
}

func closed(t *testing.T, ctx context.Context, f *proactor.File) {
	t.Helper()
	_, err := f.Close().Await(ctx)
	require.NoError(t, err)
}

// forever is a step that ends when it is canceled.
func forever(t *testing.T) proactor.Step {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	fd := int(r.Fd())
	return proactor.Operation("poll", func(e *ring.SQE) { e.PrepPoll(fd, ring.PollIn) })
}

var filesInChains = []behaviour{
	{name: "write, sync, and read it back", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "0123456789")
			p := make([]byte, 6)
			results, err := rt.Chain(f.WriteStep([]byte("abc"), 4), f.SyncStep(), f.SyncDataStep(), f.ReadFullStep(p, 3)).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(3), count(0), count(0), count(6)}, results)
			require.Equal(t, "3abc78", string(p))
			closed(t, ctx, f)
		})
	}},
	{name: "read and close", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "content")
			p := make([]byte, 100)
			results, err := rt.Chain(f.ReadStep(p, 2), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(5), count(0)}, results)
			require.Equal(t, "ntent", string(p[:5]))
			require.Equal(t, -1, f.Fd())
			_, err = f.ReadAt(p, 0).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			_, err = rt.Chain(f.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
		})
	}},
	{name: "the end of the file ends a chain", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "1234")
			p := make([]byte, 8)
			results, err := rt.Chain(f.ReadFullStep(p, 0), f.SyncStep(), f.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			var e *fs.PathError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "read", e.Op)
			require.Equal(t, f.Name(), e.Path)
			require.Equal(t, 4, results[0].N)
			require.Equal(t, futures.ErrCanceled, results[1].Err)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			_, err = rt.Chain(f.ReadStep(p, 4), f.SyncStep()).Await(ctx)
			require.Equal(t, io.EOF, err)
			// It is open still.
			n, err := f.ReadAt(p[:4], 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			results, err = rt.Chain(f.ReadFullStep(p, 0), f.CloseStep().Always()).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.NoError(t, results[1].Err)
			require.Equal(t, -1, f.Fd())
		})
	}},
	{name: "what fails in the middle cancels the rest", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "x")
			r, err := rt.Open(f.Name()).Await(ctx)
			require.NoError(t, err)
			if r.Loop() != f.Loop() {
				_, err = rt.Chain(f.SyncStep(), r.SyncStep()).Await(ctx)
				require.ErrorContains(t, err, "different loops")
				closed(t, ctx, f)
				closed(t, ctx, r)
				return
			}
			results, err := rt.Chain(f.WriteStep([]byte("abc"), 0), r.WriteStep([]byte("no"), 0), f.SyncStep()).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
			var e *fs.PathError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "write", e.Op)
			require.Equal(t, count(3), results[0])
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			closed(t, ctx, f)
			closed(t, ctx, r)
		})
	}},
	{name: "no failure of any operation lets the next run", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "as it was")
			r, err := os.Open(f.Name())
			require.NoError(t, err)
			defer r.Close()
			fd, there := int(r.Fd()), append([]byte(f.Name()), 0)
			missing := append([]byte(f.Name()+"/missing"), 0)
			var stat unix.Statx_t
			for name, prepare := range map[string]func(*ring.SQE){
				"mkdirat":   func(e *ring.SQE) { e.PrepMkdirat(unix.AT_FDCWD, &there[0], 0o700) },
				"unlinkat":  func(e *ring.SQE) { e.PrepUnlinkat(unix.AT_FDCWD, &missing[0], 0) },
				"renameat":  func(e *ring.SQE) { e.PrepRenameat(unix.AT_FDCWD, &missing[0], unix.AT_FDCWD, &there[0], 0) },
				"linkat":    func(e *ring.SQE) { e.PrepLinkat(unix.AT_FDCWD, &missing[0], unix.AT_FDCWD, &there[0], 0) },
				"symlinkat": func(e *ring.SQE) { e.PrepSymlinkat(&missing[0], unix.AT_FDCWD, &there[0]) },
				"statx":     func(e *ring.SQE) { e.PrepStatx(unix.AT_FDCWD, &missing[0], 0, 0, unsafe.Pointer(&stat)) },
				"openat":    func(e *ring.SQE) { e.PrepOpenat(unix.AT_FDCWD, &missing[0], 0, 0) },
				"fallocate": func(e *ring.SQE) { e.PrepFallocate(fd, 0, 0, 1) },
				"ftruncate": func(e *ring.SQE) { e.PrepFtruncate(fd, 1) },
				"fadvise":   func(e *ring.SQE) { e.PrepFadvise(fd, 0, 0, 99) },
				"fsync":     func(e *ring.SQE) { e.PrepFsync(-1, 0) },
				"close":     func(e *ring.SQE) { e.PrepClose(-1) },
			} {
				results, err := rt.Chain(proactor.Operation(name, prepare), f.WriteStep([]byte("changed"), 0)).Await(ctx)
				var e *os.SyscallError
				require.ErrorAs(t, err, &e, name)
				require.Equal(t, name, e.Syscall)
				require.Equal(t, err, results[0].Err)
				require.Equal(t, futures.ErrCanceled, results[1].Err, name)
				require.Equal(t, "as it was", content(t, f), name)
			}
			closed(t, ctx, f)
		})
	}},
	{name: "a Close waits for the chain, and nothing begins meanwhile", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "")
			p := make([]byte, 1<<20)
			chain := rt.Chain(f.WriteStep(p, 0), f.SyncStep(), f.WriteStep(p, 1<<20), f.SyncStep())
			closing := f.Close()
			_, err := rt.Chain(f.SyncStep()).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			_, err = chain.Await(ctx)
			require.NoError(t, err)
			_, err = closing.Await(ctx)
			require.NoError(t, err)
			info, err := os.Stat(f.Name())
			require.NoError(t, err)
			require.EqualValues(t, 2<<20, info.Size())
		})
	}},
	{name: "a CloseStep waits for what is under way", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "")
			p := make([]byte, 1<<16)
			var writes []futures.Future[int]
			for i := range 50 {
				writes = append(writes, f.WriteAt(p, int64(i)<<16))
			}
			_, err := rt.Chain(f.SyncStep(), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			for _, w := range writes {
				n, err := w.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, len(p), n)
			}
		})
	}},
	{name: "canceled before its close, a chain leaves the file open", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "")
			chain := rt.Chain(f.WriteStep([]byte("abc"), 0), forever(t), f.CloseStep())
			chain.Cancel()
			_, err := chain.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			_, err = f.WriteAt([]byte("def"), 0).Await(ctx)
			require.NoError(t, err)
			closed(t, ctx, f)
		})
	}},
	{name: "misuse", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := chained(t, ctx, rt, "x")
			a, err := rt.OpenFile(f.Name(), os.O_WRONLY|os.O_APPEND, 0).Await(ctx)
			require.NoError(t, err)
			for _, s := range []proactor.Step{
				f.WriteStep([]byte("x"), -1), f.ReadStep(make([]byte, 1), -7), f.ReadFullStep(make([]byte, 1), -7),
				f.ReadStep(nil, 0), f.ReadFullStep(nil, 0), a.WriteStep([]byte("x"), 0),
			} {
				_, err := rt.Chain(s).Await(ctx)
				var e *fs.PathError
				require.ErrorAs(t, err, &e)
			}
			_, err = rt.Chain(f.CloseStep(), f.SyncStep()).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			_, err = rt.Chain(f.CloseStep(), f.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			results, err := rt.Chain(f.WriteStep(nil, 0), f.SyncStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, count(0), results[0])
			closed(t, ctx, f)
			closed(t, ctx, a)
		})
	}},
	{name: "the runtime ends in the middle", show: func(t *testing.T, rt *proactor.Runtime) {
		f := chained(t, context.Background(), rt, "")
		chain := rt.Chain(f.WriteStep(make([]byte, 1<<20), 0), forever(t), f.SyncStep(), f.CloseStep().Always())
		require.NoError(t, rt.Close())
		_, err := chain.Await(context.Background())
		require.ErrorIs(t, err, proactor.ErrClosed)
		require.Equal(t, -1, f.Fd())
	}},
}

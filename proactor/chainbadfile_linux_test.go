package proactor_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

// A chain of which one file cannot do what it is asked for ends with the error of
// that file's step, and the others are closed.
func TestChainWithAFileThatCannot(t *testing.T) {
	for _, c := range []struct {
		name string
		path func(t *testing.T) string
		flag int
		step func(f *proactor.ChainFile) proactor.Step
		op   string
		want error
	}{
		{"directory read", func(t *testing.T) string { return t.TempDir() }, os.O_RDONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.ReadStep(make([]byte, 10), 0) }, "read", syscall.EISDIR},
		{"directory read in full", func(t *testing.T) string { return t.TempDir() }, os.O_RDONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.ReadFullStep(make([]byte, 10), 0) }, "read", syscall.EISDIR},
		{"directory written", func(t *testing.T) string { return t.TempDir() }, os.O_WRONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.WriteStep([]byte("x"), 0) }, "open", syscall.EISDIR},
		{"full device", func(*testing.T) string { return "/dev/full" }, os.O_WRONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.WriteStep([]byte("x"), 0) }, "write", syscall.ENOSPC},
		{"full device synced", func(*testing.T) string { return "/dev/full" }, os.O_WRONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.SyncStep() }, "sync", syscall.EINVAL},
		{"none there", func(t *testing.T) string { return t.TempDir() + "/none" }, os.O_RDONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.ReadStep(make([]byte, 10), 0) }, "open", syscall.ENOENT},
		{"read of what is open for writing", func(t *testing.T) string { return named(t, "x") }, os.O_WRONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.ReadStep(make([]byte, 10), 0) }, "read", syscall.EBADF},
		{"FIFO synced", func(t *testing.T) string { return pipeNamed(t) }, os.O_RDWR,
			func(f *proactor.ChainFile) proactor.Step { return f.SyncStep() }, "sync", syscall.EINVAL},
		{"FIFO without a reader", func(t *testing.T) string { return pipeNamed(t) }, os.O_WRONLY,
			func(f *proactor.ChainFile) proactor.Step { return f.WriteStep([]byte("x"), 0) }, "open", syscall.ENXIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				path := c.path(t)
				bad := proactor.NewChainFile(path, c.flag, 0)
				before, after := named(t, "0123456789"), named(t, "0123456789")
				first, last := proactor.NewChainFile(before, os.O_RDONLY, 0), proactor.NewChainFile(after, os.O_RDWR, 0)
				everywhere(t, rt, func(ctx context.Context) {
					p := make([]byte, 10)
					_, err := rt.Chain(first.OpenStep(), first.ReadFullStep(p, 0), bad.OpenStep(), c.step(bad), last.OpenStep(),
						last.WriteStep([]byte("never"), 0), last.CloseStep(), bad.CloseStep(), first.CloseStep()).Await(ctx)
					var failed *fs.PathError
					require.ErrorAs(t, err, &failed)
					require.ErrorIs(t, err, c.want)
					require.Equal(t, c.op, failed.Op)
					require.Equal(t, path, failed.Path)
					content, err := os.ReadFile(after)
					require.NoError(t, err)
					require.Equal(t, "0123456789", string(content))
					require.Zero(t, proactor.SlotsTaken(rt))
				})
			})
		})
	}
}

// The same with files that are open already.
func TestChainWithAnOpenFileThatCannot(t *testing.T) {
	for _, c := range []struct {
		name string
		path func(t *testing.T) string
		flag int
		step func(f *proactor.File) proactor.Step
		op   string
		want error
	}{
		{"directory read", func(t *testing.T) string { return t.TempDir() }, os.O_RDONLY,
			func(f *proactor.File) proactor.Step { return f.ReadStep(make([]byte, 10), 0) }, "read", syscall.EISDIR},
		{"directory read at its cursor", func(t *testing.T) string { return t.TempDir() }, os.O_RDONLY,
			func(f *proactor.File) proactor.Step { return f.ReadNextStep(make([]byte, 10)) }, "read", syscall.EISDIR},
		{"full device", func(*testing.T) string { return "/dev/full" }, os.O_WRONLY,
			func(f *proactor.File) proactor.Step { return f.WriteStep([]byte("x"), 0) }, "write", syscall.ENOSPC},
		{"full device at its cursor", func(*testing.T) string { return "/dev/full" }, os.O_WRONLY,
			func(f *proactor.File) proactor.Step { return f.WriteNextStep([]byte("x")) }, "write", syscall.ENOSPC},
		{"full device synced", func(*testing.T) string { return "/dev/full" }, os.O_WRONLY,
			func(f *proactor.File) proactor.Step { return f.SyncDataStep() }, "sync", syscall.EINVAL},
		{"FIFO synced", func(t *testing.T) string { return pipeNamed(t) }, os.O_RDWR,
			func(f *proactor.File) proactor.Step { return f.SyncStep() }, "sync", syscall.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				path := c.path(t)
				after := named(t, "0123456789")
				everywhere(t, rt, func(ctx context.Context) {
					f, err := rt.OpenFile(path, c.flag, 0).Await(ctx)
					require.NoError(t, err)
					defer func() { f.Close().Await(ctx) }()
					last := proactor.NewChainFile(after, os.O_RDWR, 0)
					_, err = rt.Chain(last.OpenStep(), c.step(f), last.WriteStep([]byte("never"), 0), last.CloseStep()).Await(ctx)
					var failed *fs.PathError
					require.ErrorAs(t, err, &failed)
					require.ErrorIs(t, err, c.want)
					require.Equal(t, c.op, failed.Op)
					require.Equal(t, path, failed.Path)
					content, err := os.ReadFile(after)
					require.NoError(t, err)
					require.Equal(t, "0123456789", string(content))
				})
			})
		})
	}
}

// A chain that waits for what comes out of a FIFO is canceled: nothing hangs, and
// what it has opened is closed.
func TestChainThatWaitsForAFIFO(t *testing.T) {
	for name, step := range map[string]func(f *proactor.ChainFile) proactor.Step{
		"read":         func(f *proactor.ChainFile) proactor.Step { return f.ReadStep(make([]byte, 1), 0) },
		"read in full": func(f *proactor.ChainFile) proactor.Step { return f.ReadFullStep(make([]byte, 10), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				everywhere(t, rt, func(ctx context.Context) {
					before := proactor.NewChainFile(named(t, "0123456789"), os.O_RDONLY, 0)
					fifo := proactor.NewChainFile(pipeNamed(t), os.O_RDWR, 0)
					f := rt.Chain(before.OpenStep(), before.ReadFullStep(make([]byte, 10), 0), fifo.OpenStep(), step(fifo), fifo.CloseStep(), before.CloseStep())
					turn(ctx, rt)
					f.Cancel()
					_, err := f.Await(ctx)
					require.ErrorIs(t, err, futures.ErrCanceled)
					var failed *fs.PathError
					if errors.As(err, &failed) {
						require.Equal(t, fifo.Name(), failed.Path)
					}
					notOpen(t, ctx, rt, fifo.Name(), "canceled")
					require.Zero(t, proactor.SlotsTaken(rt))
				})
			})
		})
	}
}

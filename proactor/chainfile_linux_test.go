package proactor_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceChainFile(t *testing.T) { conform(t, chainFileBehaviors) }

// named makes a file with that content.
func named(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

// pipeNamed makes a named pipe. isOpen reports whether somebody has it open.
func pipeNamed(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(name, 0o600))
	return name
}

// notOpen waits until nobody has a named pipe open. A worker of the kernel may keep a file
// open for a moment longer than its operation takes.
func notOpen(t *testing.T, ctx context.Context, rt *proactor.Runtime, name, what string) {
	t.Helper()
	eventually(t, func() bool { turn(ctx, rt); return !isOpen(t, name) }, func() string { return what + ": the file is open still" })
}

func isOpen(t *testing.T, name string) bool {
	t.Helper()
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		require.NoError(t, unix.Close(fd))
		return true
	}
	require.Equal(t, unix.ENXIO, err)
	return false
}

var chainFileBehaviors = []behaviour{
	{name: "open, read and close", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "0123456789")
			f := proactor.NewChainFile(name, os.O_RDONLY, 0)
			require.Equal(t, name, f.Name())
			for range 3 { // and again
				p := make([]byte, 100)
				results, err := rt.Chain(f.OpenStep(), f.ReadStep(p, 4), f.CloseStep()).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, []proactor.StepResult{count(0), count(6), count(0)}, results)
				require.Equal(t, "456789", string(p[:6]))
			}
			one, two := make([]byte, 3), make([]byte, 7)
			results, err := rt.Chain(f.OpenStep(), f.ReadFullStep(one, 0), f.ReadFullStep(two, 3), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(0), count(3), count(7), count(0)}, results)
			require.Equal(t, "0123456789", string(one)+string(two))
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "open, write, sync and close", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := filepath.Join(t.TempDir(), "new")
			f := proactor.NewChainFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_CLOEXEC, 0o640)
			results, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("hello "), 0), f.WriteStep([]byte("file"), 6),
				f.SyncStep(), f.SyncDataStep(), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(0), count(6), count(4), count(0), count(0), count(0)}, results)
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Equal(t, "hello file", string(content))
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o640), info.Mode().Perm()|0o040)
			_, err = rt.Chain(f.OpenStep(), f.WriteStep([]byte("x"), 0), f.CloseStep()).Await(ctx)
			_, want := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
			same(t, want, err)
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "a file that is written at its end", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "0123456789")
			f := proactor.NewChainFile(name, os.O_WRONLY|os.O_APPEND, 0)
			_, err := rt.Chain(f.OpenStep(), f.WriteStep([]byte("ab"), 0), f.WriteStep([]byte("c"), 0), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Equal(t, "0123456789abc", string(content))
		})
	}},
	{name: "a file that does not open", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := filepath.Join(t.TempDir(), "missing")
			f := proactor.NewChainFile(name, os.O_RDONLY, 0)
			results, err := rt.Chain(f.OpenStep(), f.ReadStep(make([]byte, 1), 0), f.SyncStep().Always(), f.CloseStep()).Await(ctx)
			_, want := os.Open(name)
			same(t, want, err)
			require.Equal(t, err, results[0].Err)
			for _, r := range results[1:] {
				require.Equal(t, proactor.StepResult{Err: futures.ErrCanceled}, r)
			}
		})
	}},
	{name: "what fails is not in the way of the close", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "1234")
			f := proactor.NewChainFile(name, os.O_RDONLY, 0)
			p := make([]byte, 8)
			results, err := rt.Chain(f.OpenStep(), f.ReadFullStep(p, 0), f.SyncStep(), f.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			var e *fs.PathError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "read", e.Op)
			require.Equal(t, name, e.Path)
			require.Equal(t, 4, results[1].N)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			require.Equal(t, count(0), results[3], "closed all the same")
			require.Zero(t, proactor.SlotsTaken(rt))

			results, err = rt.Chain(f.OpenStep(), f.WriteStep([]byte("x"), 0), f.SyncStep(), f.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
			require.ErrorAs(t, err, &e)
			require.Equal(t, "write", e.Op)
			require.Equal(t, futures.ErrCanceled, results[2].Err)
			require.Equal(t, count(0), results[3])
			require.Zero(t, proactor.SlotsTaken(rt))

			results, err = rt.Chain(f.OpenStep(), f.ReadStep(p, 4), f.CloseStep()).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, count(0), results[2])
			// Nor does what comes behind the close begin.
			results, err = rt.Chain(f.OpenStep(), f.ReadFullStep(p, 0), f.CloseStep(), nop).Await(ctx)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, count(0), results[2])
			require.Equal(t, futures.ErrCanceled, results[3].Err)
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "without a close the chain closes it", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "1234")
			f := proactor.NewChainFile(name, os.O_RDONLY, 0)
			p := make([]byte, 4)
			results, err := rt.Chain(f.OpenStep(), f.ReadFullStep(p, 0)).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(0), count(4)}, results)
			_, err = rt.Chain(f.OpenStep(), f.WriteStep(p, 0)).Await(ctx)
			require.ErrorIs(t, err, syscall.EBADF)
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "copy one file to another in a chain", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "0123456789")
			in := proactor.NewChainFile(name, os.O_RDONLY, 0)
			out := proactor.NewChainFile(name+"-copy", os.O_WRONLY|os.O_CREATE, 0o600)
			p := make([]byte, 10)
			_, err := rt.Chain(in.OpenStep(), out.OpenStep(), in.ReadFullStep(p, 0), out.WriteStep(p, 0),
				out.SyncStep(), in.CloseStep(), out.CloseStep()).Await(ctx)
			require.NoError(t, err)
			content, err := os.ReadFile(name + "-copy")
			require.NoError(t, err)
			require.Equal(t, "0123456789", string(content))
			nowhere := proactor.NewChainFile(filepath.Join(name, "no"), os.O_WRONLY|os.O_CREATE, 0o600)
			results, err := rt.Chain(in.OpenStep(), nowhere.OpenStep(), in.CloseStep(), nowhere.CloseStep()).Await(ctx)
			require.ErrorIs(t, err, syscall.ENOTDIR)
			require.Equal(t, count(0), results[2])
			require.Equal(t, futures.ErrCanceled, results[3].Err)
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "more chains than there are slots", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "0123456789")
			f := proactor.NewChainFile(name, os.O_RDONLY, 0)
			var all []futures.Future[[]proactor.StepResult]
			var memory [][]byte
			for i := range 600 {
				p := make([]byte, 3)
				memory = append(memory, p)
				all = append(all, rt.Chain(f.OpenStep(), f.ReadFullStep(p, int64(i%8)), f.CloseStep()))
			}
			for i, chain := range all {
				_, err := chain.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "0123456789"[i%8:i%8+3], string(memory[i]))
			}
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "canceled, a chain closes its file", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "1234")
			f := proactor.NewChainFile(name, os.O_RDWR, 0)
			for i := range 20 {
				require.NoError(t, os.WriteFile(name, nil, 0o600)) // what the chain before wrote would be taken for its own
				chain := rt.Chain(f.OpenStep(), f.WriteStep([]byte("abcd"), 0), forever(t), f.SyncStep(), f.CloseStep())
				if i%2 == 0 { // when it waits
					eventually(t, func() bool { b, _ := os.ReadFile(name); turn(ctx, rt); return bytes.Equal(b, []byte("abcd")) },
						func() string { return "nothing written" })
				}
				chain.Cancel()
				results, err := chain.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				require.Equal(t, futures.ErrCanceled, results[3].Err)
				require.Zero(t, proactor.SlotsTaken(rt))
			}
		})
	}},
	{name: "whatever becomes of a chain, nobody has its file open afterwards", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := pipeNamed(t)
			f := proactor.NewChainFile(name, os.O_RDWR, 0)
			p := make([]byte, 4)
			for what, steps := range map[string][]proactor.Step{
				"success":           {f.OpenStep(), f.WriteStep(p, 0), f.ReadFullStep(p, 0), f.CloseStep()},
				"no close":          {f.OpenStep(), f.WriteStep(p, 0)},
				"failure":           {f.OpenStep(), f.SyncStep(), f.WriteStep(p, 0), f.CloseStep()},
				"failure, at once":  {f.OpenStep(), f.SyncStep(), f.CloseStep()},
				"failure, no close": {f.OpenStep(), f.SyncStep()},
			} {
				_, err := rt.Chain(steps...).Await(ctx)
				if what == "success" || what == "no close" {
					require.NoError(t, err, what)
				} else {
					require.ErrorIs(t, err, syscall.EINVAL, what) // no pipe is synced
				}
				notOpen(t, ctx, rt, name, what)
			}
			for _, steps := range [][]proactor.Step{
				{f.OpenStep(), f.ReadStep(p, 0), f.CloseStep()},
				{f.OpenStep(), f.ReadStep(p, 0)},
				{f.OpenStep(), f.ReadFullStep(p, 0), f.SyncStep(), f.CloseStep()},
			} {
				chain := rt.Chain(steps...)
				chain.Cancel() // perhaps before it begins
				_, err := chain.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				notOpen(t, ctx, rt, name, "canceled")
				chain = rt.Chain(steps...)
				eventually(t, func() bool { turn(ctx, rt); return isOpen(t, name) }, func() string { return "not opened" })
				chain.Cancel()
				results, err := chain.Await(ctx)
				require.ErrorIs(t, err, futures.ErrCanceled)
				require.Equal(t, futures.ErrCanceled, results[1].Err)
				notOpen(t, ctx, rt, name, "canceled in the middle")
			}
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "in registered memory, without the page cache", show: func(t *testing.T, rt *proactor.Runtime) {
		l := rt.Loops()[0]
		onLoop(t, l, func(ctx context.Context) {
			m, err := l.AlignedMemory(8192).Await(ctx)
			require.NoError(t, err)
			p := m.Bytes()
			copy(p, "aligned")
			name := named(t, "")
			f := proactor.NewChainFile(name, os.O_RDWR, 0)
			_, err = rt.Chain(f.OpenStep(), f.WriteStep(p[:4096], 0), f.ReadFullStep(p[4096:], 0), f.CloseStep()).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, p[:4096], p[4096:])
			_, err = m.Release().Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "misuse", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			name := named(t, "1234")
			f := proactor.NewChainFile(name, os.O_RDWR, 0)
			a := proactor.NewChainFile(name, os.O_RDWR|os.O_APPEND, 0)
			nul := proactor.NewChainFile("a\x00b", os.O_RDONLY, 0)
			p := make([]byte, 4)
			for what, steps := range map[string][]proactor.Step{
				"no open":        {f.ReadStep(p, 0), f.CloseStep()},
				"only a close":   {f.CloseStep()},
				"open behind":    {f.SyncStep(), f.OpenStep(), f.CloseStep()},
				"twice":          {f.OpenStep(), f.OpenStep()},
				"again":          {f.OpenStep(), f.CloseStep(), f.OpenStep()},
				"closed":         {f.OpenStep(), f.CloseStep(), f.SyncStep()},
				"closed twice":   {f.OpenStep(), f.CloseStep(), f.CloseStep()},
				"negative read":  {f.OpenStep(), f.ReadStep(p, -1), f.CloseStep()},
				"negative full":  {f.OpenStep(), f.ReadFullStep(p, -1), f.CloseStep()},
				"negative write": {f.OpenStep(), f.WriteStep(p, -1), f.CloseStep()},
				"nothing read":   {f.OpenStep(), f.ReadStep(nil, 0), f.CloseStep()},
				"append at":      {a.OpenStep(), a.WriteStep(p, 4), a.CloseStep()},
				"no name":        {nul.OpenStep(), nul.CloseStep()},
			} {
				_, err := rt.Chain(steps...).Await(ctx)
				var e *fs.PathError
				require.ErrorAs(t, err, &e, what)
			}
			_, err := rt.Chain(f.OpenStep(), f.CloseStep(), f.SyncStep()).Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			require.Zero(t, proactor.SlotsTaken(rt))
		})
	}},
	{name: "the runtime ends in the middle", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		name := pipeNamed(t)
		f := proactor.NewChainFile(name, os.O_RDWR, 0)
		p := make([]byte, 4)
		chains := []futures.Future[[]proactor.StepResult]{
			rt.Chain(f.OpenStep(), f.ReadStep(p, 0), f.CloseStep()),
			rt.Chain(f.OpenStep(), f.ReadFullStep(p, 0), f.SyncStep(), f.CloseStep()),
			rt.Chain(f.OpenStep(), forever(t)),
		}
		require.NoError(t, rt.Close())
		for _, chain := range chains {
			_, err := chain.Await(context.Background())
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		eventually(t, func() bool { return !isOpen(t, name) }, func() string { return "the file is open still" })
		_, err := rt.Chain(f.OpenStep(), f.CloseStep()).Await(context.Background())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

var nop = proactor.Operation("nop", (*ring.SQE).PrepNop)

// turn lets the loop of a task turn once; elsewhere it turns by itself.
func turn(ctx context.Context, rt *proactor.Runtime) {
	rt.Chain(nop).Await(ctx)
}

// TestChainFileWithoutTable runs the rows above in a process whose RLIMIT_NOFILE
// is lower than what a table of direct descriptors takes.
func TestChainFileWithoutTable(t *testing.T) {
	const child = "GOPROACTOR_LOW_NOFILE_CHILD"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChainFileWithoutTable$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestChainFileWithoutTable")
		return
	}
	const limit = proactor.SlotsOfLoop - 1
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}))
	for _, b := range chainFileBehaviors {
		if b.name != "more chains than there are slots" { // each takes a descriptor now
			t.Run(b.name, func(t *testing.T) {
				onEach(t, func(t *testing.T, rt *proactor.Runtime) {
					b.show(t, rt)
					if b.name != "the runtime ends in the middle" {
						require.False(t, proactor.HasSlots(rt))
					}
				}, b.opts...)
			})
		}
	}
}

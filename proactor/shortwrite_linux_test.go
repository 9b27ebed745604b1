package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallPlace is where a file has room for three pages.
type smallPlace struct {
	name  string
	errno syscall.Errno // of a write that does not fit
	file  func(t *testing.T) (path string)
}

var smallPlaces = append([]smallPlace{sealedPlace}, emptyPlaces...)

// sealedPlace is a file of three pages that cannot grow.
var sealedPlace = smallPlace{
	"sealed file", syscall.EPERM, func(t *testing.T) string {
		fd, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		require.NoError(t, unix.Ftruncate(fd, int64(roomOfSmallPlace())))
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
		require.NoError(t, err)
		return fmt.Sprintf("/proc/self/fd/%d", fd)
	},
}

// emptyPlaces are those of a file that grows from nothing.
var emptyPlaces = []smallPlace{
	{"limit of the process", syscall.EFBIG, func(t *testing.T) string {
		signal.Ignore(syscall.SIGXFSZ)
		var before unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(roomOfSmallPlace()), Max: before.Max}))
		t.Cleanup(func() {
			require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
			signal.Reset(syscall.SIGXFSZ)
		})
		return filepath.Join(t.TempDir(), "file")
	}},
	{"full file system", syscall.ENOSPC, func(t *testing.T) string {
		dir := t.TempDir()
		err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", roomOfSmallPlace()))
		if errors.Is(err, fs.ErrPermission) {
			t.Skipf("mounting a file system needs CAP_SYS_ADMIN: %v", err)
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
		return filepath.Join(dir, "file")
	}},
}

func roomOfSmallPlace() int { return 3 * os.Getpagesize() }

// inPlaces runs a test on each backend in each place.
func inPlaces(t *testing.T, places []smallPlace, test func(t *testing.T, rt *proactor.Runtime, place smallPlace, path string)) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) { test(t, rt, place, place.file(t)) })
		})
	}
}

// isCut requires that a write of a file was ended by the place's error after some
// bytes.
func (p *smallPlace) isCut(t *testing.T, path string, err error) {
	t.Helper()
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.ErrorIs(t, err, p.errno)
	var e *fs.PathError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "write", e.Op)
	require.Equal(t, path, e.Path)
}

// A step at the cursor of which only a part fits says why, and the cursor is behind
// that part.
func TestChainWriteNextStepThatDoesNotFit(t *testing.T) {
	inPlaces(t, smallPlaces, func(t *testing.T, rt *proactor.Runtime, place smallPlace, path string) {
		room := roomOfSmallPlace()
		long := bytes.Repeat([]byte("0123456789abcdef"), room/8)
		for _, c := range []struct {
			name          string
			before, after []string
			long          int
		}{
			{name: "alone", long: 2 * room},
			{name: "by one byte", long: room + 1},
			{name: "at the end", before: []string{"head", "and more"}, long: room},
			{name: "in the middle", before: []string{"head"}, long: room - 3, after: []string{"tail", "and more"}},
			{name: "at the beginning", long: 2 * room, after: []string{"tail"}},
		} {
			everywhere(t, rt, func(ctx context.Context) {
				f, err := rt.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC&truncates(path), 0o600).Await(ctx)
				require.NoError(t, err)
				var steps []proactor.Step
				want := ""
				for _, s := range c.before {
					steps = append(steps, f.WriteNextStep([]byte(s)))
					want += s
				}
				fits := room - len(want)
				steps = append(steps, f.WriteNextStep(long[:c.long]))
				for _, s := range c.after {
					steps = append(steps, f.WriteNextStep([]byte(s)))
				}
				steps = append(steps, f.SyncStep())
				results, err := rt.Chain(steps...).Await(ctx)
				place.isCut(t, path, err)
				cut := len(c.before)
				for i, s := range c.before {
					require.Equal(t, count(len(s)), results[i], c.name)
				}
				require.Equal(t, proactor.StepResult{N: fits, Err: err}, results[cut], c.name)
				for _, r := range results[cut+1:] {
					require.Equal(t, proactor.StepResult{Err: futures.ErrCanceled}, r, c.name)
				}
				requireCursor(t, f, room)
				n, err := f.Write([]byte("ZZZ")).Await(ctx)
				require.ErrorIs(t, err, place.errno)
				require.Zero(t, n)
				require.Equal(t, want+string(long[:fits]), contentByRead(t, ctx, f))
				closed(t, ctx, f)
			})
		}
	})
}

// truncates is every flag for a file that may lose its content, none for a sealed one.
func truncates(path string) int {
	if filepath.Dir(path) == "/proc/self/fd" {
		return 0
	}
	return ^0
}

func requireCursor(t *testing.T, f *proactor.File, want int) {
	t.Helper()
	at, err := unix.Seek(f.Fd(), 0, io.SeekCurrent)
	require.NoError(t, err)
	require.EqualValues(t, want, at, "cursor")
}

// contentByRead reads through the file itself, whose name may lead nowhere.
func contentByRead(t *testing.T, ctx context.Context, f *proactor.File) string {
	t.Helper()
	p := make([]byte, roomOfSmallPlace()+1)
	n, err := f.ReadAt(p, 0).Await(ctx)
	require.Equal(t, io.EOF, err)
	return string(p[:n])
}

// The same of a file that is written at its end.
func TestChainAppendThatDoesNotFit(t *testing.T) {
	inPlaces(t, emptyPlaces, func(t *testing.T, rt *proactor.Runtime, place smallPlace, path string) {
		room := roomOfSmallPlace()
		everywhere(t, rt, func(ctx context.Context) {
			f, err := rt.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600).Await(ctx)
			require.NoError(t, err)
			results, err := rt.Chain(f.WriteNextStep([]byte("head")), f.WriteNextStep(make([]byte, room)), f.WriteNextStep([]byte("tail"))).Await(ctx)
			place.isCut(t, path, err)
			require.Equal(t, []proactor.StepResult{count(4), {N: room - 4, Err: err}, {Err: futures.ErrCanceled}}, results)
			requireCursor(t, f, room)
			closed(t, ctx, f)

			name := path + "-chain"
			c := proactor.NewChainFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			require.NoError(t, os.Remove(path))
			results, err = rt.Chain(c.OpenStep(), c.WriteStep([]byte("head"), 0), c.WriteStep(make([]byte, room), 0), c.CloseStep()).Await(ctx)
			place.isCut(t, name, err)
			require.Equal(t, []proactor.StepResult{count(0), count(4), {N: room - 4, Err: err}, count(0)}, results)
			require.NoError(t, os.Remove(name))
		})
	})
}

// A step at an offset, of a file that is open and of one that the chain opens.
func TestChainWriteStepThatDoesNotFit(t *testing.T) {
	inPlaces(t, smallPlaces, func(t *testing.T, rt *proactor.Runtime, place smallPlace, path string) {
		room, flags := roomOfSmallPlace(), os.O_RDWR|os.O_CREATE|os.O_TRUNC&truncates(path)
		half := bytes.Repeat([]byte("0123456789abcdef"), room/32)
		everywhere(t, rt, func(ctx context.Context) {
			f, err := rt.OpenFile(path, flags, 0o600).Await(ctx)
			require.NoError(t, err)
			results, err := rt.Chain(f.WriteStep(half, 0), f.WriteStep(make([]byte, room), int64(len(half))), f.SyncStep(), f.CloseStep().Always()).Await(ctx)
			place.isCut(t, path, err)
			require.Equal(t, []proactor.StepResult{count(len(half)), {N: room - len(half), Err: err}, {Err: futures.ErrCanceled}, count(0)}, results)
			require.Equal(t, -1, f.Fd())

			c := proactor.NewChainFile(path, flags, 0o600)
			p := make([]byte, len(half))
			for _, behind := range [][]proactor.Step{
				{c.CloseStep()},
				{c.SyncStep(), c.CloseStep()},
				{c.ReadStep(make([]byte, 1), 0), c.CloseStep()},
				{c.ReadFullStep(p, 0).Always(), c.CloseStep()},
				{},
			} {
				steps := []proactor.Step{c.OpenStep(), c.WriteStep(half, 0), c.WriteStep(make([]byte, room), int64(len(half)))}
				results, err := rt.Chain(append(steps, behind...)...).Await(ctx)
				place.isCut(t, path, err)
				require.Equal(t, []proactor.StepResult{count(0), count(len(half)), {N: room - len(half), Err: err}}, results[:3])
				if len(behind) > 0 {
					require.Equal(t, count(0), results[len(results)-1], "closed")
				}
				require.Zero(t, proactor.SlotsTaken(rt))
			}
			require.Equal(t, half, p, "read although the write was cut")
		})
	})
}

// In registered memory the rest of a write is registered, too.
func TestChainWriteOfAlignedMemoryThatDoesNotFit(t *testing.T) {
	inPlaces(t, smallPlaces, func(t *testing.T, rt *proactor.Runtime, place smallPlace, path string) {
		room := roomOfSmallPlace()
		l := rt.Loops()[0]
		onLoop(t, l, func(ctx context.Context) {
			m, err := l.AlignedMemory(2 * room).Await(ctx)
			require.NoError(t, err)
			f, err := rt.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600).Await(ctx)
			require.NoError(t, err)
			_, err = rt.Chain(f.WriteNextStep(m.Bytes()), f.SyncStep()).Await(ctx)
			place.isCut(t, path, err)
			requireCursor(t, f, room)
			closed(t, ctx, f)
			_, err = m.Release().Await(ctx)
			require.NoError(t, err)
		})
	})
}

// What no byte of fits has the errno alone, as File.Write has it.
func TestChainWriteOfWhichNothingFits(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f, err := rt.OpenFile("/dev/full", os.O_WRONLY, 0).Await(ctx)
			require.NoError(t, err)
			for _, s := range []proactor.Step{f.WriteNextStep(make([]byte, 10000)), f.WriteStep(make([]byte, 10000), 0)} {
				results, err := rt.Chain(s, f.SyncStep()).Await(ctx)
				require.Equal(t, &fs.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}, err)
				require.Equal(t, []proactor.StepResult{{Err: err}, {Err: futures.ErrCanceled}}, results)
			}
			closed(t, ctx, f)
		})
	})
}

// A step that reads in full is not done with what a pipe has at first, and the steps
// behind it run when it has the rest.
func TestChainReadInFullWaitsForTheRest(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f, write := waitingPipe(t, ctx, rt)
			p, q := make([]byte, 6), make([]byte, 2)
			write("abc")
			chain := rt.Chain(f.ReadNextFullStep(p), f.ReadNextFullStep(q), nop)
			eventually(t, func() bool { turn(ctx, rt); return inPipe(t, f.Fd()) == 0 }, func() string { return "nothing was read" })
			write("defgh")
			results, err := chain.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, []proactor.StepResult{count(6), count(2), count(0)}, results)
			require.Equal(t, "abcdefgh", string(p)+string(q))

			write("abc")
			chain = rt.Chain(f.ReadNextFullStep(p), nop)
			eventually(t, func() bool { turn(ctx, rt); return inPipe(t, f.Fd()) == 0 }, func() string { return "nothing was read" })
			chain.Cancel()
			results, err = chain.Await(ctx)
			require.ErrorIs(t, err, futures.ErrCanceled)
			require.Equal(t, []proactor.StepResult{{N: 3, Err: futures.ErrCanceled}, {Err: futures.ErrCanceled}}, results)
			closed(t, ctx, f)

			read, wrote, err := os.Pipe()
			require.NoError(t, err)
			r, err := rt.FileConn(read)
			require.NoError(t, err)
			_, err = wrote.WriteString("abc")
			require.NoError(t, err)
			chain = rt.Chain(r.RecvFullStep(p), r.RecvFullStep(q))
			eventually(t, func() bool { turn(ctx, rt); return inPipe(t, int(read.Fd())) == 0 }, func() string { return "nothing was read" })
			_, err = wrote.WriteString("defgh")
			require.NoError(t, err)
			_, err = chain.Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "abcdefgh", string(p)+string(q))
			r.Abort()
			require.NoError(t, read.Close())
			require.NoError(t, wrote.Close())
		})
	})
}

// A whole step that a bad address ends in the middle says so; it is not the end of the
// file.
func TestChainReadInFullThatAnErrorEnds(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			half := os.Getpagesize()
			p, err := unix.Mmap(-1, 0, 2*half, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			require.NoError(t, err)
			defer unix.Munmap(p)
			require.NoError(t, unix.Mprotect(p[half:], unix.PROT_NONE))
			f := chained(t, ctx, rt, string(make([]byte, 3*half)))
			for _, s := range []proactor.Step{f.ReadFullStep(p, 5), f.ReadNextFullStep(p)} {
				results, err := rt.Chain(s, nop).Await(ctx)
				require.ErrorIs(t, err, syscall.EFAULT)
				require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
				require.Equal(t, half, results[0].N)
			}
			requireCursor(t, f, half)
			closed(t, ctx, f)
		})
	})
}

func inPipe(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	require.NoError(t, err)
	return n
}

// A send that the end of the peer cuts says so, too.
func TestChainSendStepThatThePeerCuts(t *testing.T) {
	for _, network := range []string{"unix", "pipe"} {
		t.Run(network, func(t *testing.T) {
			onEach(t, func(t *testing.T, rt *proactor.Runtime) {
				everywhere(t, rt, func(ctx context.Context) {
					var reader, c *proactor.Conn
					var err error
					if network == "pipe" {
						reader, c, err = rt.Pipe()
					} else {
						reader, c, err = rt.SocketPair(network)
					}
					require.NoError(t, err)
					chain := rt.Chain(c.SendStep(make([]byte, 8<<20)), nop)
					_, err = reader.RecvInto(make([]byte, 10)).Await(ctx)
					require.NoError(t, err)
					reader.Abort()
					results, err := chain.Await(ctx)
					require.ErrorIs(t, err, io.ErrShortWrite)
					require.True(t, errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET), "%v", err)
					require.GreaterOrEqual(t, results[0].N, 10)
					require.Equal(t, futures.ErrCanceled, results[1].Err)
					_, again := c.SendBytes([]byte("more")).Await(ctx)
					require.ErrorIs(t, again, io.ErrShortWrite, "the stream has a gap")
					c.Abort()
				})
			})
		})
	}
}

package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceFile(t *testing.T) { conform(t, filing) }

// everywhere shows something from a goroutine, and in tasks of each loop.
func everywhere(t *testing.T, rt *proactor.Runtime, show func(ctx context.Context)) {
	t.Helper()
	show(t.Context())
	for _, l := range rt.Loops() {
		onLoop(t, l, show)
	}
}

// opened opens a file that the test closes.
func opened(t *testing.T, ctx context.Context, rt *proactor.Runtime, content string) *proactor.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	f, err := rt.OpenFile(path, os.O_RDWR, 0).Await(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close().Await(context.Background()) })
	return f
}

func content(t *testing.T, f *proactor.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return string(b)
}

// same requires the error that package os has for the same mistake, down to its
// type and text.
func same(t *testing.T, want, got error) {
	t.Helper()
	require.Error(t, want)
	require.Error(t, got)
	require.Equal(t, want.Error(), got.Error())
	require.IsType(t, want, got)
	var errno syscall.Errno
	if errors.As(want, &errno) {
		require.ErrorIs(t, got, errno)
	}
	for _, target := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed} {
		require.Equal(t, errors.Is(want, target), errors.Is(got, target), target)
	}
}

var filing = []behaviour{
	{name: "write, read back, and the end", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			path := filepath.Join(t.TempDir(), "new")
			f, err := rt.Create(path).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, path, f.Name())
			n, err := f.WriteAt([]byte("0123456789"), 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 10, n)
			p := make([]byte, 4)
			n, err = f.ReadAt(p, 3).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "3456", string(p[:n]))
			n, err = f.ReadAt(p, 8).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, "89", string(p[:n]))
			n, err = f.ReadAt(p, 10).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Zero(t, n)
			_, err = f.Close().Await(ctx)
			require.NoError(t, err)
			require.Equal(t, -1, f.Fd())
		})
	}},
	{name: "the cursor moves in the order of the calls", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "")
			var all []futures.Future[int]
			want := ""
			for i := range 100 {
				s := fmt.Sprintf("%d;", i)
				want += s
				all = append(all, f.Write([]byte(s)))
			}
			for _, w := range all {
				_, err := w.Await(ctx)
				require.NoError(t, err)
			}
			require.Equal(t, want, content(t, f))
			again, err := rt.Open(f.Name()).Await(ctx)
			require.NoError(t, err)
			p, got := make([]byte, 7), ""
			for {
				n, err := again.Read(p).Await(ctx)
				if err == io.EOF {
					require.Zero(t, n)
					break
				}
				require.NoError(t, err)
				got += string(p[:n])
			}
			require.Equal(t, want, got)
			_, err = again.Close().Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "O_APPEND writes at the end, and at no offset", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "begin")
		a, err := rt.OpenFile(f.Name(), os.O_WRONLY|os.O_APPEND, 0).Await(t.Context())
		require.NoError(t, err)
		_, err = a.Write([]byte(" end")).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "begin end", content(t, f))
		_, err = a.WriteAt([]byte("x"), 0).Await(t.Context())
		require.ErrorContains(t, err, "O_APPEND")
		_, err = a.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "many reads at once", show: func(t *testing.T, rt *proactor.Runtime) {
		const block, blocks = 512, 400
		data := make([]byte, block*blocks)
		rand.NewChaCha8([32]byte{1}).Read(data)
		f := opened(t, t.Context(), rt, string(data))
		everywhere(t, rt, func(ctx context.Context) {
			got := make([]byte, len(data))
			var all []futures.Future[int]
			for _, i := range rand.Perm(blocks) {
				all = append(all, f.ReadAt(got[i*block:(i+1)*block], int64(i*block)))
			}
			for _, r := range all {
				n, err := r.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, block, n)
			}
			require.True(t, bytes.Equal(data, got))
		})
	}},
	{name: "vectors, longer than one call takes", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "")
			var pieces, into [][]byte
			want := ""
			for i := range 3000 {
				s := strings.Repeat(string(rune('a'+i%26)), i%5)
				want += s
				pieces, into = append(pieces, []byte(s)), append(into, make([]byte, i%7))
			}
			n, err := f.WriteVectorAt(pieces, 3).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, len(want), n)
			require.Equal(t, "\x00\x00\x00"+want, content(t, f))
			whole := bytes.Join(into, nil)
			kept := append([][]byte(nil), into...)
			n, err = f.ReadVectorAt(into, 3).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, len(want), n)
			require.Greater(t, len(whole), n)
			require.Equal(t, want, string(bytes.Join(kept, nil)[:n]))
			n, err = f.ReadVectorAt([][]byte{nil, {}}, 0).Await(ctx)
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}},
	{name: "sync, allocate, truncate and stat", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			_, err := f.Sync().Await(ctx)
			require.NoError(t, err)
			_, err = f.SyncData().Await(ctx)
			require.NoError(t, err)
			_, err = f.Truncate(4).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "0123", content(t, f))
			_, err = f.Allocate(2, 100).Await(ctx)
			require.NoError(t, err)
			info, err := f.Stat().Await(ctx)
			require.NoError(t, err)
			want, err := os.Stat(f.Name())
			require.NoError(t, err)
			require.Equal(t, want.Name(), info.Name())
			require.EqualValues(t, 102, info.Size())
			require.Equal(t, want.Mode(), info.Mode())
			require.True(t, want.ModTime().Equal(info.ModTime()))
			require.False(t, info.IsDir())
			require.IsType(t, new(unix.Statx_t), info.Sys())
		})
	}},
	{name: "names: make, rename, link, describe and remove", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "content")
			dir := filepath.Dir(f.Name())
			at := func(s string) string { return filepath.Join(dir, s) }
			done := func(f futures.Future[struct{}]) {
				t.Helper()
				_, err := f.Await(ctx)
				require.NoError(t, err)
			}
			done(rt.Mkdir(at("sub"), 0o750|fs.ModeSticky))
			info, err := rt.Stat(at("sub")).Await(ctx)
			require.NoError(t, err)
			want, err := os.Stat(at("sub"))
			require.NoError(t, err)
			require.Equal(t, want.Mode(), info.Mode())
			require.True(t, info.IsDir())
			done(rt.Link(f.Name(), at("sub/hard")))
			done(rt.Symlink("hard", at("sub/soft")))
			done(rt.Rename(f.Name(), at("moved")))
			info, err = rt.Lstat(at("sub/soft")).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, fs.ModeSymlink, info.Mode().Type())
			info, err = rt.Stat(at("sub/soft")).Await(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 7, info.Size())
			for _, name := range []string{"moved", "sub/soft", "sub/hard", "sub"} {
				done(rt.Remove(at(name)))
			}
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}},
	{name: "errors are those of package os", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "content")
		dir := t.TempDir()
		nothing, sub := filepath.Join(dir, "nothing"), filepath.Join(dir, "sub")
		require.NoError(t, os.MkdirAll(filepath.Join(sub, "inner"), 0o700))
		ours := func(_ any, err error) error { return err }
		theirs := func(_ any, err error) error { return err }
		everywhere(t, rt, func(ctx context.Context) {
			for _, name := range []string{nothing, "a\x00b", "", filepath.Join(f.Name(), "x")} {
				_, want := os.Open(name)
				_, got := rt.Open(name).Await(ctx)
				same(t, want, got)
				_, want = os.Stat(name)
				_, got = rt.Stat(name).Await(ctx)
				same(t, want, got)
				_, want = os.Lstat(name)
				_, got = rt.Lstat(name).Await(ctx)
				same(t, want, got)
				_, got = rt.Remove(name).Await(ctx)
				same(t, os.Remove(name), got)
				_, got = rt.Rename(name, nothing).Await(ctx)
				same(t, os.Rename(name, nothing), got)
				_, got = rt.Link(name, nothing).Await(ctx)
				same(t, os.Link(name, nothing), got)
			}
			_, want := os.OpenFile(sub, os.O_RDWR, 0)
			same(t, want, ours(rt.OpenFile(sub, os.O_RDWR, 0).Await(ctx)))
			_, want = os.OpenFile(f.Name(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			same(t, want, ours(rt.OpenFile(f.Name(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600).Await(ctx)))
			same(t, os.Mkdir(sub, 0o700), ours(rt.Mkdir(sub, 0o700).Await(ctx)))
			same(t, os.Remove(sub), ours(rt.Remove(sub).Await(ctx)))
			same(t, os.Symlink("x", sub), ours(rt.Symlink("x", sub).Await(ctx)))

			std, err := os.Open(f.Name())
			require.NoError(t, err)
			readOnly, err := rt.Open(f.Name()).Await(ctx)
			require.NoError(t, err)
			same(t, theirs(std.WriteAt([]byte("x"), 0)), ours(readOnly.WriteAt([]byte("x"), 0).Await(ctx)))
			same(t, theirs(std.Write([]byte("x"))), ours(readOnly.Write([]byte("x")).Await(ctx)))
			same(t, theirs(std.ReadAt([]byte("x"), -1)), ours(readOnly.ReadAt([]byte("x"), -1).Await(ctx)))
			same(t, theirs(std.WriteAt([]byte("x"), -1)), ours(readOnly.WriteAt([]byte("x"), -1).Await(ctx)))
			same(t, std.Truncate(-1), ours(readOnly.Truncate(-1).Await(ctx)))
			same(t, std.Truncate(3), ours(readOnly.Truncate(3).Await(ctx)))
			require.ErrorIs(t, ours(readOnly.Allocate(0, 10).Await(ctx)), syscall.EBADF)
			require.ErrorIs(t, ours(f.Allocate(-1, 10).Await(ctx)), syscall.EINVAL)
			require.NoError(t, std.Close())
			_, err = readOnly.Close().Await(ctx)
			require.NoError(t, err)
			same(t, theirs(std.ReadAt([]byte("x"), 0)), ours(readOnly.ReadAt([]byte("x"), 0).Await(ctx)))
			same(t, theirs(std.Write([]byte("x"))), ours(readOnly.Write([]byte("x")).Await(ctx)))
			same(t, std.Sync(), ours(readOnly.Sync().Await(ctx)))
			same(t, std.Truncate(1), ours(readOnly.Truncate(1).Await(ctx)))
			same(t, std.Close(), ours(readOnly.Close().Await(ctx)))
			require.ErrorIs(t, ours(readOnly.Stat().Await(ctx)), proactor.ErrClosed)
		})
	}},
	{name: "a directory opens, and is no file to read", show: func(t *testing.T, rt *proactor.Runtime) {
		d, err := rt.Open(t.TempDir()).Await(t.Context())
		require.NoError(t, err)
		_, err = d.ReadAt(make([]byte, 8), 0).Await(t.Context())
		require.ErrorIs(t, err, syscall.EISDIR)
		_, err = d.Sync().Await(t.Context())
		require.NoError(t, err)
		_, err = d.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "empty buffers do nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "x")
		for _, o := range []futures.Future[int]{f.ReadAt(nil, 5), f.WriteAt([]byte{}, 5), f.Read(nil), f.Write(nil), f.ReadVectorAt(nil, 0)} {
			n, err := o.Await(t.Context())
			require.NoError(t, err)
			require.Zero(t, n)
		}
		require.Equal(t, "x", content(t, f))
	}},
	{name: "transfers of nothing are those of package os", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			for name, open := range emptyTransfers(t) {
				one, other := open(), open()
				ours, err := rt.AdoptFile(other)
				require.NoError(t, err)
				for call, do := range map[string][2]func() (int, error){
					"Read":    {func() (int, error) { return one.Read(nil) }, func() (int, error) { return ours.Read(nil).Await(ctx) }},
					"ReadAt":  {func() (int, error) { return one.ReadAt(nil, 0) }, func() (int, error) { return ours.ReadAt(nil, 0).Await(ctx) }},
					"Write":   {func() (int, error) { return one.Write(nil) }, func() (int, error) { return ours.Write([]byte{}).Await(ctx) }},
					"WriteAt": {func() (int, error) { return one.WriteAt(nil, 0) }, func() (int, error) { return ours.WriteAt(nil, 0).Await(ctx) }},
				} {
					n, err := do[1]()
					require.Zero(t, n, name, call)
					_, theirs := do[0]()
					require.Equal(t, errno(theirs), errno(err), "%s of %s: %v, package os: %v", call, name, err, theirs)
				}
				one.Close()
				_, err = ours.Close().Await(ctx)
				require.NoError(t, err)
				_, err = ours.Write(nil).Await(ctx)
				require.ErrorIs(t, err, fs.ErrClosed)
			}
		})
	}},
	{name: "huge buffers go piece by piece", show: func(t *testing.T, rt *proactor.Runtime) {
		p := huge(t)
		f := opened(t, t.Context(), rt, "short")
		n, err := f.ReadAt(p, 0).Await(t.Context())
		require.Equal(t, io.EOF, err)
		require.Equal(t, "short", string(p[:n]))
		null, err := rt.OpenFile(os.DevNull, os.O_WRONLY, 0).Await(t.Context())
		require.NoError(t, err)
		n, err = null.Write(p).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		n, err = null.WriteVectorAt([][]byte{p[:5], p, p}, 0).Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2*len(p)+5, n)
		_, err = null.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "close waits for what is under way", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "")
			p := bytes.Repeat([]byte("x"), 64<<10)
			var all []futures.Future[int]
			for i := range 50 {
				all = append(all, f.WriteAt(p, int64(i*len(p))), f.Write(p))
			}
			sync := f.Sync()
			closed := f.Close()
			late := f.Read(p)
			_, err := closed.Await(ctx)
			require.NoError(t, err)
			for _, w := range all {
				n, err := w.Await(ctx)
				require.NoError(t, err)
				require.Equal(t, len(p), n)
			}
			_, err = sync.Await(ctx)
			require.NoError(t, err)
			_, err = late.Await(ctx)
			require.ErrorIs(t, err, fs.ErrClosed)
			require.Len(t, content(t, f), 50*len(p))
		})
	}},
	{name: "canceling at any moment loses nothing", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, strings.Repeat("x", 1<<20))
		everywhere(t, rt, func(ctx context.Context) {
			for range 50 {
				p := make([]byte, 1<<20)
				all := []futures.Future[int]{f.ReadAt(p[:1<<19], 0), f.Read(p[1<<19 : 1<<19+1]), f.Read(p[1<<19+1:]), f.WriteAt([]byte("x"), 5)}
				open := rt.Open(f.Name())
				sync := f.Sync()
				for _, o := range all {
					o.Cancel()
				}
				open.Cancel()
				sync.Cancel()
				for _, o := range all {
					_, err := o.Await(ctx)
					require.True(t, err == nil || err == io.EOF || errors.Is(err, futures.ErrCanceled), "%v", err)
				}
				if g, err := open.Await(ctx); err == nil {
					_, err = g.Close().Await(ctx)
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, futures.ErrCanceled)
				}
				if _, err := sync.Await(ctx); err != nil {
					require.ErrorIs(t, err, futures.ErrCanceled)
				}
			}
		})
	}},
	{name: "a pipe with a name is read when something comes, and can be canceled", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "fifo")
		require.NoError(t, unix.Mkfifo(path, 0o600))
		f, err := rt.OpenFile(path, os.O_RDWR, 0).Await(t.Context())
		require.NoError(t, err)
		p := make([]byte, 8)
		read := f.Read(p)
		second := f.Read(p)
		second.Cancel()
		_, err = second.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		require.False(t, read.Ready())
		require.NoError(t, os.WriteFile(path, []byte("piped"), 0))
		n, err := read.Await(t.Context())
		require.NoError(t, err)
		require.Equal(t, "piped", string(p[:n]))
		third := f.Read(p)
		third.Cancel()
		_, err = third.Await(t.Context())
		require.ErrorIs(t, err, futures.ErrCanceled)
		_, err = f.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "closing the runtime closes files and ends what is under way", show: func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "fifo")
		require.NoError(t, unix.Mkfifo(path, 0o600))
		fifo, err := rt.OpenFile(path, os.O_RDWR, 0).Await(t.Context())
		require.NoError(t, err)
		f := opened(t, t.Context(), rt, strings.Repeat("x", 1<<20))
		var all []futures.Future[int]
		all = append(all, fifo.Read(make([]byte, 1)), fifo.Read(make([]byte, 1)))
		for i := range 100 {
			all = append(all, f.ReadAt(make([]byte, 1<<12), int64(i)<<12))
		}
		require.NoError(t, rt.Close())
		for i, o := range all {
			_, err := o.Await(t.Context())
			if i < 2 || err != nil {
				require.ErrorIs(t, err, fs.ErrClosed)
			}
		}
		require.Equal(t, -1, f.Fd())
		_, err = f.Read(make([]byte, 1)).Await(t.Context())
		require.ErrorIs(t, err, fs.ErrClosed)
		_, err = rt.Open(f.Name()).Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "several goroutines and loops on one file", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "")
		var group sync.WaitGroup
		for i := range 8 {
			work := func(ctx context.Context) error {
				p := bytes.Repeat([]byte{byte('a' + i)}, 1000)
				for k := range 20 {
					if _, err := f.WriteAt(p, int64((k*8+i)*1000)).Await(ctx); err != nil {
						return err
					}
				}
				return nil
			}
			group.Go(func() {
				if i%2 == 0 {
					require.NoError(t, work(t.Context()))
					return
				}
				_, err := rt.Loops()[i/2%2].Go(t.Context(), work).Await(t.Context())
				require.NoError(t, err)
			})
		}
		group.Wait()
		want := ""
		for i := range 160 {
			want += strings.Repeat(string(rune('a'+i%8)), 1000)
		}
		require.Equal(t, want, content(t, f))
	}},
	{name: "few workers and many operations", opts: []proactor.Option{proactor.WithFileWorkers(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "")
		var all []futures.Future[struct{}]
		for range 300 {
			all = append(all, f.SyncData())
		}
		_, err := futures.All(all...).Await(t.Context())
		require.NoError(t, err)
	}},
}

// A File's reads and writes allocate nothing in steady state, at any depth.
func TestFilesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, strings.Repeat("x", 1<<16))
		const depth, rounds = 32, 100
		memory := make([][4096]byte, depth)
		var all [depth]futures.Future[int]
		round := func(ctx context.Context) error {
			for i := range all {
				if i%2 == 0 {
					all[i] = f.ReadAt(memory[i][:], int64(i)<<10)
				} else {
					all[i] = f.WriteAt(memory[i][:], int64(i)<<10)
				}
			}
			for i := range all {
				if _, err := all[i].Await(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		_, err := f.Loop().Go(t.Context(), func(ctx context.Context) error {
			all := func() error {
				for range rounds {
					if err := round(ctx); err != nil {
						return err
					}
				}
				return nil
			}
			if err := all(); err != nil {
				return err
			}
			n, err := leastAllocs(rounds*depth/20, all)
			if err != nil {
				return err
			}
			if n > rounds*depth/20 {
				return fmt.Errorf("%d allocations in %d operations", n, rounds*depth)
			}
			return nil
		}).Await(t.Context())
		require.NoError(t, err)
	})
}

// emptyTransfers are files of each kind, opened in each way.
func emptyTransfers(t *testing.T) map[string]func() *os.File {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("abc"), 0o600))
	at := func(name string, flags int) func() *os.File {
		return func() *os.File {
			f, err := os.OpenFile(name, flags, 0)
			require.NoError(t, err)
			return f
		}
	}
	half := func(second bool) func() *os.File {
		return func() *os.File {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			if second {
				r, w = w, r
			}
			t.Cleanup(func() { w.Close() })
			return r
		}
	}
	return map[string]func() *os.File{
		"a file to read":           at(name, os.O_RDONLY),
		"a file to write":          at(name, os.O_WRONLY),
		"a file for both":          at(name, os.O_RDWR),
		"a directory":              at(filepath.Dir(name), os.O_RDONLY),
		"/dev/null":                at(os.DevNull, os.O_WRONLY),
		"a terminal":               at("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY),
		"the end of a pipe, reads": half(false),
		"the other, writes":        half(true),
	}
}

// errno is the number in err, 0 for none.
func errno(err error) (e syscall.Errno) {
	errors.As(err, &e)
	return e
}

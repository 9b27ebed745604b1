package proactor_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceAdoptFile(t *testing.T) { conform(t, adoptingFiles) }

var adoptingFiles = []behaviour{
	{name: "AdoptFile goes on with a file of package os", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			theirs := fileOf(t, []byte("some content"))
			_, err := theirs.Seek(5, io.SeekStart)
			require.NoError(t, err)
			f, err := rt.AdoptFile(theirs)
			require.NoError(t, err)
			require.ErrorIs(t, theirs.Close(), os.ErrClosed)
			require.Equal(t, theirs.Name(), f.Name())
			p := make([]byte, 100)
			n, err := f.Read(p).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "content", string(p[:n]))
			_, err = f.WriteAt([]byte("S"), 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "Some content", content(t, f))
			info, err := f.Stat().Await(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 12, info.Size())
			_, err = f.Close().Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "AdoptFile knows how the file was opened", show: func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "file")
		theirs, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o600)
		require.NoError(t, err)
		f, err := rt.AdoptFile(theirs)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("x"), 0).Await(t.Context())
		require.ErrorContains(t, err, "O_APPEND")
		flags, err := unix.FcntlInt(uintptr(f.Fd()), unix.F_GETFL, 0)
		require.NoError(t, err)
		require.Zero(t, flags&unix.O_NONBLOCK)
		_, err = f.Close().Await(t.Context())
		require.NoError(t, err)
	}},
	{name: "AdoptFile refuses", show: func(t *testing.T, rt *proactor.Runtime) {
		_, err := rt.AdoptFile(nil)
		require.ErrorIs(t, err, os.ErrInvalid)
		shut := fileOf(t, nil)
		shut.Close()
		_, err = rt.AdoptFile(shut)
		require.ErrorIs(t, err, fs.ErrClosed)
		late := fileOf(t, []byte("content"))
		require.NoError(t, rt.Close())
		_, err = rt.AdoptFile(late)
		require.ErrorIs(t, err, proactor.ErrClosed)
		p := make([]byte, 7)
		_, err = late.ReadAt(p, 0)
		require.NoError(t, err, "it is the caller's as before")
	}},
	{name: "a File's SyscallConn", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "content")
		raw, err := f.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			p := make([]byte, 7)
			n, err := unix.Pread(int(fd), p, 0)
			require.NoError(t, err)
			require.Equal(t, "content", string(p[:n]))
		}))
		require.ErrorIs(t, raw.Read(nil), syscall.ENOTSUP)
		require.ErrorIs(t, raw.Write(nil), syscall.ENOTSUP)
		_, err = f.Close().Await(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, raw.Control(nil), fs.ErrClosed)
		_, err = f.SyscallConn()
		require.ErrorIs(t, err, fs.ErrClosed)
	}},
}

func ExampleRuntime_AdoptFile() {
	rt := must(proactor.New())
	defer rt.Close()
	dir := must(os.MkdirTemp("", "example"))
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "greeting"), []byte("hello"), 0o600)

	root := must(os.OpenRoot(dir)) // no name leads out of it
	defer root.Close()
	f := must(rt.AdoptFile(must(root.Open("greeting"))))
	p := make([]byte, 5)
	must(f.ReadAt(p, 0).Await(context.Background()))
	os.Stdout.Write(p)
	f.Close().Await(context.Background())
	// Output: hello
}

package proactor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceCut(t *testing.T) { conform(t, cutTransfers) }

// sealed is a file of that many bytes that cannot grow: what is written beyond
// fails with EPERM.
func sealed(t *testing.T, ctx context.Context, rt *proactor.Runtime, size int) *proactor.File {
	t.Helper()
	fd, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Ftruncate(fd, int64(size)))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	require.NoError(t, err)
	f, err := rt.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0).Await(ctx)
	require.NoError(t, err)
	return f
}

// cutTransfers is about reads and writes of which the file takes or gives only a
// part.
var cutTransfers = []behaviour{
	{name: "a write at the cursor that does not fit tells how much did, and stays behind it", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			size := 2 * os.Getpagesize()
			f := sealed(t, ctx, rt, size)
			data := bytes.Repeat([]byte("0123456789abcdef"), size/8) // twice as much
			n, err := f.Write(data).Await(ctx)
			require.ErrorIs(t, err, syscall.EPERM)
			require.Equal(t, size, n)
			n, err = f.Write([]byte("ZZZ")).Await(ctx)
			require.ErrorIs(t, err, syscall.EPERM)
			require.Zero(t, n)
			p := make([]byte, size)
			_, err = f.ReadAt(p, 0).Await(ctx)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[:size], p))
			closed(t, ctx, f)
		})
	}},
	{name: "a step at the cursor that does not fit stays behind what did", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			size := 2 * os.Getpagesize()
			f := sealed(t, ctx, rt, size)
			results, err := rt.Chain(f.WriteNextStep([]byte("head")), f.WriteNextStep(make([]byte, size)), f.WriteNextStep([]byte("tail"))).Await(ctx)
			require.ErrorIs(t, err, io.ErrShortWrite)
			require.Equal(t, size-4, results[1].N)
			n, err := f.Write([]byte("ZZZ")).Await(ctx)
			require.ErrorIs(t, err, syscall.EPERM)
			require.Zero(t, n)
			p := make([]byte, 4)
			_, err = f.ReadAt(p, 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "head", string(p))
			closed(t, ctx, f)
		})
	}},
	{name: "a vector that stops within a piece leaves the caller's slices alone", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "abcdefghij")
			p := [][]byte{make([]byte, 4), {}, make([]byte, 16), make([]byte, 2)}
			n, err := f.ReadVectorAt(p, 0).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, 10, n)
			require.Equal(t, []int{4, 0, 16, 2}, []int{len(p[0]), len(p[1]), len(p[2]), len(p[3])})
			require.Equal(t, "abcdefghij", string(bytes.Join(p, nil)[:n]))
		})
	}},
	{name: "a vector that is written in part leaves the caller's slices alone", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			size := 2 * os.Getpagesize()
			f := sealed(t, ctx, rt, size)
			p := [][]byte{make([]byte, size/2+1), make([]byte, size), []byte("more")}
			n, err := f.WriteVectorAt(p, 0).Await(ctx)
			require.ErrorIs(t, err, syscall.EPERM)
			require.Equal(t, size, n)
			require.Equal(t, []int{size/2 + 1, size, 4}, []int{len(p[0]), len(p[1]), len(p[2])})
			closed(t, ctx, f)
		})
	}},
	{name: "a vector of more pieces than one attempt takes is moved whole", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "")
			var p, q [][]byte
			for i := range 2500 {
				p = append(p, fmt.Appendf(nil, "%d", i))
				q = append(q, make([]byte, len(p[i])))
			}
			n, err := f.WriteVectorAt(p, 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, len(bytes.Join(p, nil)), n)
			n, err = f.ReadVectorAt(q, 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, len(bytes.Join(p, nil)), n)
			require.Equal(t, p, q)
		})
	}},
}

// An open that waits for the other end of a named pipe is let go by its context, and
// by Close, and keeps nothing else waiting.
func TestOpenOfANamedPipeWaits(t *testing.T) {
	onEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := pipeNamed(t)
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := rt.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600).Await(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for range 40 {
			rt.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		}
		_, err = rt.Stat("/").Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, rt.Close())
		end, err := os.OpenFile(name, os.O_RDWR, 0) // threads that are left go on
		require.NoError(t, err)
		require.NoError(t, end.Close())
	})
}

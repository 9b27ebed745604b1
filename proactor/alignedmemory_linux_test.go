package proactor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/proactor"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConformanceAlignedMemory(t *testing.T) { conform(t, aligning) }

// allocate is aligned memory of the file's loop, which the test must release.
func allocate(t *testing.T, ctx context.Context, l *proactor.Loop, size int) *proactor.AlignedMemory {
	t.Helper()
	m, err := l.AlignedMemory(size).Await(ctx)
	require.NoError(t, err)
	require.Len(t, m.Bytes(), size)
	require.Same(t, l, m.Loop())
	require.Zero(t, uintptr(unsafe.Pointer(&m.Bytes()[0]))%uintptr(os.Getpagesize()))
	return m
}

func release(t *testing.T, ctx context.Context, m *proactor.AlignedMemory) {
	t.Helper()
	_, err := m.Release().Await(ctx)
	require.NoError(t, err)
	require.False(t, m.Registered())
}

// direct opens a file with O_DIRECT, in the first directory whose file system has
// it.
func direct(t *testing.T, ctx context.Context, rt *proactor.Runtime) *proactor.File {
	t.Helper()
	var refusals error
	for _, parent := range []string{t.TempDir(), ".", "/var/tmp", "/dev/shm"} {
		dir, err := os.MkdirTemp(parent, "direct")
		if err != nil {
			refusals = errors.Join(refusals, err)
			continue
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		f, err := rt.OpenFile(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE|syscall.O_DIRECT, 0o600).Await(ctx)
		if err == nil {
			t.Cleanup(func() { f.Close().Await(context.Background()) })
			return f
		}
		require.ErrorIs(t, err, syscall.EINVAL)
		refusals = errors.Join(refusals, err)
	}
	t.Skip("no file system here has O_DIRECT: ", refusals)
	return nil
}

var aligning = []behaviour{
	{name: "aligned memory reads and writes at offsets, at the cursor and in chains", without: faultqueue.ShortReads, show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			m := allocate(t, ctx, f.Loop(), 10_000)
			require.True(t, m.Registered(), m.Refusal())
			require.NoError(t, m.Refusal())
			p := m.Bytes()
			n, err := f.ReadAt(p[5000:5004], 3).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "3456", string(p[5000:5000+n]))
			n, err = f.ReadAt(p[9990:], 8).Await(ctx)
			require.Equal(t, io.EOF, err)
			require.Equal(t, "89", string(p[9990:9990+n]))
			copy(p, "abcdef")
			n, err = f.WriteAt(p[:3], 9).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 3, n)
			n, err = f.Read(p[100:102]).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "01", string(p[100:100+n]))
			n, err = f.Write(p[3:6]).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, 3, n)
			require.Equal(t, "01def5678abc", content(t, f))
			_, err = rt.Chain(f.WriteStep(p[:2], 0), f.SyncDataStep(), f.ReadFullStep(p[200:212], 0)).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "abdef5678abc", string(p[200:212]))
			_, err = f.ReadVectorAt([][]byte{p[:1], p[300:303]}, 4).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "f567", string(p[:1])+string(p[300:303]))
			release(t, ctx, m)
			n, err = f.ReadAt(p[:4], 0).Await(ctx) // now memory like any other
			require.NoError(t, err)
			require.Equal(t, "abde", string(p[:n]))
		})
	}},
	{name: "reads and writes name the registered buffer, apart from vectors and other memory", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			m := allocate(t, ctx, f.Loop(), 4096)
			p := m.Bytes()
			require.NoError(t, m.Unregister())
			for _, refused := range []futures.Future[int]{f.ReadAt(p[:4], 0), f.WriteAt(p[:4], 0), f.Read(p[:4]), f.Write(p[:4])} {
				_, err := refused.Await(ctx)
				require.ErrorIs(t, err, syscall.EFAULT)
			}
			for _, refused := range []proactor.Step{f.ReadStep(p[:4], 0), f.ReadFullStep(p[:4], 0), f.WriteStep(p[:4], 0)} {
				_, err := rt.Chain(refused).Await(ctx)
				require.ErrorIs(t, err, syscall.EFAULT)
			}
			for _, plain := range []futures.Future[int]{f.ReadVectorAt([][]byte{p[:4]}, 0), f.ReadAt(make([]byte, 4), 0)} {
				_, err := plain.Await(ctx)
				require.NoError(t, err)
			}
			release(t, ctx, m)
			_, err := f.ReadAt(p[:4], 0).Await(ctx)
			require.NoError(t, err)
		})
	}},
	{name: "O_DIRECT writes and reads aligned memory, many slices at once", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			const block, blocks = 4096, 100
			f := direct(t, ctx, rt)
			m := allocate(t, ctx, f.Loop(), 2*block*blocks)
			out, in := m.Bytes()[:block*blocks], m.Bytes()[block*blocks:]
			for i := range out {
				out[i] = byte(i ^ i>>12)
			}
			each := func(p []byte, perform func([]byte, int64) futures.Future[int]) {
				var all []futures.Future[int]
				for i := range blocks {
					all = append(all, perform(p[i*block:(i+1)*block], int64(i*block)))
				}
				for _, one := range all {
					n, err := one.Await(ctx)
					require.NoError(t, err)
					require.Equal(t, block, n)
				}
			}
			each(out, f.WriteAt)
			_, err := f.SyncData().Await(ctx)
			require.NoError(t, err)
			each(in, f.ReadAt)
			require.True(t, bytes.Equal(out, in))
			release(t, ctx, m)
		})
	}},
	{name: "O_DIRECT writes and reads at the cursor move it", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			const block, blocks = 4096, 8
			f := direct(t, ctx, rt)
			m := allocate(t, ctx, f.Loop(), 2*block*blocks)
			out, in := m.Bytes()[:block*blocks], m.Bytes()[block*blocks:]
			for i := range out {
				out[i] = byte(i ^ i>>12)
			}
			for i := range blocks {
				n, err := f.Write(out[i*block : (i+1)*block]).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, block, n)
			}
			_, err := f.Read(in[:block]).Await(ctx)
			require.Equal(t, io.EOF, err)
			again, err := rt.OpenFile(f.Name(), os.O_RDONLY|unix.O_DIRECT, 0).Await(ctx)
			require.NoError(t, err)
			for i := range blocks {
				_, err := again.Read(in[i*block : (i+1)*block]).Await(ctx)
				require.NoError(t, err)
			}
			require.True(t, bytes.Equal(out, in))
			closed(t, ctx, again)
			release(t, ctx, m)
		})
	}},
	{name: "another loop's aligned memory is memory like any other", show: func(t *testing.T, rt *proactor.Runtime) {
		ctx := t.Context()
		f := opened(t, ctx, rt, "0123456789")
		for _, l := range rt.Loops() {
			m := allocate(t, ctx, l, 4096)
			_, err := f.ReadAt(m.Bytes()[:10], 0).Await(ctx)
			require.NoError(t, err)
			require.Equal(t, "0123456789", string(m.Bytes()[:10]))
			_, err = f.ReadAt(m.Bytes(), 5).Await(ctx)
			require.Equal(t, io.EOF, err)
			release(t, ctx, m)
		}
	}},
	{name: "several pieces, and slices that lie in none or hang over", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			var pieces []*proactor.AlignedMemory
			for range 50 {
				pieces = append(pieces, allocate(t, ctx, f.Loop(), 5000))
			}
			both := make([]byte, 10)
			for i, m := range pieces {
				p := m.Bytes()
				for _, slice := range [][]byte{p[:10], p[4990:], both, p[:0]} {
					clear(slice)
					n, err := f.ReadAt(slice, 0).Await(ctx)
					require.NoError(t, err)
					require.Equal(t, "0123456789"[:len(slice)], string(slice[:n]))
				}
				if i%2 == 0 {
					release(t, ctx, m)
				}
			}
			for i, m := range pieces {
				_, err := f.ReadAt(m.Bytes()[i:i+10], 0).Await(ctx)
				require.NoError(t, err)
				require.Equal(t, "0123456789", string(m.Bytes()[i:i+10]))
				if i%2 == 1 {
					release(t, ctx, m)
				}
			}
		})
	}},
	{name: "more pieces than the queue's table has places for", show: func(t *testing.T, rt *proactor.Runtime) {
		const places = 1024
		onLoop(t, rt.Loops()[0], func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			l := rt.Loops()[0]
			var pieces []*proactor.AlignedMemory
			for range places {
				m := allocate(t, ctx, l, 100)
				require.True(t, m.Registered(), m.Refusal())
				pieces = append(pieces, m)
			}
			plain := allocate(t, ctx, l, 100)
			require.False(t, plain.Registered())
			require.ErrorIs(t, plain.Refusal(), syscall.ENOSPC)
			_, err := f.ReadAt(plain.Bytes()[:10], 0).Await(ctx)
			require.NoError(t, err)
			release(t, ctx, plain)
			release(t, ctx, pieces[0])
			pieces[0] = allocate(t, ctx, l, 100)
			require.True(t, pieces[0].Registered(), "a place is used again")
			for _, m := range pieces {
				release(t, ctx, m)
			}
		})
		require.Zero(t, rt.Stats().Total().AlignedBytes)
	}},
	{name: "what aligned memory refuses", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			l := rt.Loops()[0]
			for _, size := range []int{-1, 0, ring.MaxBufferSize + 1} {
				_, err := l.AlignedMemory(size).Await(ctx)
				require.ErrorIs(t, err, syscall.EINVAL)
				require.ErrorContains(t, err, "want 1 to 1073741824")
			}
			m := allocate(t, ctx, l, 100)
			release(t, ctx, m)
			_, err := m.Release().Await(ctx)
			require.ErrorIs(t, err, proactor.ErrClosed)
			require.ErrorContains(t, err, "released twice")
		})
	}},
	{name: "aligned memory is not released while it is in use", show: func(t *testing.T, rt *proactor.Runtime) {
		for _, l := range rt.Loops() {
			onLoop(t, l, func(ctx context.Context) {
				f := opened(t, ctx, rt, "0123456789")
				m := allocate(t, ctx, l, 4096)
				p := m.Bytes()
				reading, behind := f.Read(p[:5]), f.Read(p[5:10]) // the second waits for the first
				_, err := m.Release().Await(ctx)
				require.ErrorIs(t, err, syscall.EBUSY)
				require.ErrorContains(t, err, "4096 bytes while 2 reads or writes use it")
				behind.Cancel()
				for _, one := range []futures.Future[int]{reading, behind} {
					if _, err := one.Await(ctx); err != nil {
						require.ErrorIs(t, err, futures.ErrCanceled)
					}
				}
				chain := rt.Chain(f.ReadFullStep(p[:10], 0), f.SyncStep())
				_, err = m.Release().Await(ctx)
				require.ErrorIs(t, err, syscall.EBUSY)
				_, err = chain.Await(ctx)
				require.NoError(t, err)
				release(t, ctx, m)
			})
		}
	}},
	{name: "canceling reads into aligned memory lets it go", show: func(t *testing.T, rt *proactor.Runtime) {
		everywhere(t, rt, func(ctx context.Context) {
			f := opened(t, ctx, rt, "0123456789")
			m := allocate(t, ctx, f.Loop(), 100*100)
			var all []futures.Future[int]
			for i := range 100 {
				if i%2 == 0 {
					all = append(all, f.ReadAt(m.Bytes()[i*100:(i+1)*100], 0))
				} else {
					all = append(all, f.Read(m.Bytes()[i*100:(i+1)*100]))
				}
				all[i].Cancel()
			}
			for _, one := range all {
				if _, err := one.Await(ctx); err != nil && err != io.EOF {
					require.ErrorIs(t, err, futures.ErrCanceled)
				}
			}
			release(t, ctx, m)
		})
	}},
	{name: "aligned memory from many goroutines", show: func(t *testing.T, rt *proactor.Runtime) {
		f := opened(t, t.Context(), rt, "0123456789")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					m, err := f.Loop().AlignedMemory(4096).Await(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					_, err = f.ReadAt(m.Bytes()[:10], 0).Await(t.Context())
					if err != nil || string(m.Bytes()[:10]) != "0123456789" {
						t.Error(err)
					}
					if _, err := m.Release().Await(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}},
	{name: "who waits for aligned memory and gives up leaves none", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			going := rt.Loops()[0].AlignedMemory(100)
			cancel()
			if m, err := going.Await(ctx); err == nil {
				release(t, t.Context(), m)
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
		}
		require.Zero(t, rt.Stats().Total().AlignedBytes)
	}},
}

// TestAlignedMemoryOutlivesLoop: what was not released goes with the loop, and
// stays usable.
func TestAlignedMemoryOutlivesLoop(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			requireBackend(t, b)
			leftNothing(t)
			rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
			require.NoError(t, err)
			m := allocate(t, t.Context(), rt.Loops()[0], 4096)
			stats := rt.Stats().Total()
			require.Equal(t, 4096, stats.AlignedBytes)
			require.Equal(t, 4096, stats.RegisteredBytes)
			require.NoError(t, rt.Close())
			m.Bytes()[0] = 1
			release(t, t.Context(), m)
			_, err = m.Release().Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrClosed)
			_, err = rt.Loops()[0].AlignedMemory(1).Await(t.Context())
			require.ErrorIs(t, err, proactor.ErrClosed)
		})
	}
}

// TestAlignedMemoryOverLockedMemory runs itself in a process that the limit of
// locked memory binds, without CAP_IPC_LOCK: memory over it is not registered,
// and serves all the same.
func TestAlignedMemoryOverLockedMemory(t *testing.T) {
	const child = "GOPROACTOR_MEMLOCK_CHILD"
	if os.Getenv(child) != "" {
		alignOverLockedMemory(t)
		return
	}
	requireBackend(t, proactor.IOUring)
	cmd := exec.Command(os.Args[0], "-test.run=^TestAlignedMemoryOverLockedMemory$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := lockedmemory.Bound(t, cmd)
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestAlignedMemoryOverLockedMemory")
}

func alignOverLockedMemory(t *testing.T) {
	rt, err := proactor.New(proactor.WithBackend(proactor.IOUring), proactor.WithLoops(1), proactor.WithBuffers(4096, 16))
	require.NoError(t, err)
	defer rt.Close()
	require.NoError(t, syscall.Setrlimit(unix.RLIMIT_MEMLOCK, &syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
	ctx := t.Context()
	f := opened(t, ctx, rt, "0123456789")
	m := allocate(t, ctx, f.Loop(), 8<<20)
	require.False(t, m.Registered())
	require.ErrorIs(t, m.Refusal(), syscall.ENOMEM)
	require.ErrorContains(t, m.Refusal(), "RLIMIT_MEMLOCK")
	stats := rt.Stats().Total()
	require.Equal(t, 8<<20, stats.AlignedBytes)
	require.Zero(t, stats.RegisteredBytes)
	_, err = f.ReadAt(m.Bytes()[:10], 0).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(m.Bytes()[:10]))
	reading := futures.Future[int]{}
	onLoop(t, f.Loop(), func(ctx context.Context) {
		reading = f.ReadAt(m.Bytes()[:10], 0)
		_, err := m.Release().Await(ctx)
		require.ErrorIs(t, err, syscall.EBUSY, "as with registered memory")
		_, err = reading.Await(ctx)
		require.NoError(t, err)
	})
	release(t, ctx, m)
}

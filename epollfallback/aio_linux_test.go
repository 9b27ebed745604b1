package epollfallback

import (
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// aroundCache opens a file with O_DIRECT, and makes memory for it.
func aroundCache(t *testing.T, pages int) (fd int, memory []byte) {
	const page = 4096
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, make([]byte, pages*page), 0o600))
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_DIRECT, 0)
	if err == unix.EINVAL {
		t.Skip("the file system of temporary files has no O_DIRECT")
	}
	require.NoError(t, err)
	closeAtEnd(t, fd)
	// A read waits for what is not written yet, before Linux 5.13 for what is in the page cache.
	require.NoError(t, unix.Fsync(fd))
	require.NoError(t, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	p := make([]byte, (pages+1)*page)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (page - 1))
	return fd, p[skip : skip+pages*page]
}

// What the kernel does asynchronously takes no worker, and one system call for many.
func TestAIOTakesNoWorker(t *testing.T) {
	var context uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, aioDepth, uintptr(unsafe.Pointer(&context)), 0); errno != 0 {
		t.Skip("io_setup: ", errno)
	}
	unix.Syscall(unix.SYS_IO_DESTROY, context, 0, 0)
	fd, p := aroundCache(t, 40)
	if _, err := unix.Preadv2(fd, [][]byte{p[:4096]}, 0, rwfNoWait); err == unix.EOPNOTSUPP {
		t.Skip("the file system of temporary files cannot tell whether it would wait (RWF_NOWAIT)")
	}
	// Where others keep the device busy, it may have no room for a request that must not
	// wait, and a worker then waits for it: once without is enough.
	for deadline := time.Now().Add(30 * time.Second); ; {
		b := open(t)
		for i := range 40 {
			b.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*4096:(i+1)*4096], int64(i*4096)) })
		}
		b.awaitPages(40)
		require.NotZero(t, b.aio.context)
		require.Zero(t, b.aio.inFlight())
		if b.workers.alive == 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "each time a worker read")
	}
}

// awaitPages waits for n completions, each of a page.
func (b *bench) awaitPages(n int) {
	for range n {
		c := b.await()
		require.EqualValues(b, 4096, c.Result())
	}
}

// A process that gets no context, as with a small /proc/sys/fs/aio-max-nr, has workers.
func TestAIORefused(t *testing.T) {
	fd, p := aroundCache(t, 40)
	b := open(t)
	b.aio.refused = true
	for i := range 40 {
		b.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*4096:(i+1)*4096], int64(i*4096)) })
	}
	b.awaitPages(40)
	require.Zero(t, b.aio.context)
	require.NotZero(t, b.workers.alive)
}

// A request that the kernel does not take goes to a worker, and those beside it do not.
func TestAIORefusesOne(t *testing.T) {
	fd, p := aroundCache(t, 3)
	b := open(t)
	for i, at := range []int64{0, 1 << 62, 4096} {
		b.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*4096:(i+1)*4096], at) })
	}
	results := map[uint64]int32{}
	for range 3 {
		c := b.await()
		results[c.UserData()] = c.Result()
	}
	require.EqualValues(t, 4096, results[0])
	require.EqualValues(t, 4096, results[2])
	require.LessOrEqual(t, results[1], int32(0))
}

package epollfallback

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lowest is the number that the program is given next.
func lowest(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	return fd
}

func TestSlotsTakeNoLowNumbers(t *testing.T) {
	b := open(t)
	require.NoError(t, b.RegisterFiles(3))
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
	path := append([]byte(name), 0)
	b.entry(1, func(e *ring.SQE) { e.PrepNop() })
	b.expect(1, 0)
	b.entry(2, func(e *ring.SQE) { e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY, 0); e.SetSlot(0) })
	b.expect(2, 0)
	before := lowest(t)
	b.entry(3, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, 0); e.SetSlot(1) })
	b.expect(3, 0)
	_, err := b.UpdateFiles(2, []int32{1})
	require.NoError(t, err)
	require.LessOrEqual(t, lowest(t), before) // the garbage collector may have closed one
	for _, fd := range b.files.slots {
		require.GreaterOrEqual(t, int(fd), b.heights)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.NotZero(t, flags&unix.FD_CLOEXEC, "nothing inherits what is in a slot")
	}
	slots := append([]int32(nil), b.files.slots...)
	require.NoError(t, b.UnregisterFiles())
	for _, fd := range slots {
		require.False(t, b.hidden.has(fd))
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.Equal(t, unix.EBADF, err)
	}
}

func TestBitmap(t *testing.T) {
	b := newBitmap(130)
	require.Equal(t, 0, b.nextClear(0, 130))
	for i := range 130 {
		b.set(i)
		require.True(t, b.has(int32(i)))
	}
	require.Equal(t, -1, b.nextClear(0, 130))
	for _, i := range []int{0, 63, 64, 127, 128, 129} {
		b.clear(i)
		require.False(t, b.has(int32(i)))
		require.Equal(t, i, b.nextClear(0, 130))
		require.Equal(t, i, b.nextClear(i, 130))
		require.Equal(t, -1, b.nextClear(i+1, 130))
		require.Equal(t, -1, b.nextClear(0, i))
		b.set(i)
	}
	require.False(t, b.has(-1))
	require.False(t, b.has(1<<30))
}

package sockets

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestCached(t *testing.T) {
	page := int64(os.Getpagesize())
	size := 16*page + 1
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Write(make([]byte, size))
	require.NoError(t, err)
	fd := int(f.Fd())
	if !Cached(fd, 0, size) {
		t.Skip("this kernel does not tell what is cached (cachestat: Linux 6.5), or this file system does not read without waiting")
	}
	for _, part := range []struct{ off, n int64 }{{0, 1}, {page - 1, 2}, {page, page}, {16 * page, 1}, {5, size - 5}} {
		require.True(t, Cached(fd, part.off, part.n), "%v", part)
	}
	for _, part := range []struct{ off, n int64 }{{0, 17*page + 1}, {size, 1}, {size + page, page}, {1 << 62, 1 << 61}} {
		require.False(t, Cached(fd, part.off, part.n), "behind the end: %v", part)
	}
	require.False(t, Cached(-1, 0, 1))
	require.NoError(t, f.Sync())
	require.NoError(t, unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)) // nothing is read ahead
	require.NoError(t, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	if Cached(fd, 0, 1) || Cached(fd, size-1, 1) {
		t.Skip("this file system keeps what it has cached")
	}
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.NoError(t, err)
	require.True(t, Cached(fd, 0, 1))
	require.False(t, Cached(fd, 0, size), "the rest is not read yet")
}

func TestSendFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer f.Close()
	content := make([]byte, 4<<20)
	content[1000] = 'x'
	_, err = f.Write(content)
	require.NoError(t, err)
	pair, err := Pair("unix")
	require.NoError(t, err)
	defer CloseAll(pair[:])

	// A signal, as the runtime sends one to a thread, ends a call early: only EAGAIN says
	// that the socket has no room.
	off := int64(1000)
	for {
		n, errno := SendFile(pair[0], int(f.Fd()), off, len(content)-int(off))
		if errno == unix.EAGAIN {
			require.Zero(t, n)
			break
		}
		require.Zero(t, errno)
		require.Positive(t, n)
		off += int64(n)
		require.Less(t, off, int64(len(content)), "the socket has not as much room")
	}
	require.Greater(t, off, int64(1000))
	flags, err := unix.FcntlInt(uintptr(pair[0]), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.Zero(t, flags&unix.O_NONBLOCK, "it is as it was")
	var got [1]byte
	_, err = unix.Read(pair[1], got[:])
	require.NoError(t, err)
	require.EqualValues(t, 'x', got[0])
}

package queuetest

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// file makes a file with that content, open for reading and writing.
func (h *harness) file(content string) (fd int, path string) {
	path = filepath.Join(h.TempDir(), "file")
	require.NoError(h, os.WriteFile(path, []byte(content), 0o600))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(fd)
	return fd, path
}

func (h *harness) content(path string) string {
	h.Helper()
	b, err := os.ReadFile(path)
	require.NoError(h, err)
	return string(b)
}

// forget drops what the page cache has of a file, so that reading it waits for
// the device.
func (h *harness) forget(fd int) {
	require.NoError(h, unix.Fsync(fd))
	require.NoError(h, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
}

func (h *harness) vector(pieces ...[]byte) (v []ring.Iovec) {
	h.kept = append(h.kept, pieces)
	for _, p := range pieces {
		v = append(v, ring.Iovec{Base: unsafe.SliceData(p), Len: uintptr(len(p))})
	}
	return v
}

const here = unix.AT_FDCWD

var files = []testCase{
	{"read and write a file at offsets", func(h *harness) {
		fd, path := h.file("0123456789")
		p := make([]byte, 4)
		h.entry(1, func(e *ring.SQE) { e.PrepReadAt(fd, p, 3) })
		h.final(1, 4)
		require.Equal(h, "3456", string(p))
		h.entry(2, func(e *ring.SQE) { e.PrepReadAt(fd, p, 8) })
		h.final(2, 2)
		require.Equal(h, "89", string(p[:2]))
		h.entry(3, func(e *ring.SQE) { e.PrepReadAt(fd, p, 10) })
		h.final(3, 0)
		h.entry(4, func(e *ring.SQE) { e.PrepWriteAt(fd, h.text("abc"), 9) })
		h.final(4, 3)
		require.Equal(h, "012345678abc", h.content(path))
		h.entry(5, func(e *ring.SQE) { e.PrepReadAt(fd, p, -2) })
		h.fails(5, unix.EINVAL)
		h.entry(6, func(e *ring.SQE) { e.PrepReadAt(fd, nil, 0) })
		h.final(6, 0)
		h.entry(7, func(e *ring.SQE) { e.PrepReadAt(1<<20, p, 0) })
		h.fails(7, unix.EBADF)
	}},
	{"read and write a file at its cursor", func(h *harness) {
		fd, path := h.file("0123456789")
		p := make([]byte, 4)
		for i, want := range []string{"0123", "4567", "89", ""} {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepRead(fd, p) })
			h.final(uint64(i), len(want))
			require.Equal(h, want, string(p[:len(want)]))
		}
		h.entry(9, func(e *ring.SQE) { e.PrepWrite(fd, h.text("ab")) })
		h.final(9, 2)
		require.Equal(h, "0123456789ab", h.content(path))
	}},
	{"read what is not in the page cache, many at once", func(h *harness) {
		const block, blocks = 4096, 200
		var all []byte
		for i := range blocks {
			all = append(all, bytes.Repeat([]byte{byte(i)}, block)...)
		}
		fd, _ := h.file(string(all))
		h.forget(fd)
		got := make([]byte, len(all))
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, got[i*block:(i+1)*block], int64(i*block)) })
		}
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, got))
	}},
	{"a read of which half is in the page cache reads all", func(h *harness) {
		all := bytes.Repeat([]byte("0123456789abcdef"), 16<<10) // 256 KiB
		fd, _ := h.file(string(all))
		h.forget(fd)
		require.NoError(h, unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)) // no reading ahead
		h.read(fd, 4096)
		got := make([]byte, len(all))
		h.entry(1, func(e *ring.SQE) { e.PrepReadAt(fd, got, 0) })
		h.final(1, len(all))
		require.True(h, bytes.Equal(all, got))
		h.forget(fd)
		require.NoError(h, unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM))
		_, err := unix.Pread(fd, got[:4096], 0)
		require.NoError(h, err)
		clear(got)
		v := h.vector(got[:1000], got[1000:5000], got[5000:])
		h.entry(2, func(e *ring.SQE) { e.PrepReadv(fd, v, 0) })
		h.final(2, len(all))
		require.True(h, bytes.Equal(all, got))
	}},
	{"vectors, copied at submission", func(h *harness) {
		fd, path := h.file("0123456789")
		v := h.vector([]byte("ab"), nil, []byte("cde"))
		h.entry(1, func(e *ring.SQE) { e.PrepWritev(fd, v, 2) })
		require.NoError(h, h.Enter(0))
		clear(v)
		h.final(1, 5)
		require.Equal(h, "01abcde789", h.content(path))
		one, two := make([]byte, 3), make([]byte, 20)
		v = h.vector(one, two)
		h.entry(2, func(e *ring.SQE) { e.PrepReadv(fd, v, ring.AtCursor) })
		require.NoError(h, h.Enter(0))
		clear(v)
		h.final(2, 10)
		require.Equal(h, "01a", string(one))
		require.Equal(h, "bcde789", string(two[:7]))
		h.entry(3, func(e *ring.SQE) { e.PrepReadv(fd, make([]ring.Iovec, 1025), 0) })
		h.fails(3, unix.EINVAL)
		h.entry(4, func(e *ring.SQE) { e.PrepReadv(fd, nil, 0) })
		h.final(4, 0)
	}},
	{"an entry moves less than 2 GiB, however much memory it has", func(h *harness) {
		most := math.MaxInt32 &^ (os.Getpagesize() - 1)
		null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(null)
		moves := func(n int, prepare func(*ring.SQE)) {
			h.Helper()
			h.entry(1, func(e *ring.SQE) { prepare(e); e.SetFlags(ring.SQELink) })
			h.entry(2, (*ring.SQE).PrepNop)
			h.final(1, n)
			h.final(2, 0)
		}
		vector := h.vector(slices.Repeat([][]byte{h.memory(4 << 20)}, 1024)...)
		moves(most, func(e *ring.SQE) { e.PrepWritev(null, vector, ring.AtCursor) })
		if math.MaxInt == math.MaxInt32 {
			return // no slice is so long
		}
		size := uint64(4 << 30)
		p, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		require.NoError(h, err)
		defer unix.Munmap(p)
		moves(most, func(e *ring.SQE) { e.PrepWrite(null, p) })
		moves(most, func(e *ring.SQE) { e.PrepWriteAt(null, p, 0) })
		ours, peer := h.pair()
		h.write(peer, "hello")
		moves(5, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
		h.write(peer, "again")
		h.entry(3, func(e *ring.SQE) { e.PrepRead(ours, p) })
		h.final(3, 5)
		h.entry(4, func(e *ring.SQE) { e.PrepSend(ours, p, ring.MsgDontWait) })
		sent := h.result(4)
		require.Positive(h, sent.Result())
	}},
	{"a vector is read from and written to a pipe", func(h *harness) {
		var p [2]int
		require.NoError(h, unix.Pipe2(p[:], unix.O_CLOEXEC))
		h.owned(p[0], p[1])
		one, two := make([]byte, 2), make([]byte, 4)
		h.entry(1, func(e *ring.SQE) { e.PrepReadv(p[0], h.vector(one, two), ring.AtCursor) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepWritev(p[1], h.vector(h.text("ab"), h.text("cde")), ring.AtCursor) })
		h.final(2, 5)
		h.final(1, 5)
		require.Equal(h, "abcde", string(one)+string(two[:3]))
	}},
	{"a read of a file picks a provided buffer", func(h *harness) {
		fd, _ := h.file("provided")
		h.forget(fd)
		g := h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepReadProvided(fd, groupID) })
		require.Equal(h, "provided", g.bytes(h, h.final(1, 8)))
		h.entry(2, func(e *ring.SQE) { e.PrepReadProvided(fd, groupID) })
		h.final(2, 0)
	}},
	{"open, stat, sync, allocate, advise and close", func(h *harness) {
		path := filepath.Join(h.TempDir(), "new")
		h.entry(1, func(e *ring.SQE) {
			e.PrepOpenat(here, h.name(path), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o640)
		})
		c := h.result(1)
		require.NoError(h, errnoOf(c))
		fd := int(c.Result())
		h.entry(2, func(e *ring.SQE) {
			e.PrepOpenat(here, h.name(path), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o640)
		})
		h.fails(2, unix.EEXIST)
		h.entry(3, func(e *ring.SQE) { e.PrepFallocate(fd, 0, 10, 90) })
		h.final(3, 0)
		h.entry(4, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.final(4, 0)
		h.entry(5, func(e *ring.SQE) { e.PrepFsync(fd, ring.FsyncDataSync) })
		h.final(5, 0)
		h.entry(6, func(e *ring.SQE) { e.PrepFadvise(fd, 0, 100, unix.FADV_SEQUENTIAL) })
		h.final(6, 0)
		stat := new(unix.Statx_t)
		h.entry(7, func(e *ring.SQE) {
			e.PrepStatx(fd, h.name(""), unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, unsafe.Pointer(stat))
		})
		h.final(7, 0)
		require.EqualValues(h, 100, stat.Size)
		require.EqualValues(h, 0o640, stat.Mode&0o777)
		h.entry(8, func(e *ring.SQE) { e.PrepClose(fd) })
		h.final(8, 0)
		h.entry(9, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.fails(9, unix.EBADF)
		h.entry(10, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path+"/no"), unix.O_RDONLY, 0) })
		h.fails(10, unix.ENOTDIR)
		h.entry(11, func(e *ring.SQE) { e.PrepOpenat(here, h.name(""), unix.O_RDONLY, 0) })
		h.fails(11, unix.ENOENT)
		h.entry(12, func(e *ring.SQE) {
			e.PrepOpenat(here, h.name(string(bytes.Repeat(h.text("x"), 5000))), unix.O_RDONLY, 0)
		})
		h.fails(12, unix.ENAMETOOLONG)
	}},
	{"what a file refuses", func(h *harness) {
		fd, path := h.file("x")
		readOnly, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(readOnly)
		pipe := h.eventfd()
		h.entry(1, func(e *ring.SQE) { e.PrepWriteAt(readOnly, h.text("x"), 0) })
		h.fails(1, unix.EBADF)
		h.entry(2, func(e *ring.SQE) { e.PrepFallocate(fd, 0, -1, 10) })
		h.fails(2, unix.EINVAL)
		h.entry(3, func(e *ring.SQE) { e.PrepFsync(pipe, 0) })
		h.fails(3, unix.EINVAL)
		h.entry(4, func(e *ring.SQE) { e.PrepFsync(fd, 1<<7) })
		h.fails(4, unix.EINVAL)
		dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(dir)
		h.entry(5, func(e *ring.SQE) { e.PrepReadAt(dir, h.memory(8), 0) })
		h.fails(5, unix.EISDIR)
	}},
	{"what a descriptor is not open for", func(h *harness) {
		r, w := h.pipe()
		_, path := h.file("content")
		p := h.memory(4)
		v := h.vector(p[:1], p[1:])
		for _, at := range []int64{ring.AtCursor, 0, 3} {
			for _, fd := range []int{w, h.open(path, unix.O_WRONLY), h.open(path, unix.O_PATH)} {
				h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepReadAt(fd, p, at) })
				h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepReadv(fd, v, at) })
			}
			for _, fd := range []int{r, h.open(path, unix.O_RDONLY), h.open(path, unix.O_PATH), h.readOnly()} {
				h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepWriteAt(fd, p, at) })
				h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepWritev(fd, v, at) })
			}
		}
	}},
	{"truncate", func(h *harness) {
		fd, path := h.file("0123456789")
		if h.lacks(ring.OpFtruncate) {
			return
		}
		h.entry(1, func(e *ring.SQE) { e.PrepFtruncate(fd, 4) })
		c := h.result(1)
		require.NoError(h, errnoOf(c))
		require.Equal(h, "0123", h.content(path))
		h.entry(2, func(e *ring.SQE) { e.PrepFtruncate(fd, -1) })
		h.fails(2, unix.EINVAL)
	}},
	{"names in a directory that was closed before them", func(h *harness) {
		sub := filepath.Join(h.TempDir(), "sub")
		require.NoError(h, unix.Mkdir(sub, 0o700))
		require.NoError(h, os.WriteFile(filepath.Join(sub, "file"), nil, 0o600))
		stat := new(unix.Statx_t)
		for range 50 { // a worker is too late to find the number open, most times
			fd, err := unix.Open(sub, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			require.NoError(h, err)
			after := func(userData uint64, prepare func(*ring.SQE)) {
				h.entry(userData, prepare).SetFlags(ring.SQEHardLink)
			}
			after(1, func(e *ring.SQE) { e.PrepClose(fd) })
			after(2, func(e *ring.SQE) {
				e.PrepStatx(fd, h.name(""), unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, unsafe.Pointer(stat))
			})
			after(3, func(e *ring.SQE) { e.PrepOpenat(fd, h.name("file"), unix.O_RDONLY|unix.O_CLOEXEC, 0) })
			after(4, func(e *ring.SQE) { e.PrepRenameat(here, h.name(sub+"/file"), fd, h.name("moved"), 0) })
			h.entry(5, func(e *ring.SQE) { // a whole path needs no directory
				e.PrepStatx(fd, h.name(sub), 0, unix.STATX_BASIC_STATS, unsafe.Pointer(stat))
			})
			h.final(1, 0)
			h.fails(2, unix.EBADF)
			h.fails(3, unix.EBADF)
			h.fails(4, unix.EBADF)
			h.final(5, 0)
		}
	}},
	{"what opens nothing needs no descriptor", func(h *harness) {
		fd, path := h.file("content")
		stat := new(unix.Statx_t)
		h.withoutNumbers(func() {
			h.entry(1, func(e *ring.SQE) { e.PrepReadAt(fd, h.memory(7), 0) })
			h.final(1, 7)
			h.entry(2, func(e *ring.SQE) { e.PrepWriteAt(fd, []byte("written"), 0) })
			h.final(2, 7)
			h.entry(3, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
			h.final(3, 0)
			h.entry(4, func(e *ring.SQE) {
				e.PrepStatx(here, h.name(path), 0, unix.STATX_SIZE, unsafe.Pointer(stat))
			})
			h.final(4, 0)
			h.entry(5, func(e *ring.SQE) { e.PrepMkdirat(here, h.name(path+".d"), 0o700) })
			h.final(5, 0)
			h.entry(6, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), unix.O_RDONLY|unix.O_CLOEXEC, 0) })
			h.fails(6, unix.EMFILE)
		})
		require.EqualValues(h, 7, stat.Size)
		require.Equal(h, "written", h.content(path))
	}},
	{"names: make a directory, rename, link and unlink", func(h *harness) {
		_, path := h.file("content")
		dir := filepath.Dir(path)
		at := func(s string) *byte { return h.name(filepath.Join(dir, s)) }
		h.entry(1, func(e *ring.SQE) { e.PrepMkdirat(here, at("sub"), 0o700) })
		h.final(1, 0)
		h.entry(2, func(e *ring.SQE) { e.PrepMkdirat(here, at("sub"), 0o700) })
		h.fails(2, unix.EEXIST)
		h.entry(3, func(e *ring.SQE) { e.PrepLinkat(here, at("file"), here, at("sub/hard"), 0) })
		h.final(3, 0)
		h.entry(4, func(e *ring.SQE) { e.PrepSymlinkat(h.name("hard"), here, at("sub/soft")) })
		h.final(4, 0)
		require.Equal(h, "content", h.content(filepath.Join(dir, "sub/soft")))
		h.entry(5, func(e *ring.SQE) { e.PrepRenameat(here, at("file"), here, at("moved"), 0) })
		h.final(5, 0)
		require.Equal(h, "content", h.content(filepath.Join(dir, "moved")))
		h.entry(6, func(e *ring.SQE) { e.PrepRenameat(here, at("file"), here, at("moved"), 0) })
		h.fails(6, unix.ENOENT)
		h.entry(7, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub"), unix.AT_REMOVEDIR) })
		h.fails(7, unix.ENOTEMPTY)
		h.entry(8, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub/hard"), 0) })
		h.final(8, 0)
		h.entry(9, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub/soft"), 0) })
		h.final(9, 0)
		h.entry(10, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub"), 0) })
		h.fails(10, unix.EISDIR)
		h.entry(11, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub"), unix.AT_REMOVEDIR) })
		h.final(11, 0)
		h.entry(12, func(e *ring.SQE) { e.PrepUnlinkat(here, at("sub"), 1<<3) })
		h.fails(12, unix.EINVAL)
	}},
	{"paths are copied at submission", func(h *harness) {
		dir := h.TempDir()
		for i := range 64 {
			path := append([]byte(filepath.Join(dir, string(rune('A'+i)))), 0)
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepMkdirat(here, &path[0], 0o700) })
			require.NoError(h, h.Enter(0))
			clear(path)
		}
		for i := range 64 {
			h.final(uint64(i), 0)
		}
		list, err := os.ReadDir(dir)
		require.NoError(h, err)
		require.Len(h, list, 64)
	}},
	{"write, then sync, then read, in a chain", func(h *harness) {
		fd, _ := h.file("")
		p := make([]byte, 5)
		h.entry(1, func(e *ring.SQE) { e.PrepWriteAt(fd, h.text("chain"), 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepFsync(fd, 0); e.SetFlags(ring.SQELink) })
		h.entry(3, func(e *ring.SQE) { e.PrepReadAt(fd, p, 0) })
		h.final(1, 5)
		h.final(2, 0)
		h.final(3, 5)
		require.Equal(h, "chain", string(p))
	}},
	{"a short read breaks a chain", func(h *harness) {
		fd, _ := h.file("abc")
		h.forget(fd)
		h.entry(1, func(e *ring.SQE) { e.PrepReadAt(fd, h.memory(8), 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.final(1, 3)
		h.fails(2, unix.ECANCELED)
	}},
	{"an open that fails breaks a chain", func(h *harness) {
		fd, path := h.file("abc")
		h.entry(1, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path+"-"), unix.O_RDONLY, 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.fails(1, unix.ENOENT)
		h.fails(2, unix.ECANCELED)
	}},
	{"what is in flight on a file outlives the closing of its number", func(h *harness) {
		const block, blocks = 4096, 64
		all := bytes.Repeat([]byte("z"), block*blocks)
		path := filepath.Join(h.TempDir(), "file")
		require.NoError(h, os.WriteFile(path, all, 0o600))
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECT, 0)
		if err == unix.EINVAL { // this file system has no O_DIRECT
			fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		require.NoError(h, err)
		p := aligned(block * blocks)
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*block:(i+1)*block], int64(i*block)) })
		}
		h.entry(100, func(e *ring.SQE) { e.PrepClose(fd) })
		h.entry(101, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.final(100, 0)
		h.fails(101, unix.EBADF)
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, p))
	}},
	{"a descriptor that nobody takes is closed with the queue", func(h *harness) {
		_, path := h.file("abc")
		for i := range 40 {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), unix.O_RDONLY|unix.O_CLOEXEC, 0) })
		}
		require.NoError(h, h.Enter(0))
		// run closes the queue and then counts descriptors.
	}},
	{"a named pipe opens without the other end, which a writer needs", func(h *harness) {
		path := filepath.Join(h.TempDir(), "fifo")
		require.NoError(h, unix.Mkfifo(path, 0o600))
		h.entry(1, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), unix.O_WRONLY|unix.O_CLOEXEC, 0) })
		h.fails(1, unix.ENXIO)
		h.entry(2, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), unix.O_RDONLY|unix.O_CLOEXEC, 0) })
		c := h.result(2)
		require.NoError(h, errnoOf(c))
		h.owned(int(c.Result()))
		flags, err := unix.FcntlInt(uintptr(c.Result()), unix.F_GETFL, 0)
		require.NoError(h, err)
		require.Zero(h, flags&unix.O_NONBLOCK)
	}},
	{"closing the queue ends an open that waits for the other end of a pipe", func(h *harness) {
		for i, flag := range []uint32{unix.O_RDONLY, unix.O_WRONLY} {
			path := filepath.Join(h.TempDir(), "fifo")
			require.NoError(h, unix.Mkfifo(path, 0o600))
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), flag|unix.O_CREAT|unix.O_CLOEXEC, 0o600) })
			h.quiet(uint64(i))
		}
	}},
	{"an open that waits keeps nothing behind it from being done", func(h *harness) {
		file, _ := h.file("x")
		for i := range uint64(10) { // a worker that has nothing to do is there, and is not woken yet
			h.entry(i, func(e *ring.SQE) { e.PrepFsync(file, 0) })
			h.final(i, 0)
			path := filepath.Join(h.TempDir(), "fifo")
			require.NoError(h, unix.Mkfifo(path, 0o600))
			h.entry(100+i, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600) })
			h.entry(200+i, func(e *ring.SQE) { e.PrepFsync(file, 0) })
			h.final(200+i, 0)
			require.Empty(h, h.done[100+i])
		}
	}},
	{"closing the queue waits for what runs on files", func(h *harness) {
		fd, _ := h.file("")
		p := bytes.Repeat([]byte("x"), 1<<20)
		for i := range 50 {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepWriteAt(fd, p, int64(i)<<20) })
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		}
		require.NoError(h, h.Enter(0))
	}},
}

// aligned is memory that O_DIRECT can use.
func aligned(n int) []byte {
	const page = 4096
	p := make([]byte, n+page)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (page - 1))
	return p[skip : skip+n : skip+n]
}

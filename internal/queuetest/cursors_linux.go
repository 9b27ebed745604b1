package queuetest

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// halfMapped is memory of two pages of which the second cannot be touched: what
// transfers to or from it is cut in the middle, by EFAULT, on any file.
func (h *harness) halfMapped() (p []byte, half int) {
	half = os.Getpagesize()
	p, err := unix.Mmap(-1, 0, 2*half, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(h, err)
	for i := range half {
		p[i] = 'x'
	}
	require.NoError(h, unix.Mprotect(p[half:], unix.PROT_NONE))
	h.Cleanup(func() { unix.Munmap(p) })
	return p, half
}

// cut is how many bytes of parts write(2) takes at an offset of a file: before Linux 6.0
// only whole pages of what an error cuts.
func (h *harness) cut(at int, parts ...[]byte) int {
	h.Helper()
	fd, _ := h.file("")
	n, err := unix.Pwritev(fd, parts, int64(at))
	require.NoError(h, err)
	require.Positive(h, n)
	return n
}

// cursorAt requires that the position of a file is there.
func (h *harness) cursorAt(fd, want int) {
	h.Helper()
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	require.NoError(h, err)
	require.EqualValues(h, want, at, "cursor")
}

func (h *harness) seek(fd, to int) {
	_, err := unix.Seek(fd, int64(to), io.SeekStart)
	require.NoError(h, err)
}

// limitFileSize sets RLIMIT_FSIZE of the process for the time of the case.
func (h *harness) limitFileSize(n int) {
	signal.Ignore(syscall.SIGXFSZ)
	var before unix.Rlimit
	require.NoError(h, unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	require.NoError(h, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(n), Max: before.Max}))
	h.Cleanup(func() {
		unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
		signal.Reset(syscall.SIGXFSZ)
	})
}

// cursors is about the position of a file, which read(2) and write(2) leave behind
// what they moved, whatever cut them.
var cursors = []testCase{
	{"a write at the cursor that an error cuts moves it", func(h *harness) {
		fd, _ := h.file("0123456789")
		p, half := h.halfMapped()
		h.seek(fd, 3)
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(fd, p) })
		n := h.cut(3, p)
		h.final(1, n)
		h.cursorAt(fd, 3+n)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(fd, p[half:]) })
		h.fails(2, unix.EFAULT)
		h.cursorAt(fd, 3+n)
		h.entry(3, func(e *ring.SQE) { e.PrepWrite(fd, h.text("end")) })
		h.final(3, 3)
		h.cursorAt(fd, 6+n)
	}},
	{"a vector at the cursor that an error cuts moves it", func(h *harness) {
		fd, _ := h.file("0123456789")
		p, half := h.halfMapped()
		h.entry(1, func(e *ring.SQE) { e.PrepWritev(fd, h.vector(h.text("ab"), p), ring.AtCursor) })
		n := h.cut(0, []byte("ab"), p)
		h.final(1, n)
		h.cursorAt(fd, n)
		h.write(fd, "more")
		h.seek(fd, 0)
		one := h.memory(2)
		h.entry(2, func(e *ring.SQE) { e.PrepReadv(fd, h.vector(one, p[:half-1], p[half:]), ring.AtCursor) })
		h.final(2, 1+half)
		h.cursorAt(fd, 1+half)
	}},
	{"a read at the cursor that an error cuts moves it", func(h *harness) {
		p, half := h.halfMapped()
		fd, _ := h.file(string(make([]byte, 4*half)))
		h.seek(fd, 5)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, p) })
		h.final(1, half)
		h.cursorAt(fd, 5+half)
		h.entry(2, func(e *ring.SQE) { e.PrepRead(fd, p[half:]) })
		h.fails(2, unix.EFAULT)
		h.cursorAt(fd, 5+half)
	}},
	{"a read at the cursor that the end of the file cuts moves it once", func(h *harness) {
		fd, _ := h.file("0123456789")
		h.seek(fd, 6)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, h.memory(8)) })
		h.final(1, 4)
		h.cursorAt(fd, 10)
		h.seek(fd, 0)
		h.entry(2, func(e *ring.SQE) { e.PrepRead(fd, h.memory(4)); e.SetFlags(ring.SQELink) })
		h.entry(3, func(e *ring.SQE) { e.PrepRead(fd, h.memory(8)) })
		h.final(2, 4)
		h.final(3, 6)
		h.cursorAt(fd, 10)
	}},
	{"in a chain, an error behind a whole transfer moves the cursor", func(h *harness) {
		fd, _ := h.file("")
		p, _ := h.halfMapped()
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(fd, h.text("whole")); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(fd, p); e.SetFlags(ring.SQELink) })
		h.entry(3, func(e *ring.SQE) { e.PrepWrite(fd, h.text("never")) })
		h.final(1, 5)
		n := h.cut(5, p)
		h.final(2, n)
		h.fails(3, unix.ECANCELED)
		h.cursorAt(fd, 5+n)
	}},
	{"in a chain, what follows a short transfer moves the cursor once", func(h *harness) {
		fd, _ := h.file("01234")
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, h.memory(8)); e.SetFlags(ring.SQEHardLink) })
		h.entry(2, func(e *ring.SQE) { e.PrepRead(fd, h.memory(3)); e.SetFlags(ring.SQEHardLink) })
		h.entry(3, func(e *ring.SQE) {
			e.PrepWritev(fd, h.vector(h.text("a"), h.text("b")), ring.AtCursor)
			e.SetFlags(ring.SQEHardLink)
		})
		h.entry(4, func(e *ring.SQE) { e.PrepWrite(fd, h.text("c")) })
		for i, want := range []int{5, 0, 2, 1} {
			h.final(uint64(i+1), want)
		}
		h.cursorAt(fd, 8)
	}},
	{"a number that was a pipe's before has a cursor when it is a file's", func(h *harness) {
		p, half := h.halfMapped()
		_, path := h.file(string(make([]byte, 4*half)))
		read := func(e *ring.SQE, fd int) { e.PrepRead(fd, p) }
		write := func(e *ring.SQE, fd int) { e.PrepWrite(fd, p) }
		for i, transfer := range []func(*ring.SQE, int){read, write} {
			r, w := h.loosePipe()
			fd := []int{r, w}[i]
			for range 2 { // once is not remembered
				h.write(w, "x")
				h.entry(1, func(e *ring.SQE) { transfer(e, fd) })
				h.result(1)
			}
			require.NoError(h, unix.Dup3(h.open(path, unix.O_RDWR), fd, unix.O_CLOEXEC))
			h.entry(2, func(e *ring.SQE) { transfer(e, fd) })
			h.final(2, half)
			h.cursorAt(fd, half)
			h.entry(3, func(e *ring.SQE) { e.PrepRead(fd, h.memory(1)) })
			h.final(3, 1)
			h.cursorAt(fd, half+1)
			for _, fd := range []int{r, w} {
				require.NoError(h, unix.Close(fd))
			}
		}
	}},
	{"a write to the end that an error cuts puts the cursor there", func(h *harness) {
		_, path := h.file("0123456789")
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_APPEND|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(fd)
		p, _ := h.halfMapped()
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(fd, p) })
		n := h.cut(10, p)
		h.final(1, n)
		h.cursorAt(fd, 10+n)
	}},
	{"a write over the limit of a file's size is cut there", func(h *harness) {
		fd, path := h.file("")
		h.limitFileSize(10000)
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(fd, h.text(string(make([]byte, 20000)))) })
		h.final(1, 10000)
		h.cursorAt(fd, 10000)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(fd, h.text("more")) })
		h.fails(2, unix.EFBIG)
		h.cursorAt(fd, 10000)
		require.Len(h, h.content(path), 10000)
	}},
	{"a write that a sealed file cuts moves the cursor", func(h *harness) {
		half := os.Getpagesize()
		sealed := func() int {
			fd, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
			require.NoError(h, err)
			h.owned(fd)
			require.NoError(h, unix.Ftruncate(fd, int64(half)))
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
			require.NoError(h, err)
			return fd
		}
		if n, err := unix.Write(sealed(), h.memory(2*half)); err != nil { // seen on 6.12
			h.Skipf("write(2) writes %d of %d bytes: %v", n, 2*half, err)
		}
		fd := sealed()
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(fd, h.memory(2*half)) })
		h.final(1, half)
		h.cursorAt(fd, half)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(fd, h.memory(half)) })
		h.fails(2, unix.EPERM)
	}},
	{"what has no position is cut without one", func(h *harness) {
		p, half := h.halfMapped()
		var pipe [2]int
		require.NoError(h, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		h.owned(pipe[0], pipe[1])
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(pipe[1], p) })
		h.final(1, half)
		require.Len(h, h.read(pipe[0], half), half)
		full, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(full)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(full, h.text("x")) })
		h.fails(2, unix.ENOSPC)
	}},
}

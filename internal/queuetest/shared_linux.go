package queuetest

import (
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fifo makes a named pipe and opens it with a plain system call.
func (h *harness) fifo() (path string, open func(flags int) int) {
	path = filepath.Join(h.TempDir(), fmt.Sprint("fifo", len(h.fds)))
	require.NoError(h, unix.Mkfifo(path, 0o600))
	return path, func(flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(fd)
		return fd
	}
}

// unwritten is the reading end of a named pipe whose writer is yet to come.
func (h *harness) unwritten() (fd int, openWriter func() int) {
	_, open := h.fifo()
	fd = open(unix.O_RDONLY | unix.O_NONBLOCK)
	require.NoError(h, unix.SetNonblock(fd, false))
	return fd, func() int { return open(unix.O_WRONLY) }
}

// terminal is a pseudoterminal, in raw mode.
func (h *harness) terminal() (master, slave int) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.EACCES || err == unix.ENODEV {
		h.Skipf("needs pseudoterminals: %v", err)
	}
	require.NoError(h, err)
	h.owned(master)
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	require.NoError(h, err)
	require.NoError(h, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	slave, err = unix.Open(fmt.Sprint("/dev/pts/", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(slave)
	mode, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	require.NoError(h, err)
	mode.Lflag &^= unix.ICANON | unix.ECHO
	mode.Oflag &^= unix.OPOST
	require.NoError(h, unix.IoctlSetTermios(slave, unix.TCSETS, mode))
	return master, slave
}

// transferred waits for a transfer of n bytes by a terminal. In the kernel's ring a signal
// to the thread ends one: it is submitted again.
func (h *harness) transferred(userData uint64, n int, prepare func(*ring.SQE)) {
	h.Helper()
	c := h.result(userData)
	for ; c.Result() == -int32(unix.EINTR); c = h.result(userData) {
		h.entry(userData, prepare)
	}
	require.Equal(h, int32(n), c.Result(), "result of %d: %v", userData, errnoOf(c))
}

// blocking requires that what shares the description of fd finds it blocking.
func (h *harness) blocking(fds ...int) {
	h.Helper()
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		require.NoError(h, err)
		require.Zero(h, flags&unix.O_NONBLOCK, "descriptor %d is left non-blocking", fd)
	}
}

// underWay gives a worker the time to begin with an entry, which nothing shows. On a
// busy machine it may not have begun all the same.
func (h *harness) underWay(userData uint64) {
	h.Helper()
	h.quiet(userData)
	until := h.after(20 * time.Millisecond)
	h.entry(1<<41, func(e *ring.SQE) { e.PrepTimeout(until, 0, 0) })
	h.fails(1<<41, unix.ETIME)
}

// shared is about descriptors whose description others may share, and about
// waiting for the other end of named pipes.
var shared = []testCase{
	{"a read of a named pipe waits for a writer that is yet to come", func(h *harness) {
		fd, openWriter := h.unwritten()
		p := make([]byte, 8)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, p) })
		h.quiet(1)
		h.blocking(fd)
		w := openWriter()
		h.quiet(1)
		h.write(w, "hello")
		h.final(1, 5)
		require.Equal(h, "hello", string(p[:5]))
		h.entry(2, func(e *ring.SQE) { e.PrepRead(fd, p) })
		h.quiet(2)
		require.NoError(h, unix.Close(w))
		h.final(2, 0)
		h.entry(3, func(e *ring.SQE) { e.PrepRead(fd, p) })
		h.final(3, 0)
		h.write(openWriter(), "again")
		h.entry(4, func(e *ring.SQE) { e.PrepReadv(fd, h.vector(p[:2], p[2:]), ring.AtCursor) })
		h.final(4, 5)
		require.Equal(h, "again", string(p[:5]))
		h.blocking(fd)
	}},
	{"a writer that leaves without a word ends the read of a named pipe", func(h *harness) {
		fd, openWriter := h.unwritten()
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, h.memory(8)) })
		h.quiet(1)
		require.NoError(h, unix.Close(openWriter()))
		h.final(1, 0)
	}},
	{"a read of a named pipe without a writer is canceled", func(h *harness) {
		fd, _ := h.unwritten()
		h.entry(1, func(e *ring.SQE) { e.PrepRead(fd, h.memory(8)) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"a read of nothing waits for a named pipe, too", func(h *harness) {
		_, open := h.fifo()
		r, w := open(unix.O_RDWR), open(unix.O_WRONLY)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(r, nil) })
		h.quiet(1)
		h.write(w, "x")
		h.final(1, 0)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(w, nil) })
		h.final(2, 0)
		require.Equal(h, "x", string(h.read(r, 1)))
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepRead(w, nil) })
	}},
	{"a provided buffer waits for the writer of a named pipe", func(h *harness) {
		fd, openWriter := h.unwritten()
		g := h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepReadProvided(fd, groupID) })
		h.quiet(1)
		h.write(openWriter(), "provided")
		require.Equal(h, "provided", g.bytes(h, h.final(1, 8)))
	}},
	{"a named pipe is filled, and waits for room", func(h *harness) {
		_, open := h.fifo()
		r := open(unix.O_RDWR)
		w := open(unix.O_WRONLY)
		size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
		require.NoError(h, err)
		h.entry(1, func(e *ring.SQE) { e.PrepWrite(w, h.memory(2*size)) })
		if h.kernelBefore(6, 12) { // seen on 6.1: a worker writes, until all is written
			h.quiet(1)
			h.read(r, size)
			h.final(1, 2*size)
		} else {
			h.final(1, size)
		}
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(w, h.text("more")) })
		h.quiet(2)
		h.blocking(w)
		h.read(r, size)
		h.final(2, 4)
		require.Equal(h, "more", string(h.read(r, 4)))
		h.blocking(r, w)
	}},
	{"a terminal stays as blocking as it was", func(h *harness) {
		master, slave := h.terminal()
		p := make([]byte, 8)
		reads := func(fd int) func(*ring.SQE) { return func(e *ring.SQE) { e.PrepRead(fd, p) } }
		writes := func(fd int, s string) func(*ring.SQE) { return func(e *ring.SQE) { e.PrepWrite(fd, h.text(s)) } }
		h.entry(1, reads(slave))
		h.quiet(1)
		h.blocking(master, slave)
		h.entry(2, writes(master, "typed"))
		h.transferred(2, 5, writes(master, "typed"))
		h.transferred(1, 5, reads(slave))
		require.Equal(h, "typed", string(p[:5]))
		h.entry(3, reads(master))
		h.quiet(3)
		h.entry(4, writes(slave, "shown"))
		h.transferred(4, 5, writes(slave, "shown"))
		h.transferred(3, 5, reads(master))
		require.Equal(h, "shown", string(p[:5]))
		h.entry(5, reads(slave))
		h.quiet(5)
		h.entry(6, func(e *ring.SQE) { e.PrepCancel(5, 0) })
		h.final(6, 0)
		h.fails(5, unix.ECANCELED)
		h.blocking(master, slave)
	}},
	{"pipes and eventfds stay as blocking as they were", func(h *harness) {
		var pipe [2]int
		require.NoError(h, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		h.owned(pipe[0], pipe[1])
		counter := h.eventfd()
		p := make([]byte, 8)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(pipe[0], p) })
		h.entry(2, func(e *ring.SQE) { e.PrepRead(counter, h.memory(8)) })
		h.quiet(1)
		h.quiet(2)
		h.blocking(pipe[0], counter)
		h.entry(3, func(e *ring.SQE) { e.PrepWrite(pipe[1], h.text("x")) })
		h.entry(4, func(e *ring.SQE) { e.PrepWrite(counter, h.text("\x01\x00\x00\x00\x00\x00\x00\x00")) })
		h.final(3, 1)
		h.final(4, 8)
		h.final(1, 1)
		h.final(2, 8)
		h.blocking(pipe[0], pipe[1], counter)
	}},
	{"a socket that connects stays as blocking as it was", func(h *harness) {
		_, addr := h.listener()
		fd := h.socket()
		h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, h.text(string(rawAddress(addr)))) })
		require.NoError(h, h.Enter(0))
		h.blocking(fd)
		h.final(1, 0)
		h.blocking(fd)
	}},
	{"a cancel ends an open that waits for the other end of a named pipe", func(h *harness) {
		for _, flag := range []uint32{unix.O_RDONLY, unix.O_WRONLY} {
			path, open := h.fifo()
			h.entry(1, func(e *ring.SQE) { e.PrepOpenat(here, h.name(path), flag|unix.O_CREAT|unix.O_CLOEXEC, 0o600) })
			h.underWay(1)
			// Linux 6.1 answers 0; later ones EALREADY, or ENOENT when the worker that was told
			// has ended before the kernel looks whether there is one.
			h.canceled(1, func(e *ring.SQE) { e.PrepCancel(1, 0) })
			open(unix.O_RDWR) // where a thread is left waiting, that lets it go
		}
	}},
	{"opens that wait leave room for what else is to be looked up", func(h *harness) {
		path, open := h.fifo()
		const waiting = 40
		for i := range uint64(waiting) {
			h.entry(100+i, func(e *ring.SQE) {
				e.PrepOpenat(here, h.name(path), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			})
		}
		stat := new(unix.Statx_t)
		h.entry(1, func(e *ring.SQE) { e.PrepStatx(here, h.name("/"), 0, unix.STATX_TYPE, unsafe.Pointer(stat)) })
		h.final(1, 0)
		require.EqualValues(h, unix.S_IFDIR, stat.Mode&unix.S_IFMT)
		h.quiet(100)
		open(unix.O_RDWR)
		for i := range uint64(waiting) {
			c := h.result(100 + i)
			require.NoError(h, errnoOf(c))
			h.owned(int(c.Result()))
		}
	}},
}

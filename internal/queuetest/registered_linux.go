package queuetest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// registered makes a table of buffers, of which the first is n bytes large.
func (h *harness) registered(n int) []byte {
	p := aligned(n)
	h.kept = append(h.kept, p)
	h.registers(ring.FeatureRegisteredBuffers, h.RegisterBuffers(4))
	require.NoError(h, h.UpdateBuffer(0, p))
	return p
}

var registeredBuffers = []testCase{
	{"the table of registered buffers", func(h *harness) {
		p := h.memory(100)
		require.ErrorIs(h, h.UpdateBuffer(0, p), unix.ENXIO)
		require.ErrorIs(h, h.UnregisterBuffers(), unix.ENXIO)
		for _, n := range []int{-1, 0, ring.MaxBuffers + 1} {
			require.ErrorIs(h, h.RegisterBuffers(n), unix.EINVAL)
		}
		h.registers(ring.FeatureRegisteredBuffers, h.RegisterBuffers(ring.MaxBuffers))
		require.ErrorIs(h, h.RegisterBuffers(1), unix.EBUSY)
		require.NoError(h, h.UpdateBuffer(ring.MaxBuffers-1, p))
		require.NoError(h, h.UnregisterBuffers())
		require.NoError(h, h.RegisterBuffers(2))
		for _, index := range []int{-1, 2} {
			require.ErrorIs(h, h.UpdateBuffer(index, p), unix.EINVAL)
		}
		require.NoError(h, h.UpdateBuffer(1, nil), "emptying an empty place")
		require.NoError(h, h.UpdateBuffer(1, p))
		require.NoError(h, h.UpdateBuffer(1, h.memory(5000)), "in place of another")
	}},
	{"read into and write from a registered buffer, at offsets and at the cursor", func(h *harness) {
		fd, path := h.file("0123456789")
		p := h.registered(1000)
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:4], 3, 0) })
		h.final(1, 4)
		require.Equal(h, "3456", string(p[:4]))
		h.entry(2, func(e *ring.SQE) { e.PrepReadFixed(fd, p[996:], 8, 0) })
		h.final(2, 2)
		require.Equal(h, "89", string(p[996:998]))
		h.entry(3, func(e *ring.SQE) { e.PrepReadFixed(fd, p, 10, 0) })
		h.final(3, 0)
		copy(p[500:], "abc")
		h.entry(4, func(e *ring.SQE) { e.PrepWriteFixed(fd, p[500:503], 9, 0) })
		h.final(4, 3)
		h.entry(5, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:2], ring.AtCursor, 0) })
		h.final(5, 2)
		h.entry(6, func(e *ring.SQE) { e.PrepWriteFixed(fd, p[500:502], ring.AtCursor, 0) })
		h.final(6, 2)
		require.Equal(h, "01ab45678abc", h.content(path))
	}},
	{"what does not lie within its registered buffer", func(h *harness) {
		fd, path := h.file("0123456789")
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(fd, h.memory(4), 0, 0) })
		h.fails(1, unix.EFAULT) // no table
		p := h.registered(2000)
		half := p[:1000:1000]
		require.NoError(h, h.UpdateBuffer(1, half))
		refused := func(id uint64, p []byte, index uint16) {
			h.Helper()
			h.entry(id, func(e *ring.SQE) { e.PrepReadFixed(fd, p, 0, index) })
			h.fails(id, unix.EFAULT)
			h.entry(id, func(e *ring.SQE) { e.PrepWriteFixed(fd, p, 0, index) })
			h.fails(id, unix.EFAULT)
		}
		refused(2, p[:4], 2)     // never registered
		refused(3, p[:4], 4)     // not in the table
		refused(4, p[:4], 65535) // nor this
		refused(5, p[:1001], 1)
		refused(6, p[999:1001], 1)
		refused(7, p[1000:1004], 1)
		refused(8, h.memory(4), 1)
		refused(9, nil, 1)
		refused(10, p[:0], 2)
		h.entry(11, func(e *ring.SQE) { e.PrepReadFixed(fd, half[:0], 0, 1) })
		h.final(11, 0)
		h.entry(12, func(e *ring.SQE) { e.PrepReadFixed(fd, half, 0, 1) })
		h.final(12, 10)
		require.Equal(h, "0123456789", h.content(path))
	}},
	{"which error of a registered transfer comes first", func(h *harness) {
		fd, path := h.file("0123456789")
		p := h.registered(100)
		readOnly, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(readOnly)
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(1<<20, p, 0, 2) })
		if c := h.result(1); errnoOf(c) != unix.EFAULT || !LooksEarly() {
			require.Equal(h, unix.EBADF, errnoOf(c))
		}
		h.entry(2, func(e *ring.SQE) { e.PrepWriteFixed(readOnly, p, 0, 2) })
		h.fails(2, unix.EFAULT)
		h.entry(3, func(e *ring.SQE) { e.PrepWriteFixed(readOnly, p, 0, 0) })
		h.fails(3, unix.EBADF)
		h.entry(4, func(e *ring.SQE) { e.PrepReadFixed(fd, p, -2, 0) })
		h.fails(4, unix.EINVAL)
		h.entry(5, func(e *ring.SQE) { e.PrepReadFixed(fd, p, 0, 0); e.SetFlags(ring.SQEBufferSelect) })
		h.fails(5, unix.EOPNOTSUPP)
		h.entry(6, func(e *ring.SQE) { e.PrepReadFixed(fd, p, 0, 0); e.SetFlags(ring.SQEFixedFile) })
		h.fails(6, unix.EBADF)
		dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(dir)
		h.entry(7, func(e *ring.SQE) { e.PrepReadFixed(dir, p, 0, 0) })
		h.fails(7, unix.EISDIR)
	}},
	{"a registered transfer that fails breaks a chain where it stands", func(h *harness) {
		fd, _ := h.file("0123456789")
		p := h.registered(100)
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:10], 0, 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:10], 0, 1); e.SetFlags(ring.SQELink) })
		h.entry(3, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		if c := h.result(1); errnoOf(c) != unix.ECANCELED || !LooksEarly() {
			require.EqualValues(h, 10, c.Result())
		}
		h.fails(2, unix.EFAULT)
		h.fails(3, unix.ECANCELED)
		h.entry(4, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:11], 0, 0); e.SetFlags(ring.SQELink) })
		h.entry(5, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
		h.final(4, 10)
		h.fails(5, unix.ECANCELED)
	}},
	{"registered buffers on pipes and sockets wait like any", func(h *harness) {
		p := h.registered(1 << 16)
		ours, peer := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(ours, p[:100], 0, 0) })
		h.quiet(1)
		h.write(peer, "later")
		h.final(1, 5)
		require.Equal(h, "later", string(p[:5]))
		copy(p[200:], "and back")
		h.entry(2, func(e *ring.SQE) { e.PrepWriteFixed(ours, p[200:208], 0, 0) })
		h.final(2, 8)
		require.Equal(h, "and back", string(h.read(peer, 8)))
		var pipe [2]int
		require.NoError(h, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		h.owned(pipe[0], pipe[1])
		h.entry(3, func(e *ring.SQE) { e.PrepReadFixed(pipe[0], p[300:400], ring.AtCursor, 0) })
		h.quiet(3)
		h.entry(4, func(e *ring.SQE) { e.PrepWriteFixed(pipe[1], p[200:208], ring.AtCursor, 0) })
		h.final(4, 8)
		h.final(3, 8)
		require.Equal(h, "and back", string(p[300:308]))
		counter := h.eventfd()
		copy(p, []byte{7, 0, 0, 0, 0, 0, 0, 0})
		h.entry(5, func(e *ring.SQE) { e.PrepWriteFixed(counter, p[:8], ring.AtCursor, 0) })
		h.final(5, 8)
		h.entry(6, func(e *ring.SQE) { e.PrepReadFixed(counter, p[8:16], ring.AtCursor, 0) })
		h.final(6, 8)
		require.Equal(h, p[:8], p[8:16])
	}},
	{"a registered transfer that waits is canceled", func(h *harness) {
		p := h.registered(1 << 16)
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(ours, p[:100], 0, 0) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
		for err := error(nil); err == nil; {
			_, err = unix.SendmsgN(ours, make([]byte, 1<<12), nil, nil, unix.MSG_DONTWAIT)
		}
		h.entry(3, func(e *ring.SQE) { e.PrepWriteFixed(ours, p, 0, 0) })
		h.quiet(3)
		h.entry(4, func(e *ring.SQE) { e.PrepCancelFD(ours, ring.CancelAll) })
		h.final(4, 1)
		h.fails(3, unix.ECANCELED)
	}},
	{"what is in flight on a registered buffer outlives its registration", func(h *harness) {
		p := h.registered(1 << 16)
		ours, peer := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(ours, p[:100], 0, 0) })
		h.quiet(1)
		require.NoError(h, h.UpdateBuffer(0, nil))
		h.entry(2, func(e *ring.SQE) { e.PrepReadFixed(ours, p[:100], 0, 0) })
		h.fails(2, unix.EFAULT)
		require.NoError(h, h.UpdateBuffer(0, h.memory(10)))
		h.write(peer, "late")
		h.final(1, 4)
		require.Equal(h, "late", string(p[:4]))
	}},
	{"a table is unregistered while files are read", func(h *harness) {
		const block, blocks = 4096, 64
		fd, all := h.direct(block * blocks)
		p := h.registered(block * blocks)
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadFixed(fd, p[i*block:(i+1)*block], int64(i*block), 0) })
		}
		require.NoError(h, h.Enter(0))
		require.NoError(h, h.UnregisterBuffers())
		h.entry(100, func(e *ring.SQE) { e.PrepReadFixed(fd, p[:block], 0, 0) })
		h.fails(100, unix.EFAULT)
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, p))
	}},
	{"O_DIRECT writes and reads of registered buffers, many at once", func(h *harness) {
		const block, blocks = 4096, 200
		fd, all := h.direct(block * blocks)
		p := h.registered(2 * block * blocks)
		in, out := p[:block*blocks], p[block*blocks:]
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadFixed(fd, in[i*block:(i+1)*block], int64(i*block), 0) })
		}
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, in))
		for i := range out {
			out[i] = ^all[i]
		}
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepWriteFixed(fd, out[i*block:(i+1)*block], int64(i*block), 0) })
		}
		for i := range blocks {
			h.final(uint64(i), block)
		}
		h.entry(1000, func(e *ring.SQE) { e.PrepReadFixed(fd, in, 0, 0) })
		h.final(1000, len(in))
		require.True(h, bytes.Equal(out, in))
	}},
	{"closing the queue ends what waits on registered buffers", func(h *harness) {
		p := h.registered(1 << 16)
		ours, _ := h.pair()
		fd, _ := h.direct(1 << 16)
		h.entry(1, func(e *ring.SQE) { e.PrepReadFixed(ours, p[:100], 0, 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepReadFixed(fd, p, 0, 0) })
		require.NoError(h, h.Enter(0))
	}},
}

// LooksEarly reports whether this kernel's ring may look for a registered buffer
// when it takes the entry (seen on 6.12), as those before 6.15 did for a while.
func LooksEarly() bool {
	var major, minor int
	fmt.Sscanf(ring.KernelRelease(), "%d.%d", &major, &minor)
	return major < 6 || major == 6 && minor < 15
}

// direct is a file of n bytes that is read and written without the page cache,
// if its file system can do that, and what is in it.
func (h *harness) direct(n int) (fd int, all []byte) {
	for i := range n {
		all = append(all, byte(i^i>>12))
	}
	path := filepath.Join(h.TempDir(), "direct")
	require.NoError(h, os.WriteFile(path, all, 0o600))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_DIRECT, 0)
	if err == unix.EINVAL { // it cannot
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	require.NoError(h, err)
	h.owned(fd)
	return fd, all
}

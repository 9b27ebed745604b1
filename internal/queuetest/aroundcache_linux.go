package queuetest

import (
	"bytes"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pages is memory on a page boundary, which O_DIRECT takes.
func (h *harness) pages(n int) []byte {
	const page = 4096
	p := h.memory((n + 1) * page)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & (page - 1))
	return p[skip : skip+n*page : skip+n*page]
}

// aroundCache is about files opened with O_DIRECT.
var aroundCache = []testCase{
	{"past the page cache: at offsets, up to the end and behind it", func(h *harness) {
		const block = 4096
		fd, all := h.direct(4*block + 100)
		p := h.pages(2)
		for i, want := range [][]byte{all[block : 3*block], all[3*block:], nil} {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p, int64((1+2*i)*block)) })
			h.final(uint64(i), len(want))
			require.True(h, bytes.Equal(want, p[:len(want)]))
		}
		copy(p, bytes.Repeat([]byte("new"), block))
		h.entry(3, func(e *ring.SQE) { e.PrepWriteAt(fd, p, 0) })
		h.final(3, len(p))
		h.entry(4, func(e *ring.SQE) { e.PrepWriteAt(fd, p, 8*block) }) // the file grows, and has a hole
		h.final(4, len(p))
		for i, want := range [][]byte{p, make([]byte, len(p)), p} {
			got := h.pages(2)
			h.entry(5, func(e *ring.SQE) { e.PrepReadAt(fd, got, int64([]int{0, 6, 8}[i]*block)) })
			h.final(5, len(got))
			require.True(h, bytes.Equal(want, got), "%d", i)
		}
		h.entry(6, func(e *ring.SQE) { e.PrepReadAt(fd, nil, 0) })
		h.final(6, 0)
	}},
	{"past the page cache: vectors, copied at submission", func(h *harness) {
		const block = 4096
		fd, all := h.direct(8 * block)
		p := h.pages(4)
		v := h.vector(p[block:2*block], p[3*block:], p[:block])
		h.entry(1, func(e *ring.SQE) { e.PrepReadv(fd, v, block) })
		require.NoError(h, h.Enter(0))
		clear(v)
		h.final(1, 3*block)
		require.True(h, bytes.Equal(all[block:4*block], append(append(bytes.Clone(p[block:2*block]), p[3*block:]...), p[:block]...)))
		v = h.vector(p[block:2*block], p[:block])
		h.entry(2, func(e *ring.SQE) { e.PrepWritev(fd, v, 6*block) })
		h.final(2, 2*block)
		h.entry(3, func(e *ring.SQE) { e.PrepReadAt(fd, p[2*block:], 6*block) })
		h.final(3, 2*block)
		require.True(h, bytes.Equal(p[:block], p[3*block:]))
		require.True(h, bytes.Equal(p[block:2*block], p[2*block:3*block]))
	}},
	{"past the page cache: more at once than a device takes, each once", func(h *harness) {
		const block, blocks = 4096, 1000
		fd, all := h.direct(block * blocks)
		p := h.pages(blocks)
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*block:(i+1)*block], int64(i*block)) })
		}
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, p))
		require.Zero(h, h.InFlight())
	}},
	{"past the page cache: in chains, and before a close", func(h *harness) {
		const block = 4096
		fd, all := h.direct(2 * block)
		p, got := h.pages(1), h.pages(2)
		copy(p, bytes.Repeat([]byte("x"), block))
		h.link(
			func(e *ring.SQE) { e.PrepWriteAt(fd, p, block) },
			func(e *ring.SQE) { e.PrepFsync(fd, 0) },
			func(e *ring.SQE) { e.PrepReadAt(fd, got, 0) },
		)
		h.final(1, block)
		h.final(2, 0)
		h.final(3, 2*block)
		require.True(h, bytes.Equal(append(bytes.Clone(all[:block]), p...), got))
		clear(got)
		for i := range 2 {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, got[i*block:(i+1)*block], int64(i*block)) })
		}
		h.disown(fd)
		h.entry(2, func(e *ring.SQE) { e.PrepClose(fd) })
		for i := range 2 {
			h.final(uint64(i), block)
		}
		h.final(2, 0)
		require.True(h, bytes.Equal(append(bytes.Clone(all[:block]), p...), got))
	}},
	{"past the page cache: into a provided buffer", func(h *harness) {
		fd, all := h.direct(8192)
		g := h.group(2, 4096, false)
		for i := range 2 {
			h.entry(1, func(e *ring.SQE) { e.PrepReadProvided(fd, groupID) })
			e := h.result(1)
			require.Equal(h, string(all[i*4096:(i+1)*4096]), g.bytes(h, e))
		}
		h.entry(2, func(e *ring.SQE) { e.PrepReadProvided(fd, groupID) })
		h.fails(2, unix.ENOBUFS)
	}},
	{"past the page cache: a cancel changes nothing, or all", func(h *harness) {
		const n = 50
		fd, all := h.direct(n * 4096)
		p := h.pages(n)
		for i := range n {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*4096:(i+1)*4096], int64(i*4096)) })
			h.entry(uint64(n+i), func(e *ring.SQE) { e.PrepCancel(uint64(i), 0) })
		}
		for i := range n {
			read, cancel := h.result(uint64(i)), h.result(uint64(n+i))
			if read.Result() == 4096 {
				require.True(h, bytes.Equal(all[i*4096:(i+1)*4096], p[i*4096:(i+1)*4096]))
				require.Contains(h, []int32{-int32(unix.ENOENT), -int32(unix.EALREADY)}, cancel.Result())
				continue
			}
			// EALREADY promises nothing (io_uring_cancel(2)): the cancel came when a worker had
			// taken the read, and had not begun it. ENOENT then: the worker was done with it
			// when the kernel looked for the answer.
			require.Equal(h, -int32(unix.ECANCELED), read.Result())
			require.Contains(h, []int32{0, -int32(unix.EALREADY), -int32(unix.ENOENT)}, cancel.Result())
		}
	}},
	{"past the page cache: closing the queue waits for what is under way", func(h *harness) {
		fd, _ := h.direct(300 * 4096)
		p := h.pages(300)
		for i := range 300 {
			e := h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(fd, p[i*4096:(i+1)*4096], int64(i*4096)) })
			if i%2 == 0 {
				e.SetFlags(ring.SQELink)
			}
		}
		require.NoError(h, h.Enter(0))
	}},
}

package queuetest

import (
	"math"
	"os"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var multishotReads = []testCase{
	{"a multishot read goes on until the end", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		r, w := h.loosePipe()
		h.owned(r)
		g := h.group(8, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		h.quiet(1)
		for _, s := range []string{"one", "two", "three"} {
			h.write(w, s)
			c := h.result(1)
			require.True(h, c.More())
			require.Equal(h, s, g.bytes(h, c))
		}
		require.NoError(h, unix.Close(w))
		c := h.final(1, 0)
		require.Zero(h, c.Flags(), "the end takes no buffer")
	}},
	{"a multishot read of a socket", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		ours, peer := h.tcpPair()
		g := h.group(8, 4, false)
		h.write(peer, "abcdefg")
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRead(ours, groupID) })
		require.Equal(h, "abcd", g.bytes(h, h.result(1)))
		require.Equal(h, "efg", g.bytes(h, h.result(1)))
		h.reset(peer)
		h.fails(1, unix.ECONNRESET)
	}},
	{"a multishot read without buffers", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		r, w := h.pipe()
		g := h.group(1, 4, false)
		h.write(w, "abcdefgh")
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		require.Equal(h, "abcd", g.bytes(h, h.result(1)))
		h.fails(1, unix.ENOBUFS)
		g.Add(g.mem[0], 0)
		g.Publish()
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		require.Equal(h, "efgh", g.bytes(h, h.result(2)))
		h.quiet(2) // nothing is left to read, and no buffer is needed
		h.write(w, "i")
		h.fails(2, unix.ENOBUFS)
		h.read(r, 1)
		h.entry(3, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		h.fails(3, unix.ENOBUFS) // it asks for a buffer before it waits
	}},
	{"an incremental buffer is read into piece by piece by a multishot", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		r, w := h.pipe()
		g := h.group(1, 8, true)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		h.write(w, "abc")
		c := h.result(1)
		require.EqualValues(h, 3, c.Result())
		require.NotZero(h, c.Flags()&ring.CQEFBufMore)
		h.write(w, "defgh")
		c = h.result(1)
		require.EqualValues(h, 5, c.Result())
		require.Zero(h, c.Flags()&ring.CQEFBufMore)
		require.Equal(h, "abcdefgh", string(g.mem[0]))
	}},
	{"a multishot read is canceled", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		r, w := h.pipe()
		g := h.group(4, 8, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID) })
		h.write(w, "data")
		require.Equal(h, "data", g.bytes(h, h.result(1)))
		h.do(0, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.fails(1, unix.ECANCELED)
	}},
	{"what a multishot read refuses", func(h *harness) {
		if h.lacks(ring.OpReadMultishot) {
			return
		}
		h.group(4, 8, false)
		r, w := h.pipe()
		null := h.open(os.DevNull, unix.O_RDONLY)
		fd, _ := h.file("content")
		for _, row := range []struct {
			fd   int
			want unix.Errno
		}{
			{fd, unix.EBADFD}, {h.inDirectory(), unix.EBADFD}, {null, unix.EBADFD}, {w, unix.EBADF}, {noDescriptor, unix.EBADF}, {math.MaxInt32, unix.EBADF}, {h.socket(), unix.ENOTCONN},
		} {
			h.refused(row.want, func(e *ring.SQE) { e.PrepMultishotRead(row.fd, groupID) })
		}
		h.refused(unix.ENOBUFS, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID+1) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID); fields(e).Flags = 0 })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepMultishotRead(r, groupID); fields(e).Len = 8 })
	}},
}

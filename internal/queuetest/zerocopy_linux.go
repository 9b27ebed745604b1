package queuetest

import (
	"bytes"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// notified waits for the two completions of a zero-copy send.
func (h *harness) notified(userData uint64, want int) {
	h.Helper()
	c := h.result(userData)
	require.Equal(h, int32(want), c.Result(), "result of %d: %v", userData, errnoOf(c))
	require.True(h, c.More(), "the notification of %d is to follow", userData)
	c = h.final(userData, 0)
	require.Equal(h, ring.CQEFNotif, c.Flags())
}

var zeroCopies = []testCase{
	{"a zero-copy send has a result and a notification", func(h *harness) {
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), 0) })
		h.notified(1, 5)
		require.Equal(h, "hello", string(h.read(peer, 5)))
		require.Zero(h, h.InFlight())
	}},
	{"a zero-copy send of nothing", func(h *harness) {
		ours, _ := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, nil, 0) })
		h.notified(1, 0)
	}},
	{"a zero-copy send to a socket that is none", func(h *harness) {
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepSendZC(h.eventfd(), []byte("hello"), 0) })
		h.entry(3, func(e *ring.SQE) { e.PrepSendZC(1<<20, []byte("hello"), 0) })
		h.notified(1, -int(unix.EOPNOTSUPP))
		h.notified(2, -int(unix.ENOTSOCK))
		h.notified(3, -int(unix.EBADF))
	}},
	{"a zero-copy send that is refused", func(h *harness) {
		ours, _ := h.tcpPair()
		h.entry(1, func(e *ring.SQE) {
			e.PrepSendZC(ours, []byte("hello"), 0)
			e.SetIoprio(1 << 14)
		})
		if h.kernelBefore(6, 12) { // seen on 6.1: no notification follows
			h.fails(1, unix.EINVAL)
			return
		}
		h.notified(1, -int(unix.EINVAL))
	}},
	{"a zero-copy send that reports whether it copied", func(h *harness) {
		ours, _ := h.tcpPair()
		h.entry(2, func(e *ring.SQE) {
			e.PrepSendZC(ours, []byte("hello"), 0)
			e.SetIoprio(ring.SendZCReportUsage)
		})
		c := h.result(2)
		if h.kernelBefore(6, 2) && errnoOf(c) == unix.EINVAL { // the first releases of 6.1
			require.False(h, c.More())
			return
		}
		require.EqualValues(h, 5, c.Result())
		h.final(2, int(ring.ZeroCopyCopied)) // loopback copies
	}},
	{"a zero-copy send to a peer that is gone", func(h *harness) {
		ours, peer := h.tcpPair()
		h.reset(peer)
		h.entry(3, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollErr) })
		c := h.result(3)
		require.Positive(h, c.Result())
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), ring.MsgNoSignal) })
		h.notified(1, -int(unix.ECONNRESET))
		h.entry(2, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), ring.MsgNoSignal) })
		h.notified(2, -int(unix.EPIPE))
	}},
	{"a zero-copy send of much waits, in its place", func(h *harness) {
		ours, peer := h.tcpPair()
		require.NoError(h, unix.SetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<16))
		require.NoError(h, unix.SetsockoptInt(peer, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16))
		// More than the buffers take, and less than an ordinary user may lock.
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, big, ring.MsgWaitAll) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepRecv(peer, make([]byte, 1), 0) })
		h.final(2, 1)
		in := make([]byte, len(big)-1)
		h.entry(3, func(e *ring.SQE) { e.PrepRecv(peer, in, ring.MsgWaitAll) })
		h.notified(1, len(big))
		h.final(3, len(in))
		require.True(h, bytes.Equal(big[1:], in))
	}},
	{"a zero-copy send that is canceled", func(h *harness) {
		ours, _ := h.tcpPair()
		h.fill(ours)
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), ring.MsgWaitAll) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.notified(1, -int(unix.ECANCELED))
	}},
	{"a chain that begins with a zero-copy send", func(h *harness) {
		ours, _ := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("hello"), ring.MsgWaitAll); e.SetFlags(ring.SQELink) })
		h.entry(2, (*ring.SQE).PrepNop)
		h.notified(1, 5)
		h.final(2, 0)
	}},
	{"a zero-copy send behind another entry is refused, and its chain with it", func(h *harness) {
		for _, link := range []uint8{ring.SQELink, ring.SQEHardLink} {
			ours, peer := h.tcpPair()
			h.entry(1, func(e *ring.SQE) { e.PrepSend(ours, []byte("one"), ring.MsgWaitAll); e.SetFlags(link) })
			h.entry(2, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("two"), ring.MsgWaitAll); e.SetFlags(link) })
			h.entry(3, (*ring.SQE).PrepNop)
			h.fails(1, unix.ECANCELED)
			h.fails(2, unix.EINVAL)
			h.fails(3, unix.ECANCELED)
			// It is a submission's business: what begins the next follows nothing.
			h.entry(4, func(e *ring.SQE) { e.PrepSendZC(ours, []byte("three"), ring.MsgWaitAll) })
			h.notified(4, 5)
			p := make([]byte, 8)
			h.entry(5, func(e *ring.SQE) { e.PrepRecv(peer, p, 0) })
			h.final(5, 5)
			require.Equal(h, "three", string(p[:5]))
		}
	}},
}

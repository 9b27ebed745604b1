package queuetest

import (
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// silent is an address that answers nobody: its backlog is full.
func (h *harness) silent() *unix.SockaddrInet4 {
	fd := h.socket()
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(h, unix.Listen(fd, 0))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	h.dial(sa.(*unix.SockaddrInet4))
	return sa.(*unix.SockaddrInet4)
}

var connects = []testCase{
	{"a connect whose error a receive takes tries again", func(h *harness) {
		for range 4 {
			fd, at := h.socket(), h.refusing()
			h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
			h.entry(2, func(e *ring.SQE) { e.PrepRecv(fd, h.memory(8), 0) })
			h.fails(2, unix.ECONNREFUSED)
			h.fails(1, unix.ECONNREFUSED)
			require.Zero(h, h.InFlight())
		}
	}},
	{"a connect while another is under way is told so", func(h *harness) {
		fd, at := h.socket(), h.silent()
		h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
		h.fails(2, unix.EALREADY)
		h.quiet(1)
		h.entry(3, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(3, 0)
		h.fails(1, unix.ECANCELED)
	}},
}

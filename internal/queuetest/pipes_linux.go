package queuetest

import (
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// kernelBefore reports whether the queue under test is the ring of a kernel that is
// older than major.minor.
func (h *harness) kernelBefore(major, minor int) bool {
	_, kernel := h.Queue.(*ring.Ring)
	return kernel && queueabi.Before(ring.KernelRelease(), major, minor)
}

var pipes = []testCase{
	{"a pipe and its ends", func(h *harness) {
		if h.lacks(ring.OpPipe) {
			return
		}
		ends := h.ends()
		h.do(0, func(e *ring.SQE) { e.PrepPipe(ends, unix.O_CLOEXEC) })
		h.owned(int(ends[0]), int(ends[1]))
		h.write(int(ends[1]), "through")
		require.Equal(h, "through", string(h.read(int(ends[0]), 7)))
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepPipe(ends, 0); fields(e).FD = 1 })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepPipe(ends, 0); fields(e).Off = 1 })
		h.refused(unix.EFAULT, func(e *ring.SQE) { e.PrepPipe(nil, 0) })
	}},
	{"a pipe in slots", func(h *harness) {
		if h.lacks(ring.OpPipe) {
			return
		}
		ends, p := h.ends(), h.memory(8)
		in := func(slot int) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepPipe(ends, 0); e.SetSlot(slot) }
		}
		h.refused(unix.ENXIO, in(0))
		h.refused(unix.ENFILE, in(ring.AnySlot))
		h.table(4)
		h.do(0, in(1))
		require.Equal(h, [2]int32{1, 2}, *ends)
		h.do(7, func(e *ring.SQE) { e.PrepWrite(2, h.text("through")); slot(e) })
		h.do(7, func(e *ring.SQE) { e.PrepRead(1, p); slot(e) })
		require.Equal(h, "through", string(p[:7]))
		h.do(0, in(ring.AnySlot))
		require.Equal(h, [2]int32{3, 0}, *ends)
		h.refused(unix.ENFILE, in(ring.AnySlot))
		h.refused(unix.EINVAL, in(4))
		h.refused(unix.EINVAL, in(3)) // the second end has no slot, and the first does not stay
		h.refused(unix.EBADF, closeSlot(3))
		h.refused(unix.ENFILE, in(ring.AnySlot)) // one is free, two are needed
		h.refused(unix.EBADF, closeSlot(3))
		h.do(0, in(0)) // in the place of what was there
		h.do(7, func(e *ring.SQE) { e.PrepWrite(1, h.text("through")); slot(e) })
		h.do(7, func(e *ring.SQE) { e.PrepRead(0, p); slot(e) })
	}},
}

package queuetest

import (
	"errors"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// supports reports whether the queue under test has an operation or feature: the fallback
// has them all.
func (h *harness) supports(name string) bool {
	_, isRing := h.Queue.(*ring.Ring)
	return !isRing || h.kernel.Supports(name)
}

// lacks reports whether the queue under test is a kernel's ring without an operation,
// which must answer EINVAL then.
func (h *harness) lacks(op ring.Op) bool {
	if h.supports(op.String()) {
		return false
	}
	h.refused(unix.EINVAL, func(e *ring.SQE) { fields(e).Opcode = uint8(op) })
	return true
}

// registers looks at what came of a registration that needs a feature: where the kernel
// lacks that, an error says from which kernel on it is there, and the case is over.
func (h *harness) registers(feature string, err error) {
	h.Helper()
	if h.supports(feature) {
		require.NoError(h, err)
		return
	}
	require.ErrorIs(h, err, errors.ErrUnsupported)
	require.ErrorIs(h, err, unix.EINVAL)
	require.ErrorContains(h, err, "Linux "+ring.FirstKernel(feature)+", this is "+h.kernel.Kernel)
	h.Skip(err)
}

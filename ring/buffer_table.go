package ring

import (
	"fmt"
	"syscall"
)

// Limits of registered buffers, the kernel's.
const (
	MaxBuffers    = 1 << 14 // places in a table
	MaxBufferSize = 1 << 30 // bytes of a buffer
)

// PrepReadFixed is PrepReadAt into memory within the registered buffer of that
// index. The kernel has its pages at hand already, and does without looking them
// up and holding on to them, which with O_DIRECT it does for each read else.
// EFAULT if there is no such buffer, or if p does not lie within it: when the
// entry starts, or, on some kernels before 6.15, when it is taken, which breaks a
// chain from its beginning (seen on 6.12). Linux 5.1.
func (e *SQE) PrepReadFixed(fd int, p []byte, offset int64, index uint16) {
	e.PrepOperation(uint8(OpReadFixed), int32(fd), address(p), length(p), uint64(offset))
	e.SetBufIndex(index)
}

// PrepWriteFixed is PrepWriteAt of memory within the registered buffer of that
// index, see PrepReadFixed. Linux 5.1.
func (e *SQE) PrepWriteFixed(fd int, p []byte, offset int64, index uint16) {
	e.PrepOperation(uint8(OpWriteFixed), int32(fd), address(p), length(p), uint64(offset))
	e.SetBufIndex(index)
}

func bufferCountError(n int) error {
	return fmt.Errorf("register a table of %d buffers: %w (want 1 to %d)", n, syscall.EINVAL, MaxBuffers)
}

func bufferIndexError(index, n int) error {
	return fmt.Errorf("register buffer %d: %w (the table has %d places)", index, syscall.EINVAL, n)
}

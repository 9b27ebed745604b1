package epollfallback

import (
	"fmt"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Registered buffers. Nothing is gained by them here: what counts is that an
// entry finds the same buffers, and the same errors, as in the kernel's ring.

// RegisterBuffers implements ring.Queue.
func (q *Queue) RegisterBuffers(n int) error {
	errno := unix.Errno(0)
	switch {
	case q.closed:
		return errClosed
	case n < 1 || n > ring.MaxBuffers:
		return fmt.Errorf("register a table of %d buffers: %w (want 1 to %d)", n, unix.EINVAL, ring.MaxBuffers)
	case q.buffers != nil:
		errno = unix.EBUSY
	}
	if errno != 0 {
		return fmt.Errorf("register a table of %d buffers: %w", n, errno)
	}
	q.buffers = make([][]byte, n)
	return nil
}

// UpdateBuffer implements ring.Queue. No pages are kept in memory, so no limit
// of locked memory counts.
func (q *Queue) UpdateBuffer(index int, p []byte) error {
	refused := func(errno unix.Errno, why string) error {
		return fmt.Errorf("register buffer %d, %d bytes: %w (%s)", index, len(p), errno, why)
	}
	switch {
	case q.closed:
		return errClosed
	case q.buffers == nil && index >= 0:
		return refused(unix.ENXIO, "there is no table: RegisterBuffers makes one")
	case index < 0 || index >= len(q.buffers):
		return refused(unix.EINVAL, fmt.Sprintf("the table has %d places", len(q.buffers)))
	case len(p) > ring.MaxBufferSize:
		return refused(unix.EFAULT, fmt.Sprintf("at most %d bytes", ring.MaxBufferSize))
	}
	q.buffers[index] = p
	return nil
}

// UnregisterBuffers implements ring.Queue.
func (q *Queue) UnregisterBuffers() error {
	switch {
	case q.closed:
		return errClosed
	case q.buffers == nil:
		return fmt.Errorf("unregister buffers: %w", unix.ENXIO)
	}
	q.buffers = nil
	return nil
}

// findBuffer checks that the memory of op lies within the registered buffer that
// it names. That is asked once, when it starts: what becomes of the buffer
// afterwards is nothing to it.
func (q *Queue) findBuffer(op *operation) unix.Errno {
	if !q.isRegistered(op.group, op.addr, op.len) {
		if !q.isOpen(op.fd) {
			return unix.EBADF
		}
		return unix.EFAULT
	}
	return checkTransferFlags(op.opFlags)
}

func (q *Queue) isRegistered(index uint16, addr uint64, n uint32) bool {
	if int(index) >= len(q.buffers) || len(q.buffers[index]) == 0 {
		return false
	}
	p := q.buffers[index]
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))
	return addr >= start && addr-start <= uint64(len(p)) && uint64(n) <= uint64(len(p))-(addr-start)
}

// prepareFixed leaves everything to findBuffer, whose errors come first.
func (q *Queue) prepareFixed(*operation, *queueabi.Entry) unix.Errno { return 0 }

package ring

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
)

// resourceRegistration is struct io_uring_rsrc_register.
type resourceRegistration struct {
	n, flags   uint32
	_          uint64
	data, tags uint64
}

// resourceSparse in flags makes a table of empty places
// (IORING_RSRC_REGISTER_SPARSE, Linux 5.19).
const resourceSparse = 1 << 0

// resourceUpdate is struct io_uring_rsrc_update2.
type resourceUpdate struct {
	offset, _  uint32
	data, tags uint64
	n, _       uint32
}

// RegisterBuffers implements Queue (IORING_REGISTER_BUFFERS2, sparse: Linux
// 5.19; io_uring_register(2)).
func (r *Ring) RegisterBuffers(n int) error {
	if r.err != nil {
		return r.err
	}
	if n < 1 || n > MaxBuffers {
		return bufferCountError(n)
	}
	if done, err := r.reuse(&r.emptiedBuffers, n, iouring_syscall.IORING_UNREGISTER_BUFFERS); done || err != nil {
		if done {
			r.buffers = make([][]byte, n)
		}
		return err
	}
	table := &resourceRegistration{n: uint32(n), flags: resourceSparse}
	if _, err := r.mask.register(r.fd, registerBuffers2, unsafe.Pointer(table), uint32(unsafe.Sizeof(*table))); err != nil {
		if errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("register a table of %d buffers: %w: %w (empty places need Linux 5.19, this is %s)", n, err, errors.ErrUnsupported, KernelRelease())
		}
		return fmt.Errorf("register a table of %d buffers: %w", n, err)
	}
	r.buffers = make([][]byte, n)
	return nil
}

// UpdateBuffer implements Queue (IORING_REGISTER_BUFFERS_UPDATE, Linux 5.13).
func (r *Ring) UpdateBuffer(index int, p []byte) error {
	switch {
	case r.err != nil:
		return r.err
	case index >= 0 && r.buffers == nil && r.emptiedBuffers > 0:
		return bufferError(index, len(p), syscall.ENXIO)
	case index < 0 || r.buffers != nil && index >= len(r.buffers):
		return bufferIndexError(index, len(r.buffers))
	}
	piece := new(Iovec)
	if len(p) > 0 {
		piece.Base, piece.Len = unsafe.SliceData(p), uintptr(len(p))
	}
	update := &resourceUpdate{
		offset: uint32(index),
		data:   pinned(uintptr(unsafe.Pointer(piece))),
		n:      1,
	}
	_, err := r.mask.register(r.fd, registerBuffersUpdate, unsafe.Pointer(update), uint32(unsafe.Sizeof(*update)))
	runtime.KeepAlive(piece) // update does not keep it
	if err != nil {
		return bufferError(index, len(p), err)
	}
	r.buffers[index] = p
	return nil
}

// bufferError says what most likely made the registration of a buffer fail.
func bufferError(index, size int, err error) error {
	why := ""
	switch {
	case errors.Is(err, syscall.ENOMEM):
		why = " (over the limit of locked memory: raise RLIMIT_MEMLOCK)"
	case errors.Is(err, syscall.ENXIO):
		why = " (there is no table: RegisterBuffers makes one)"
	case errors.Is(err, syscall.EFAULT) && size > MaxBufferSize:
		why = fmt.Sprintf(" (at most %d bytes)", MaxBufferSize)
	case errors.Is(err, syscall.EOPNOTSUPP):
		why = " (memory that a file is mapped to)"
	}
	return fmt.Errorf("register buffer %d, %d bytes: %w%s", index, size, err, why)
}

// UnregisterBuffers implements Queue (IORING_UNREGISTER_BUFFERS, Linux 5.1).
func (r *Ring) UnregisterBuffers() error {
	switch {
	case r.err != nil:
		return r.err
	case r.buffers == nil:
		return fmt.Errorf("unregister buffers: %w", syscall.ENXIO)
	case r.wouldWait():
		n := len(r.buffers)
		for i := range r.buffers {
			if err := r.UpdateBuffer(i, nil); err != nil {
				return err
			}
		}
		r.buffers, r.emptiedBuffers = nil, n
		return nil
	}
	if _, err := r.mask.register(r.fd, uint32(iouring_syscall.IORING_UNREGISTER_BUFFERS), nil, 0); err != nil {
		return fmt.Errorf("unregister buffers: %w", err)
	}
	r.buffers = nil
	return nil
}

package ring

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	address uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

var errNoBufferRing = fmt.Errorf("register buffer group: no ring, make one with NewBufferRing: %w", syscall.EINVAL)

// bufferIncremental in flags is IOU_PBUF_RING_INC, Linux 6.12.
const bufferIncremental = 1 << 1

// RegisterBufferRing implements Queue (io_uring_register_buf_ring(3), Linux
// 5.19). The ring keeps b reachable until the group ends.
func (r *Ring) RegisterBufferRing(group uint16, b *BufferRing) error {
	switch {
	case r.err != nil:
		return r.err
	case b == nil || b.Cap() == 0:
		return errNoBufferRing
	}
	g := &bufferRegistration{
		address: b.abi().Address(),
		entries: uint32(b.Cap()),
		group:   group,
	}
	if b.Incremental {
		g.flags = bufferIncremental
	}
	_, err := r.mask.register(r.fd, registerBufferRing, unsafe.Pointer(g), 1)
	switch {
	case err == nil:
		r.groups[group] = b
		return nil
	case errors.Is(err, syscall.EINVAL) && b.Incremental:
		return fmt.Errorf("register buffer group %d: %w: %w (incremental buffer rings need Linux 6.12, this is %s)", group, err, errors.ErrUnsupported, KernelRelease())
	case errors.Is(err, syscall.ENOMEM):
		return fmt.Errorf("register buffer group %d: %w (over the limit of locked memory: raise RLIMIT_MEMLOCK)", group, err)
	}
	return fmt.Errorf("register buffer group %d: %w", group, err)
}

// UnregisterBufferRing implements Queue.
func (r *Ring) UnregisterBufferRing(group uint16) error {
	if r.err != nil {
		return r.err
	}
	if r.groups[group] == nil { // seen on 6.1: EINVAL
		return fmt.Errorf("unregister buffer group %d: %w", group, syscall.ENOENT)
	}
	g := &bufferRegistration{group: group}
	if _, err := r.mask.register(r.fd, unregisterBufferRing, unsafe.Pointer(g), 1); err != nil {
		return fmt.Errorf("unregister buffer group %d: %w", group, err)
	}
	delete(r.groups, group)
	return nil
}

package ring

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
)

// RegisterFiles implements Queue (IORING_REGISTER_FILES2, sparse: Linux 5.19;
// io_uring_register(2)).
func (r *Ring) RegisterFiles(n int) error {
	if r.err != nil {
		return r.err
	}
	if n < 1 || n > MaxFiles {
		return fileCountError(n)
	}
	if done, err := r.reuse(&r.emptiedFiles, n, iouring_syscall.IORING_UNREGISTER_FILES); done || err != nil {
		r.files, r.slots = done, n
		return err
	}
	table := &resourceRegistration{n: uint32(n), flags: resourceSparse}
	_, err := r.mask.register(r.fd, registerFiles2, unsafe.Pointer(table), uint32(unsafe.Sizeof(*table)))
	switch {
	case err == nil:
		r.files, r.slots = true, n
		return nil
	case errors.Is(err, syscall.EMFILE):
		return fileLimitError(n)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("register a table of %d files: %w: %w (empty slots need Linux 5.19, this is %s)", n, err, errors.ErrUnsupported, KernelRelease())
	}
	return fmt.Errorf("register a table of %d files: %w", n, err)
}

// fileUpdate is struct io_uring_files_update.
type fileUpdate struct {
	first uint32
	_     uint32
	fds   uint64
}

// UpdateFiles implements Queue (IORING_REGISTER_FILES_UPDATE, Linux 5.5).
func (r *Ring) UpdateFiles(first int, fds []int32) (int, error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case !r.files && r.emptiedFiles > 0 && first >= 0 && len(fds) > 0:
		return 0, fileUpdateError(first, len(fds), syscall.ENXIO)
	case first < 0 || first > MaxFiles || len(fds) == 0 || len(fds) > MaxFiles:
		return 0, fileUpdateError(first, len(fds), syscall.EINVAL)
	}
	update := &fileUpdate{first: uint32(first), fds: pinned(uintptr(unsafe.Pointer(unsafe.SliceData(fds))))}
	n, err := r.mask.register(r.fd, uint32(iouring_syscall.IORING_REGISTER_FILES_UPDATE), unsafe.Pointer(update), uint32(len(fds)))
	runtime.KeepAlive(fds) // update does not keep it
	if err != nil {
		return 0, fileUpdateError(first, len(fds), err)
	}
	return n, nil
}

// UnregisterFiles implements Queue (IORING_UNREGISTER_FILES, Linux 5.1).
func (r *Ring) UnregisterFiles() error {
	switch {
	case r.err != nil:
		return r.err
	case !r.files:
		return fmt.Errorf("unregister files: %w", syscall.ENXIO)
	case r.wouldWait():
		r.emptyFiles()
		r.files, r.emptiedFiles = false, r.slots
		return nil
	}
	if _, err := r.mask.register(r.fd, uint32(iouring_syscall.IORING_UNREGISTER_FILES), nil, 0); err != nil {
		return fmt.Errorf("unregister files: %w", err)
	}
	r.files = false
	return nil
}

package ring

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
)

// unregistering is how tables end. Before Linux 6.13 the kernel waits for what is in
// flight on a table when that is unregistered, and the thread with it, which could
// have ended it: for ever, if it is a receive. There a table that is in use is
// emptied instead, which does not wait, and kept: for the next of its size, or until
// nothing is in flight.
type unregistering struct {
	waitsToUnregister bool
	emptiedFiles      int // slots of a table that has ended for the program, 0 if none
	emptiedBuffers    int
}

// wouldWait reports whether unregistering could wait for ever.
func (r *Ring) wouldWait() bool { return r.waitsToUnregister && r.inFlight > 0 }

// reuse takes a table that was emptied for one of n places, or ends it. It returns
// false if the kernel has none any more.
func (r *Ring) reuse(emptied *int, n int, unregister uint8) (done bool, err error) {
	switch {
	case *emptied == 0:
		return false, nil
	case *emptied == n:
		*emptied = 0
		return true, nil
	case r.inFlight > 0:
		return false, fmt.Errorf("register a table of %d places: %w (one of %d is in use: Linux before 6.13 cannot let it go)", n, syscall.EBUSY, *emptied)
	}
	if _, err := r.mask.register(r.fd, uint32(unregister), nil, 0); err != nil {
		return false, fmt.Errorf("unregister an empty table: %w", err)
	}
	*emptied = 0
	return false, nil
}

// emptyFiles closes what is in the table of direct descriptors.
func (r *Ring) emptyFiles() {
	const batch = 256
	none := make([]int32, batch)
	defer runtime.KeepAlive(none) // update does not keep it
	for i := range none {
		none[i] = EmptySlot
	}
	for first := 0; first < r.slots; first += batch {
		n := min(batch, r.slots-first)
		update := &fileUpdate{first: uint32(first), fds: pinned(uintptr(unsafe.Pointer(&none[0])))}
		r.mask.register(r.fd, uint32(iouring_syscall.IORING_REGISTER_FILES_UPDATE), unsafe.Pointer(update), uint32(n))
	}
}

package ring

import (
	"errors"
	"fmt"
	"syscall"
)

// MaxFiles is the largest number of slots of a table of direct descriptors
// (IORING_MAX_FIXED_FILES).
const MaxFiles = 1 << 20

// AnySlot has the queue choose the slot, which is the result then
// (IORING_FILE_INDEX_ALLOC, Linux 5.19).
const AnySlot = -2

// EmptySlot in UpdateFiles closes what is in a slot, and leaves it empty.
const EmptySlot int32 = -1

// CancelSlot has a cancel take FD for a slot (IORING_ASYNC_CANCEL_FD_FIXED, Linux
// 6.0).
const CancelSlot uint32 = 1 << 3

// InstallInherited has PrepInstall make a descriptor that is inherited
// (IORING_FIXED_FD_NO_CLOEXEC).
const InstallInherited uint32 = 1 << 0

// SetSlot has an open, accept or socket put its file into a slot of the queue's
// table, where it takes the place of what was there, instead of giving it a
// number of the process: nobody else sees it, nothing inherits it, and entries
// with SQEFixedFile name it at once, in the same chain. The result is 0, or the
// slot with AnySlot, the one choice of a multishot accept. Flags may not say
// O_CLOEXEC or SOCK_CLOEXEC: EINVAL.
//
// What does not get its slot is closed again, after everything else has happened:
// ENXIO without a table, EINVAL for a slot that it has not, ENFILE when AnySlot
// finds none (or no table). Linux 5.15, accepts and sockets 5.19.
func (e *SQE) SetSlot(slot int) { e.entry().SpliceFD = int32(slot + 1) }

// PrepSocket makes a socket; the result is its descriptor (socket(2)). Linux 5.19.
func (e *SQE) PrepSocket(domain, kind, protocol int) {
	e.PrepOperation(uint8(OpSocket), int32(domain), 0, uint32(protocol), uint64(kind))
}

// PrepCloseDirect empties a slot. What is in flight on its file goes on, and the
// file lives until that has ended. EBADF for an empty slot, EINVAL for one that
// the table has not, ENXIO without a table. Linux 5.15.
func (e *SQE) PrepCloseDirect(slot int) {
	e.PrepClose(0)
	e.SetSlot(slot)
}

// PrepCancelSlot is PrepCancelFD of a slot. Linux 6.0.
func (e *SQE) PrepCancelSlot(slot int, flags uint32) { e.PrepCancelFD(slot, flags|CancelSlot) }

// PrepInstall gives the file in a slot a number of the process besides, closed
// on exec unless flags say InstallInherited; the result is that descriptor.
// Linux 6.8: an older kernel answers EINVAL.
func (e *SQE) PrepInstall(slot int, flags uint32) {
	e.PrepOperation(uint8(OpFixedFDInstall), int32(slot), 0, 0, 0)
	e.SetOpFlags(flags)
	e.SetFlags(SQEFixedFile)
}

func fileCountError(n int) error {
	return fmt.Errorf("register a table of %d files: %w (want 1 to %d)", n, syscall.EINVAL, MaxFiles)
}

func fileUpdateError(first, n int, err error) error {
	why := ""
	switch {
	case errors.Is(err, syscall.ENXIO):
		why = " (there is no table: RegisterFiles makes one)"
	case errors.Is(err, syscall.EINVAL):
		why = " (want one or more, all within the table)"
	}
	return fmt.Errorf("register %d files from slot %d on: %w%s", n, first, err, why)
}

func fileLimitError(n int) error {
	return fmt.Errorf("register a table of %d files: %w (more than RLIMIT_NOFILE, which is looked at here and nowhere else: raise it, or have fewer)", n, syscall.EMFILE)
}

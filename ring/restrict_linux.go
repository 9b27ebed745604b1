package ring

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
)

// A ring takes no operation, and no call of io_uring_register(2), but those that it is
// for (io_uring_register_restrictions(3), Linux 5.10). No filter of system calls sees
// what a ring does: whoever gets hold of one in another way gets no more than that.
// The kernel answers EACCES to the rest.

// restriction is struct io_uring_restriction.
type restriction struct {
	kind  uint16
	value uint8 // a code or a set of flags
	_     [13]uint8
}

const (
	allowRegister  = 0 // IORING_RESTRICTION_REGISTER_OP
	allowOperation = 1 // IORING_RESTRICTION_SQE_OP
	allowFlags     = 2 // IORING_RESTRICTION_SQE_FLAGS_ALLOWED
)

// registrations are the calls of io_uring_register(2) that a ring makes.
var registrations = []uint8{
	iouring_syscall.IORING_UNREGISTER_BUFFERS, iouring_syscall.IORING_UNREGISTER_FILES,
	iouring_syscall.IORING_REGISTER_FILES_UPDATE, registerProbe,
	registerFiles2, registerBuffers2, registerBuffersUpdate, registerMaxWorkers,
	registerBufferRing, unregisterBufferRing, registerSyncCancel,
}

// restrict enables a ring that was set up disabled, for what it is for. That is zero-copy
// receives too if the program has asked for them, and the kernel has them.
func restrict(fd int, o Options, m *mask) (receives bool, err error) {
	list := new(probeList)
	if _, err := m.register(fd, registerProbe, unsafe.Pointer(list), 256); err != nil {
		return false, registerError("list operations", err)
	}
	receives = o.ZeroCopyReceive && list.has(OpRecvZC)
	allowed := []restriction{{kind: allowFlags, value: SQEFixedFile | SQEDrain | SQELink | SQEHardLink | SQEAsync | SQEBufferSelect}}
	for _, code := range registrations {
		allowed = append(allowed, restriction{kind: allowRegister, value: code})
	}
	if receives { // the call came with the operation
		allowed = append(allowed, restriction{kind: allowRegister, value: registerInterfaceQueue})
	}
	for code, row := range operations {
		if !row.foreign && (!row.asked || receives) && code <= int(list.last) { // more than the kernel knows it does not take
			allowed = append(allowed, restriction{kind: allowOperation, value: uint8(code)})
		}
	}
	if _, err := m.register(fd, registerRestrictions, unsafe.Pointer(&allowed[0]), uint32(len(allowed))); err != nil {
		return false, registerError("restrict the ring", err)
	}
	if _, err := m.register(fd, registerEnableRings, nil, 0); err != nil {
		return false, registerError("enable the ring", err)
	}
	return receives, nil
}

func registerError(what string, err error) error {
	what = "io_uring_register: " + what
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOSYS):
		return refusedByPolicy(what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refusedByPolicy is the error of a call that every kernel has that made the ring.
func refusedByPolicy(what string, err error) error {
	return fmt.Errorf("%s: %w (a seccomp policy refuses it, but not io_uring_setup)", what, err)
}

package ring

import (
	"syscall"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
)

// Flags of io_uring_enter(2).
const (
	enterGetEvents = uintptr(iouring_syscall.IORING_ENTER_FLAGS_GETEVENTS)
	enterSQWakeup  = uintptr(iouring_syscall.IORING_ENTER_FLAGS_SQ_WAKEUP)
	enterSQWait    = uintptr(iouring_syscall.IORING_ENTER_FLAGS_SQ_WAIT) // until the submission queue is not full, Linux 5.10
	enterExtArg    = uintptr(1 << 3)                                     // the argument is an extendedArg, Linux 5.11
)

// Flags that the kernel sets in the submission ring.
const (
	sqNeedWakeup = iouring_syscall.IORING_SQ_NEED_WAKEUP // the thread that submits sleeps
	sqOverflow   = iouring_syscall.IORING_SQ_CQ_OVERFLOW // completions did not fit, Linux 5.8
	sqTaskRun    = uint32(1 << 2)                        // deferred work is pending, Linux 5.19
)

// Operations of io_uring_register(2), those that iouring-go lacks.
const (
	registerProbe          = 8  // Linux 5.6
	registerRestrictions   = 11 // Linux 5.10
	registerEnableRings    = 12 // Linux 5.10
	registerFiles2         = 13 // Linux 5.13
	registerBuffers2       = 15 // Linux 5.13
	registerBuffersUpdate  = 16 // Linux 5.13
	registerMaxWorkers     = 19 // Linux 5.15
	registerBufferRing     = 22 // Linux 5.19
	unregisterBufferRing   = 23
	registerSyncCancel     = 24 // Linux 6.0
	registerNAPI           = 27 // Linux 6.9
	registerInterfaceQueue = 32 // Linux 6.15
	registerResize         = 33 // Linux 6.13
	registerMemRegion      = 34 // Linux 6.13
)

// extendedArg is struct io_uring_getevents_arg: a signal mask and a time limit.
type extendedArg struct {
	sigmask   uint64
	sigmaskSz uint32
	minWait   uint32
	timespec  uint64
}

// enterNow submits and collects without waiting. It cannot block for long, so
// it goes out without telling the scheduler, which would hand the processor to
// somebody else and want it back a moment later.
func enterNow(fd int, submit uint32) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(iouring_syscall.SYS_IO_URING_ENTER,
		uintptr(fd), uintptr(submit), 0, enterGetEvents, 0, 0)
	return errno
}

// enterWait submits and waits for one completion; arg, if not nil, limits how
// long. With hold set the scheduler does not learn of it.
func enterWait(fd int, submit uint32, arg *extendedArg, hold bool) syscall.Errno {
	flags, size := enterGetEvents, uintptr(0)
	if arg != nil {
		flags, size = flags|enterExtArg, unsafe.Sizeof(*arg)
	}
	if hold {
		_, _, errno := syscall.RawSyscall6(iouring_syscall.SYS_IO_URING_ENTER,
			uintptr(fd), uintptr(submit), 1, flags, uintptr(unsafe.Pointer(arg)), size)
		return errno
	}
	_, _, errno := syscall.Syscall6(iouring_syscall.SYS_IO_URING_ENTER,
		uintptr(fd), uintptr(submit), 1, flags, uintptr(unsafe.Pointer(arg)), size)
	return errno
}

// register is io_uring_register(2) with its value, which iouring-go's lacks.
func register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, error) {
	for {
		v, _, errno := syscall.Syscall6(iouring_syscall.SYS_IO_URING_REGISTER,
			uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
		switch errno {
		case 0:
			return int(v), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

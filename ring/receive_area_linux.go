package ring

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// NewReceiveArea makes an area of that many chunks, 1 to MaxReceiveChunks, each a page of
// the system (os.Getpagesize). It is a mapping of its own, outside the memory that the
// garbage collector gives to others: Close frees it.
func NewReceiveArea(chunks int) (*ReceiveArea, error) {
	if chunks < 1 || chunks > MaxReceiveChunks {
		return nil, receiveChunksError(chunks)
	}
	page := os.Getpagesize()
	memory, err := mapAnonymous(chunks * page)
	if err != nil {
		return nil, fmt.Errorf("receive area of %d chunks: %w", chunks, err)
	}
	refill, err := mapAnonymous(queueabi.RefillSize(chunks, page))
	if err != nil {
		unix.Munmap(memory)
		return nil, fmt.Errorf("receive area of %d chunks: refill ring: %w", chunks, err)
	}
	return (*ReceiveArea)(queueabi.NewReceiveArea(memory, refill, page)), nil
}

func mapAnonymous(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// Close frees the memory, pieces included. The queue that has the area must be closed
// first: EBUSY else. A card may write for a moment longer, as the kernel takes a ring down
// in the background; it keeps the pages until then.
func (a *ReceiveArea) Close() error {
	if a.abi().IsTaken() {
		return fmt.Errorf("close receive area: %w (close its queue first)", syscall.EBUSY)
	}
	if a.abi().Memory() == nil {
		return nil
	}
	err := errors.Join(unix.Munmap(a.abi().Memory()), unix.Munmap(a.abi().Refill()))
	a.abi().Drop()
	return err
}

// receiving is what a ring has that can receive without copying.
type receiving struct {
	asked     bool // the program wants that: it was opened with ZeroCopyReceive, and has large completions
	allowed   bool // the kernel knows it, and the ring takes entries for it
	area      *queueabi.ReceiveArea
	receivers expected // entries in flight that bring pieces, by user data
	unnamed   fifo.Queue[largeCompletion]
}

// interfaceQueue is struct io_uring_zcrx_ifq_reg.
type interfaceQueue struct {
	index, queue           uint32 // of the interface, of its receive queue
	entries, flags         uint32 // of the refill ring
	area, region           uint64 // addresses of a receiveMemory, a memoryRegion
	head, tail, refills, _ uint32 // filled in: where in the region they are
	_                      [2]uint64
	id                     uint32 // filled in: what entries name it by
	_                      uint32
	_                      [3]uint64
}

// receiveMemory is struct io_uring_zcrx_area_reg.
type receiveMemory struct {
	address, length uint64
	token           uint64 // filled in: what an offset in the refill ring carries
	flags, _        uint32
	_               [2]uint64
}

// memoryRegion is struct io_uring_region_desc.
type memoryRegion struct {
	address, size uint64
	flags, id     uint32
	offset        uint64
	_             [4]uint64
}

// regionOfProgram in flags: the memory is the program's (IORING_MEM_REGION_TYPE_USER).
const regionOfProgram = 1 << 0

// RegisterReceiveArea implements Queue (IORING_REGISTER_ZCRX_IFQ, Linux 6.15). What
// it registers ends with the ring.
func (r *Ring) RegisterReceiveArea(device string, queue int, a *ReceiveArea) error {
	refused := func(errno syscall.Errno, why string) error {
		return fmt.Errorf("register receive queue %d of %s: %w (%s)", queue, device, errno, why)
	}
	switch {
	case r.err != nil:
		return r.err
	case !r.asked:
		return refused(syscall.EINVAL, "open the queue with ZeroCopyReceive")
	case !r.allowed:
		return fmt.Errorf("register receive queue %d of %s: %w: %w (zero-copy receive needs Linux %s, this is %s)", queue, device,
			syscall.EINVAL, errors.ErrUnsupported, FirstKernel(FeatureZeroCopyReceive), KernelRelease())
	case a == nil || a.abi().Memory() == nil || queue < 0 || uint64(queue) > math.MaxUint32:
		return refused(syscall.EINVAL, "no area, make one with NewReceiveArea, or no queue")
	case a.abi().IsUsed() || r.area != nil:
		return refused(syscall.EBUSY, "a queue has one area, and an area one queue, once and for all")
	}
	index, err := queueabi.InterfaceIndex(device)
	if err != nil {
		return receiveQueueError(device, queue, err)
	}
	q := &interfaceQueue{index: index, queue: uint32(queue), entries: uint32(queueabi.RefillEntries(a.Chunks()))}
	if err := r.registerQueue(q, a.abi()); err != nil {
		return receiveQueueError(device, queue, err)
	}
	a.abi().Place(q.head, q.tail, q.refills)
	a.abi().Take(true)
	r.area = a.abi()
	return nil
}

// registerQueue makes the call.
func (r *Ring) registerQueue(q *interfaceQueue, a *queueabi.ReceiveArea) error {
	memory := &receiveMemory{address: address(a.Memory()), length: uint64(len(a.Memory()))}
	region := &memoryRegion{address: address(a.Refill()), size: uint64(len(a.Refill())), flags: regionOfProgram}
	q.area = pinned(uintptr(unsafe.Pointer(memory)))
	q.region = pinned(uintptr(unsafe.Pointer(region)))
	_, err := r.mask.register(r.fd, registerInterfaceQueue, unsafe.Pointer(q), 1)
	runtime.KeepAlive(memory) // q does not keep them
	runtime.KeepAlive(region)
	if err == nil && (q.id != 0 || memory.token != 0) {
		return errNumbered
	}
	return err
}

// errNumbered never comes: entries and the refill ring name the first queue and its one
// area by 0.
var errNumbered = errors.New("the kernel gives the first queue of a ring another number than 0")

// receiveQueueError says what most likely made a registration fail, and what it takes.
func receiveQueueError(device string, queue int, err error) error {
	why := "the kernel refuses it"
	var errno syscall.Errno
	switch errors.As(err, &errno); errno {
	case syscall.EPERM:
		why = "the process lacks CAP_NET_ADMIN"
	case syscall.ENODEV:
		why = "there is no such interface"
	case syscall.EOPNOTSUPP:
		why = "the driver of the interface cannot give a queue away"
	case syscall.ERANGE:
		why = "the interface has no such queue"
	case syscall.EEXIST:
		why = "the queue is another ring's or program's, or an XDP program is attached to the interface"
	case syscall.EBUSY:
		why = "the queue is an AF_XDP socket's"
	case syscall.EINVAL:
		why = "header/data split is off, or hds-thresh is not 0"
	case syscall.ENOMEM:
		why = "out of memory, or over the limit of locked memory: raise RLIMIT_MEMLOCK"
	}
	return fmt.Errorf("register receive queue %d of %s: %w (%s. Zero-copy receive takes CAP_NET_ADMIN and a network card with header/data split, "+
		"ethtool -G %s tcp-data-split on hds-thresh 0, and with flows steered to that queue, ethtool -N %s)", queue, device, err, why, device, device)
}

// tryZeroCopyReceive registers a queue of no interface, which a kernel that can receive
// like that refuses for that reason alone. Only its device tells whether it can.
func tryZeroCopyReceive(r *Ring) error {
	return r.withDescriptor(r.flags&^setupRDisabled|setupLarge, func(fd int) error {
		a, err := NewReceiveArea(1)
		if err != nil {
			return err
		}
		defer a.Close()
		const noInterface = 0
		trial := &Ring{fd: fd, mask: r.mask}
		switch err := trial.registerQueue(&interfaceQueue{index: noInterface, entries: 1}, a.abi()); {
		case errors.Is(err, syscall.ENODEV):
			return nil
		case errors.Is(err, syscall.EPERM):
			return fmt.Errorf("it answers %w (the process lacks CAP_NET_ADMIN)", err)
		default:
			return fmt.Errorf("it answers %v", err)
		}
	})
}

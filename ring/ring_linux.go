package ring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Ring is the kernel's io_uring as a Queue.
type Ring struct {
	fd    int
	m     mapping
	flags uint32

	sqMask, cqMask uint32
	tail           uint32 // of the entries handed out; the kernel's tail follows at Enter
	submitted      uint32 // of them, what the kernel has taken

	inFlight int
	backlog  []CQE    // taken out of a full completion queue, older than what is in it
	accepts  []uint64 // user data of accepts in flight: their descriptors must not be lost
	groups   map[uint16]*BufferRing

	limit    Timespec // of the wait under way; here because the kernel reads it
	argument extendedArg

	nowhere SQE // what Next returns on a ring that has failed
	err     error
	stats   Stats
}

var _ Queue = (*Ring)(nil)

// Open sets up an io_uring for the calling goroutine, which must be locked to
// its thread and is the only one that may use it (IORING_SETUP_SINGLE_ISSUER).
// It needs Linux 6.1.
func Open(o Options) (*Ring, error) {
	o.defaults()
	fd, p, err := setup(o)
	if err != nil {
		return nil, err
	}
	r := &Ring{fd: fd, flags: p.Flags, sqMask: p.SQEntries - 1, cqMask: p.CQEntries - 1, groups: map[uint16]*BufferRing{}}
	if err := r.m.open(fd, &p); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("io_uring: %w", err)
	}
	return r, nil
}

// SetupFlags names the set-up flags in force.
func (r *Ring) SetupFlags() []string { return flagNames(r.flags) }

func flagNames(bits uint32) (names []string) {
	for _, f := range append(slices.Clone(requiredFlags), optionalFlags...) {
		if bits&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// Next implements Queue.
func (r *Ring) Next() *SQE {
	if r.room() == 0 {
		r.makeRoom(1)
	}
	if r.err != nil {
		r.nowhere.Reset()
		return &r.nowhere
	}
	e := &r.m.sqes[r.tail&r.sqMask]
	e.Reset()
	r.tail++
	r.inFlight++
	return e
}

// room is how many entries are free.
func (r *Ring) room() uint32 { return r.sqMask + 1 - (r.tail - r.submitted) }

// Reserve implements Queue.
func (r *Ring) Reserve(n int) error {
	if n < 0 || n > int(r.sqMask)+1 {
		return fmt.Errorf("ring: reserve %d entries: the queue has %d", n, r.sqMask+1)
	}
	if r.room() < uint32(n) {
		r.makeRoom(uint32(n))
	}
	return r.err
}

// makeRoom submits until n entries are free. The kernel takes entries in any
// state but when memory is short, so this ends.
func (r *Ring) makeRoom(n uint32) {
	for r.err == nil && r.room() < n {
		r.enter(false, 0)
	}
}

// Enter implements Queue.
func (r *Ring) Enter(wait time.Duration) error {
	if r.err != nil {
		return r.err
	}
	ready := r.ready()
	if r.tail == r.submitted && (ready || wait == 0) && !r.kernelHasMore() {
		return nil // nothing to hand over, and nothing to fetch
	}
	r.enter(wait != 0 && !ready, wait)
	return r.err
}

func (r *Ring) ready() bool {
	return len(r.backlog) > 0 || atomic.LoadUint32(r.m.cqTail) != *r.m.cqHead
}

// kernelHasMore says that completions can be had by entering: work deferred to
// this thread, or completions that did not fit.
func (r *Ring) kernelHasMore() bool {
	const taskrun, overflow = 1 << 2, 1 << 1
	return atomic.LoadUint32(r.m.sqFlags)&(taskrun|overflow) != 0
}

// enter makes the system call, and sorts out how it went.
func (r *Ring) enter(wait bool, limit time.Duration) {
	r.noteAccepts()
	atomic.StoreUint32(r.m.sqTail, r.tail)
	submit := r.tail - r.submitted
	if atomic.LoadUint32(r.m.sqFlags)&iouring_syscall.IORING_SQ_CQ_OVERFLOW != 0 {
		r.stats.Overflows++
		r.spill()
	}
	r.stats.Enters++
	r.stats.Syscalls++
	var errno syscall.Errno
	switch {
	case !wait:
		_, errno = enterNow(r.fd, submit)
	case limit < 0:
		_, errno = enterWait(r.fd, submit, nil)
	default:
		r.limit = NewTimespec(limit)
		r.argument.timespec = uint64(uintptr(unsafe.Pointer(&r.limit)))
		_, errno = enterWait(r.fd, submit, &r.argument)
	}
	// What the kernel took stands in the ring, whatever the call returned.
	taken := atomic.LoadUint32(r.m.sqHead)
	r.stats.Submitted += uint64(taken - r.submitted)
	r.submitted = taken
	r.sort(errno)
}

// sort decides what an errno of io_uring_enter means.
func (r *Ring) sort(errno syscall.Errno) {
	switch errno {
	case 0, syscall.ETIME, syscall.EINTR:
		// Done, the limit passed, or a signal came: all as documented.
	case syscall.EAGAIN, syscall.EBUSY:
		// No memory for requests, or too many completions uncollected: collect
		// them, and try again at the next call.
		r.spill()
		runtime.Gosched()
	case syscall.EEXIST:
		r.fail(errors.New("ring: used from a thread that did not open it: lock the goroutine with runtime.LockOSThread"))
	default:
		r.fail(fmt.Errorf("io_uring_enter: %w", errno))
	}
}

func (r *Ring) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// spill moves completions to the backlog, so that the kernel has room for more.
func (r *Ring) spill() {
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail; head++ {
		r.backlog = append(r.backlog, r.m.cqes[head&r.cqMask])
	}
	atomic.StoreUint32(r.m.cqHead, head)
}

// Reap implements Queue.
func (r *Ring) Reap(dst []CQE) int {
	n := 0
	if len(r.backlog) > 0 {
		n = copy(dst, r.backlog)
		if r.backlog = r.backlog[n:]; len(r.backlog) == 0 {
			r.backlog = nil
		}
	}
	if r.m.cqHead != nil {
		n += r.reapRing(dst[n:])
	}
	for i := range dst[:n] {
		if c := &dst[i]; !c.More() {
			r.inFlight--
			if len(r.accepts) > 0 {
				r.forgetAccept(c.UserData())
			}
		}
	}
	r.stats.Completed += uint64(n)
	return n
}

func (r *Ring) reapRing(dst []CQE) (n int) {
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail && n < len(dst); head++ {
		dst[n] = r.m.cqes[head&r.cqMask]
		n++
	}
	if n > 0 {
		atomic.StoreUint32(r.m.cqHead, head)
	}
	return n
}

// noteAccepts remembers accepts about to be submitted. There are few, and
// multishots at that.
func (r *Ring) noteAccepts() {
	for i := r.submitted; i != r.tail; i++ {
		if e := r.m.sqes[i&r.sqMask].Fields(); e.Opcode == OpAccept && !slices.Contains(r.accepts, e.UserData) {
			r.accepts = append(r.accepts, e.UserData)
		}
	}
}

func (r *Ring) forgetAccept(userData uint64) {
	if i := slices.Index(r.accepts, userData); i >= 0 {
		r.accepts = slices.Delete(r.accepts, i, i+1)
	}
}

// InFlight implements Queue.
func (r *Ring) InFlight() int { return r.inFlight }

// Stats implements Queue.
func (r *Ring) Stats() Stats { return r.stats }

// registration of a buffer ring: struct io_uring_buf_reg.
type bufferRegistration struct {
	address uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

const (
	registerBufferRing   = 22     // IORING_REGISTER_PBUF_RING, Linux 5.19
	unregisterBufferRing = 23     // IORING_UNREGISTER_PBUF_RING
	bufferIncremental    = 1 << 1 // IOU_PBUF_RING_INC, Linux 6.12
)

// RegisterBufferRing implements Queue.
func (r *Ring) RegisterBufferRing(group uint16, b *BufferRing) error {
	if r.err != nil {
		return r.err
	}
	g := &bufferRegistration{address: uint64(uintptr(unsafe.Pointer(&b.entries[0]))), entries: uint32(len(b.entries)), group: group}
	if b.Incremental {
		g.flags = bufferIncremental
	}
	_, err := register(r.fd, registerBufferRing, unsafe.Pointer(g), 1)
	switch {
	case err == nil:
		r.groups[group] = b
		return nil
	case errors.Is(err, syscall.EINVAL) && b.Incremental:
		return fmt.Errorf("register buffer group %d: %w (incremental buffer rings need Linux 6.12, this is %s)", group, err, KernelRelease())
	}
	return fmt.Errorf("register buffer group %d: %w", group, err)
}

// UnregisterBufferRing implements Queue.
func (r *Ring) UnregisterBufferRing(group uint16) error {
	if r.err != nil {
		return r.err
	}
	g := &bufferRegistration{group: group}
	if _, err := register(r.fd, unregisterBufferRing, unsafe.Pointer(g), 1); err != nil {
		return fmt.Errorf("unregister buffer group %d: %w", group, err)
	}
	delete(r.groups, group)
	return nil
}

var errRingClosed = errors.New("ring: closed")

// Close implements Queue. Closing the descriptor alone would leave the kernel
// at work on what is in flight for a while longer.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	cause := r.err
	if cause == nil {
		r.cancelAll()
		cause = r.err
	}
	r.err = errRingClosed
	r.m.close()
	err := unix.Close(r.fd)
	r.fd = -1
	r.groups = nil
	return errors.Join(cause, err)
}

// cancelAll ends everything in flight and waits for it. An operation that
// cannot be cancelled, such as a file's read, is waited for.
func (r *Ring) cancelAll() {
	if r.inFlight == 0 {
		return
	}
	e := r.Next()
	e.PrepCancelAny()
	e.SetUserData(ReservedUserData)
	var done [64]CQE
	for r.inFlight > 0 && r.err == nil {
		// What the first cancel came too early for, a later one finds.
		r.Enter(100 * time.Millisecond)
		n := 0
		for {
			accepts := slices.Clone(r.accepts)
			k := r.Reap(done[:])
			for _, c := range done[:k] {
				if c.Result() >= 0 && slices.Contains(accepts, c.UserData()) {
					unix.Close(int(c.Result()))
				}
			}
			if n += k; k < len(done) {
				break
			}
		}
		if n == 0 && r.err == nil {
			e := r.Next()
			e.PrepCancelAny()
			e.SetUserData(ReservedUserData)
		}
	}
}

package ring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// Ring is the kernel's io_uring as a Queue.
type Ring struct {
	fd       int
	m        mapping
	flags    uint32 // IORING_SETUP_*, as the kernel accepted them
	features uint32 // IORING_FEAT_*
	mask     *mask  // what tests hide of the kernel, else nil

	sqMask, cqMask uint32
	tail           uint32 // of the entries handed out; the kernel's tail follows at enter
	submitted      uint32 // of them, what the kernel has taken
	noted          uint32 // of them, what noteEntries has seen

	inFlight     int
	hold         bool
	backlog      fifo.Queue[CQE] // taken out of a full completion queue, older than what is in it
	expected     expected
	cursors      cursorSet
	streams      streamSet
	submitter    submitter              // if a thread of the kernel submits
	workersReady bool                   // this thread has workers in the kernel, see staff
	groups       map[uint16]*BufferRing // keeps reachable what the kernel reads and writes
	buffers      [][]byte               // the registered ones, by index; nil without a table
	files        bool                   // there is a table of direct descriptors
	slots        int                    // that it has
	hidesRestart bool                   // the kernel says EINTR for it, see restart
	onWorkers    expected               // entries in flight whose EINTR means that, by their user data
	unregistering
	receiving

	limit    Timespec // of the wait under way; here because the kernel reads it
	argument extendedArg

	nowhere SQE   // what Next returns on a ring that has failed
	err     error // sticky
	stats   Stats
}

var _ Queue = (*Ring)(nil)

// errRingClosed is what the methods of a closed ring return.
var errRingClosed = fmt.Errorf("ring: queue: %w", os.ErrClosed)

// Open sets up an io_uring for the calling goroutine, which must be locked to
// its thread (runtime.LockOSThread) and is the only one that may use it
// (IORING_SETUP_SINGLE_ISSUER). It needs Linux 6.1; io_uring_setup(2).
//
// An error says what most likely caused it, and wraps the errno: EPERM where
// kernel.io_uring_disabled or a seccomp policy forbids io_uring, ENOSYS where
// the kernel has none, EINVAL where it is too old, ENOMEM, EMFILE.
func Open(o Options) (*Ring, error) { return openMasked(o, nil) }

func openMasked(o Options, m *mask) (*Ring, error) {
	o.defaults()
	fd, p, err := setup(o, m)
	if err != nil {
		return nil, err
	}
	r := &Ring{fd: fd, mask: m, flags: p.Flags, features: p.Features, sqMask: p.SQEntries - 1, cqMask: p.CQEntries - 1}
	if err := r.m.open(fd, &p); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("io_uring: %w", err)
	}
	r.asked = o.ZeroCopyReceive
	if r.allowed, err = restrict(fd, o, m); err != nil {
		r.m.close()
		unix.Close(fd)
		return nil, err
	}
	r.groups = map[uint16]*BufferRing{}
	r.openSubmitter()
	release := KernelRelease()
	r.waitsToUnregister = queueabi.Before(release, 6, 13)
	r.hidesRestart = queueabi.Before(release, 6, 18) // seen on 6.1 and 6.12, not on 6.18
	return r, nil
}

// SetupFlags names the set-up flags in force.
func (r *Ring) SetupFlags() []string { return flagNames(r.flags) }

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

// queued counts the entries that the kernel has not taken yet.
func (r *Ring) queued() uint32 { return r.tail - r.submitted }

// room is how many entries are free.
func (r *Ring) room() uint32 { return r.sqMask + 1 - r.queued() }

// Reserve implements Queue.
func (r *Ring) Reserve(n int) error {
	if n < 0 || n > int(r.sqMask)+1 {
		return fmt.Errorf("ring: reserve %d entries in a queue of %d: %w", n, r.sqMask+1, unix.ENOSPC)
	}
	if r.room() < uint32(n) {
		r.makeRoom(uint32(n))
	}
	return r.err
}

// makeRoom submits until n entries are free. One call does it, unless memory
// is short.
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
	if r.queued() == 0 && (ready || wait == 0) && !r.kernelHasMore() {
		return nil // nothing to hand over, and nothing to fetch
	}
	calls := r.stats.Syscalls
	r.enter(wait != 0 && !ready, wait)
	for r.err == nil && r.queued() > 0 {
		r.enter(false, 0) // memory was short
	}
	if r.stats.Syscalls != calls {
		r.stats.Enters++
	}
	return r.err
}

// ready says that there is something to reap.
func (r *Ring) ready() bool {
	return r.backlog.Len() > 0 || atomic.LoadUint32(r.m.cqTail) != *r.m.cqHead || r.asked && r.hasNamed()
}

// kernelHasMore says that entering would bring completions: there is work
// deferred to this thread (IORING_SQ_TASKRUN, Linux 5.19; the kernel sets it
// again when it leaves some for the next time), or some did not fit
// (IORING_SQ_CQ_OVERFLOW, Linux 5.8). Asking each time is what keeps a caller
// who always finds completions ready from starving those still to come.
func (r *Ring) kernelHasMore() bool {
	return atomic.LoadUint32(r.m.sqFlags)&(sqTaskRun|sqOverflow) != 0
}

// enter hands over what is queued, has deferred work done and overflown completions
// flushed, and waits for one if wait is set: by one system call, but see handOver.
func (r *Ring) enter(wait bool, limit time.Duration) {
	if r.mask != nil {
		r.mask.refuse(r)
	}
	if r.area != nil {
		r.noteReceives()
	}
	r.noteEntries()
	r.publish()
	overflowed := atomic.LoadUint32(r.m.sqFlags)&sqOverflow != 0
	if overflowed {
		// The kernel keeps what did not fit, and everything after it so that
		// the order stays, until there is room.
		r.stats.Overflows++
		r.spill()
	}
	var errno syscall.Errno
	if r.polled() {
		errno = r.handOver(overflowed, wait, limit)
	} else {
		errno = r.call(r.queued(), wait, limit)
	}
	// What the kernel took stands in the ring, whatever the call returned.
	taken := atomic.LoadUint32(r.m.sqHead)
	r.stats.Submitted += uint64(taken - r.submitted)
	r.submitted = taken
	r.settle(errno)
}

func (r *Ring) call(submit uint32, wait bool, limit time.Duration) syscall.Errno {
	r.stats.Syscalls++
	switch {
	case !wait:
		return enterNow(r.fd, submit)
	case limit < 0:
		return enterWait(r.fd, submit, nil, r.hold)
	}
	r.limit = NewTimespec(limit)
	r.argument.timespec = uint64(uintptr(unsafe.Pointer(&r.limit)))
	return enterWait(r.fd, submit, &r.argument, r.hold)
}

// settle decides what an errno of io_uring_enter means.
func (r *Ring) settle(errno syscall.Errno) {
	switch errno {
	case 0:
	case syscall.ETIME, syscall.EINTR:
		// The limit passed, or a signal came: no error, as Enter promises.
	case syscall.EAGAIN, syscall.EBUSY:
		// No memory for a request, or (before Linux 5.19) too many completions
		// not collected. Whoever submits tries again; before that, room is made,
		// and what is in flight has a moment to end and to free its memory.
		r.spill()
		r.call(0, true, time.Millisecond)
	case syscall.EEXIST:
		r.fail(fmt.Errorf("ring: used from a thread that did not open it: lock the goroutine with runtime.LockOSThread: %w", errno))
	case syscall.EBADR:
		// The completion queue was full, and no memory was left to keep a
		// completion aside. An operation will never be seen to end.
		r.fail(fmt.Errorf("io_uring_enter: out of memory, completions are lost: %w", errno))
	case syscall.EOWNERDEAD:
		r.fail(fmt.Errorf("io_uring_enter: the kernel's thread that submits has ended: %w", errno))
	case syscall.EPERM, syscall.EACCES, syscall.ENOSYS:
		r.fail(refusedByPolicy("io_uring_enter", errno))
	default:
		r.fail(fmt.Errorf("io_uring_enter: %w", errno))
	}
}

func (r *Ring) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// publish shows the kernel the entries.
func (r *Ring) publish() {
	if r.polled() {
		// The full barrier before awaitTaken looks whether the thread sleeps: qemu lets an
		// arm64 load pass a store.
		atomic.SwapUint32(r.m.sqTail, r.tail)
		return
	}
	atomic.StoreUint32(r.m.sqTail, r.tail)
}

// spill moves completions to the backlog, so that the kernel has room for more.
func (r *Ring) spill() {
	if r.asked {
		r.spillLarge()
		return
	}
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail; head++ {
		r.backlog.Push(r.m.cqes[head&r.cqMask])
	}
	atomic.StoreUint32(r.m.cqHead, head)
}

// Reap implements Queue.
func (r *Ring) Reap(dst []CQE) int {
	n := r.collect(dst)
	r.account(dst[:n])
	return n
}

// collect moves completions into dst, the oldest first.
func (r *Ring) collect(dst []CQE) (n int) {
	if r.m.cqHead == nil {
		return 0
	}
	for ; n < len(dst) && r.backlog.Len() > 0; n++ {
		dst[n] = r.backlog.Take()
	}
	if r.asked {
		return n + r.collectLarge(dst[n:])
	}
	head, tail := *r.m.cqHead, atomic.LoadUint32(r.m.cqTail)
	for ; head != tail && n < len(dst); head++ {
		dst[n] = r.m.cqes[head&r.cqMask]
		n++
	}
	atomic.StoreUint32(r.m.cqHead, head)
	return n
}

// restart is what a system call ends with in the kernel when a signal is to end
// its wait (ERESTARTSYS). The wait of a worker thread is ended like that by a
// cancel, and by nothing else. Splices and opens say so in their result; older
// kernels say EINTR there. Of a transfer EINTR means what it says: a signal came to this
// thread, as the Go runtime sends many. Those of terminals it ends.
const restart = 512

// wasCanceled reports whether a final completion tells of a cancel, by another errno than
// ECANCELED.
func (r *Ring) wasCanceled(c *CQE) bool {
	interrupted := r.onWorkers.used > 0 && r.onWorkers.at(c.UserData()) != nil
	if interrupted {
		r.onWorkers.remove(c.UserData())
	}
	return c.Result() == -restart || interrupted && c.Result() == -int32(syscall.EINTR)
}

// account notes which entries have had their last completion.
func (r *Ring) account(completions []CQE) {
	for i := range completions {
		c := &completions[i]
		if !c.More() {
			if r.wasCanceled(c) {
				*c = CQE(queueabi.NewCQE(c.UserData(), -int32(syscall.ECANCELED), c.Flags()))
			}
			r.inFlight--
			if r.polled() {
				*c = r.submitter.account(*c)
			}
			if r.expected.used > 0 {
				r.expected.remove(c.UserData())
			}
			if len(r.cursors) > 0 {
				r.moveCursor(c.UserData(), c.Result())
			}
			if r.streams.trusted > 0 {
				r.streams.end(c.UserData(), c.Result())
			}
		}
	}
	r.stats.Completed += uint64(len(completions))
}

// Hold implements Queue.
func (r *Ring) Hold(hold bool) { r.hold = hold }

// InFlight implements Queue.
func (r *Ring) InFlight() int { return r.inFlight }

// Stats implements Queue.
func (r *Ring) Stats() Stats { return r.stats }

// Close implements Queue. It must be called on the thread that opened the
// ring; on another it changes nothing and returns an error that wraps EEXIST.
// An operation that nothing can cancel, such as a file's read, is waited for.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	if r.elsewhere() {
		return fmt.Errorf("ring: close on a thread that did not open it: lock the goroutine with runtime.LockOSThread: %w", syscall.EEXIST)
	}
	// Whatever went wrong before, what is in flight has to end.
	failed := r.err
	r.err = nil
	area := r.area
	r.area = nil // pieces that come from now on need no number
	err := r.quiesce(errors.Is(failed, syscall.EBADR))
	if errors.Is(err, syscall.EEXIST) {
		r.err, r.area = failed, area
		return err
	}
	for group := range r.groups {
		r.UnregisterBufferRing(group)
	}
	// Now, while the kernel may take its time with what a ring holds.
	if r.buffers != nil {
		r.UnregisterBuffers()
	}
	if r.files {
		r.UnregisterFiles()
	}
	r.m.close()
	if !errors.Is(err, syscall.EBADF) && !errors.Is(err, syscall.EOPNOTSUPP) {
		// Else somebody else closed the descriptor, and its number may be in
		// other hands.
		err = errors.Join(err, unix.Close(r.fd))
	}
	if area != nil {
		area.Take(false)
	}
	r.fd, r.err = -1, errRingClosed
	r.submitter = submitter{}
	r.unnamed = fifo.Queue[largeCompletion]{}
	r.onWorkers = expected{}
	r.backlog, r.expected, r.cursors, r.groups, r.buffers = fifo.Queue[CQE]{}, expected{}, nil, nil, nil
	return err
}

package ring

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queueabi"
	"golang.org/x/sys/unix"
)

// With a thread of the kernel that submits (see SubmissionThread) an entry is handed over
// as soon as the tail is published, and the thread reads it some time later. It moves the
// head when it has begun everything that it found: it has copied what the entries
// describe, knows the files that their descriptors stood for, and has tried each once.
// Whoever has waited for that finds the queue as after an io_uring_enter(2) that submits,
// and the contract holds: memory of headers, addresses and times is free, a descriptor
// may be closed, and chains are whole.

// polled reports whether a thread of the kernel submits.
func (r *Ring) polled() bool { return r.flags&setupSQPoll != 0 }

// handOver is what enter does once the tail is published: it waits until the thread has
// begun all entries, has completions flushed that overflowed, and waits for one if wait
// is set. Where the thread is awake and nothing has to be waited for it makes no system
// call.
func (r *Ring) handOver(overflowed, wait bool, limit time.Duration) syscall.Errno {
	if errno := r.wakeThread(); errno != 0 {
		return errno
	}
	for range spinLooks {
		if r.taken() {
			break
		}
	}
	var errno syscall.Errno
	switch {
	case wait && !r.ready(): // better asleep than looking; a completion ends it
		errno = r.call(0, true, limit)
	case overflowed:
		errno = r.call(0, false, 0)
	}
	if taken := r.awaitTaken(); taken != 0 {
		return taken
	}
	return errno
}

// How the thread is waited for: handOver looks spinLooks times, some microseconds, which is
// as long as a few entries take. From then on awaitTaken offers the processor between two
// looks, for the case that the thread needs that one. Every nudgeEvery looks it asks the
// kernel whether the thread is still there.
const (
	spinLooks  = 2000
	nudgeEvery = 256
)

// taken reports whether the thread has taken what is published.
func (r *Ring) taken() bool { return atomic.LoadUint32(r.m.sqHead) == r.tail }

// wakeThread wakes the thread if it sleeps and there is something to take.
func (r *Ring) wakeThread() syscall.Errno {
	// The tail was published by an exchange, a full barrier: either the thread sees it
	// before it sleeps, or its flag is seen here.
	if r.queued() == 0 || atomic.LoadUint32(r.m.sqFlags)&sqNeedWakeup == 0 {
		return 0
	}
	return r.nudge(0)
}

// awaitTaken waits until the thread has taken what is published.
func (r *Ring) awaitTaken() (errno syscall.Errno) {
	for look := 1; !r.taken() && errno == 0; look++ {
		switch {
		case look%nudgeEvery != 0:
			syscall.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // others get this goroutine's processor, if it takes long
		case r.tail-atomic.LoadUint32(r.m.sqHead) > r.sqMask:
			errno = r.nudge(enterSQWait) // which sleeps until there is room
		default:
			errno = r.nudge(0)
		}
	}
	return errno
}

// nudge wakes the thread. It fails with EOWNERDEAD if there is none any more.
func (r *Ring) nudge(flags uintptr) syscall.Errno {
	r.stats.Syscalls++
	call := syscall.RawSyscall6
	if flags != 0 { // it may sleep
		call = syscall.Syscall6
	}
	_, _, errno := call(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 0, enterSQWakeup|flags, 0, 0)
	return errno
}

// submitter is what a queue knows of its thread.
type submitter struct {
	owner    int      // thread of the process that opened the queue
	onWorker expected // entries in flight that a worker may perform, by their user data
	cancels  expected // cancels in flight; their ends are what they look for
	sweep    uint64   // user data of the entry that cancels everything, see sweepThread
	sweeping bool     // it is in flight
}

// openSubmitter readies a queue whose entries a thread of the kernel submits. That thread
// has workers of its own, and takes no signals that could keep it from making them.
func (r *Ring) openSubmitter() {
	if !r.polled() {
		return
	}
	r.submitter.owner = unix.Gettid()
	limits := &[2]uint32{maxWorkers, 0} // as ensureWorkers has it
	r.mask.register(r.fd, registerMaxWorkers, unsafe.Pointer(limits), 2)
}

// elsewhere reports whether the calling thread is not the one that opened the queue. The
// kernel says so itself of a queue whose entries that thread submits.
func (r *Ring) elsewhere() bool { return r.polled() && r.submitter.owner != unix.Gettid() }

// note takes down an entry before it is handed over.
//
// A cancel has a worker give up what it is at and says EALREADY. But whether there was
// such a worker the kernel then looks up once more, among those of the threads that
// have entered, and so not among those of its own thread: it says ENOENT of an operation
// that is still in flight (seen on 6.18). See account.
func (s *submitter) note(e *queueabi.Entry, worker bool) {
	switch {
	case Op(e.Opcode) == OpAsyncCancel && e.OpFlags&(CancelAll|CancelFD|CancelAny) == 0:
		s.cancels.add(e.UserData, e.Addr)
	case worker:
		s.onWorker.add(e.UserData, 0)
	}
}

// account takes down a final completion, and returns what it is to be.
func (s *submitter) account(c CQE) CQE {
	if p := s.cancels.at(c.UserData()); p != nil {
		if c.Result() == -int32(syscall.ENOENT) && s.onWorker.at(p.ends) != nil {
			c = CQE(queueabi.NewCQE(c.UserData(), -int32(syscall.EALREADY), c.Flags()))
		}
		s.cancels.remove(c.UserData())
	} else if s.onWorker.used > 0 {
		s.onWorker.remove(c.UserData())
	}
	return c
}

// sweepThread queues an entry that cancels everything: cancelAll finds nothing that
// workers of the thread perform, for the reason that note tells. There is one such entry
// at a time: a drain may keep it from running until the rest has ended.
func (r *Ring) sweepThread() {
	if !r.polled() || r.submitter.sweeping {
		return
	}
	userData := ^uint64(0)
	for r.inUse(userData) {
		userData--
	}
	e := r.Next()
	e.PrepCancelAny()
	e.SetUserData(userData)
	r.submitter.sweep, r.submitter.sweeping = userData, true
}

// swept notes a completion, and reports whether it is that of sweepThread.
func (s *submitter) swept(userData uint64) bool {
	if !s.sweeping || userData != s.sweep {
		return false
	}
	s.sweeping = false
	return true
}

// inUse reports whether the queue remembers an entry in flight by that user data.
func (r *Ring) inUse(userData uint64) bool {
	for _, x := range []*expected{&r.expected, &r.onWorkers, &r.submitter.onWorker, &r.submitter.cancels} {
		if x.at(userData) != nil {
			return true
		}
	}
	for i := range r.cursors {
		if r.cursors[i].userData == userData {
			return true
		}
	}
	for i := range r.streams.places {
		if p := &r.streams.places[i]; p.trusted && p.userData == userData {
			return true
		}
	}
	return false
}

package ring

import (
	"fmt"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
)

// Options are the sizes of a queue. The zero value gives the defaults.
type Options struct {
	// Entries is the size of the submission queue, rounded up to a power of
	// two: how many entries fit before Next must submit. The default is 1024. The
	// largest has 32,768; whoever asks for more gets that.
	Entries uint32
	// CQEntries is the size of the completion queue, at least twice Entries.
	// The default is four times Entries. The largest has 65,536. More completions
	// than fit are kept aside and cost more.
	CQEntries uint32
	// ZeroCopyReceive makes a queue that can have a receive area
	// ([Queue.RegisterReceiveArea]). Where the kernel knows that (Linux 6.15), the ring
	// takes the entries and the call for it, which others refuse. Its completions
	// are of 32 bytes instead of 16. It excludes a SubmissionThread: EINVAL.
	ZeroCopyReceive bool
	// SubmissionThread, if not nil, has a thread of the kernel take the entries.
	// The default is that Enter hands them over, and no such thread. It excludes
	// ZeroCopyReceive.
	SubmissionThread *SubmissionThread
}

// SubmissionThread is a thread of the kernel that looks for entries in the submission
// queue and performs them (IORING_SETUP_SQPOLL of io_uring_setup(2), without privileges
// from Linux 5.11 on). Enter makes no system call then, unless it has to wait for a
// completion or the thread sleeps. What comes later, such as the data of a receive, the
// thread takes in as well. Each queue has its own.
//
// The contract is that of every Queue. So Enter waits until the thread has begun each entry,
// and may keep its processor meanwhile: the thread needs another. These things differ:
//
//   - The thread has the credentials that the process had when the queue was opened. A
//     process that gives up privileges later does that before Open.
//   - A read of a signalfd (signalfd(2)) sees the signals of the process, and not those
//     sent to one thread of it: they are read by the thread of the kernel.
//   - The kernel does not notice an Enter on a thread that did not open the queue.
//   - A file that an entry closes may be open for some microseconds when that completes
//     (seen on 6.18): for its locks, its port, and the other end of a pipe.
//   - A cancel by descriptor of what a worker performs answers ENOENT instead of EALREADY, as
//     does the first of two cancels in flight with one user data. It ends that all the same.
//   - The result of a cancel with CancelAll does not count what workers of the kernel
//     perform, such as the open of a named pipe. It ends that all the same.
//   - Close waits for what a worker performs, however long that takes, if an entry with
//     SQEDrain is queued behind it.
type SubmissionThread struct {
	// Idle is for how long the thread looks for something to do before it sleeps, in whole
	// milliseconds, rounded up. All that time it is running. To wake it takes a system
	// call. The default is the kernel's, a second.
	Idle time.Duration
	// Bound binds the thread to Processor, by its number (IORING_SETUP_SQ_AFF). Open fails
	// if the process may not use that.
	Bound     bool
	Processor int
}

// MaxIdle is the longest that a SubmissionThread may be idle before it sleeps.
const MaxIdle = 24 * time.Hour

// check returns an error that wraps EINVAL for what no thread can be.
func (s *SubmissionThread) check() error {
	switch {
	case s == nil:
	case s.Idle < 0 || s.Idle > MaxIdle:
		return fmt.Errorf("submission thread that is idle for %v: want 0 to %v: %w", s.Idle, MaxIdle, syscall.EINVAL)
	case s.Bound && (s.Processor < 0 || s.Processor > maxProcessor):
		return fmt.Errorf("submission thread on processor %d: want 0 to %d: %w", s.Processor, maxProcessor, syscall.EINVAL)
	}
	return nil
}

// maxProcessor bounds the numbers of processors: the largest kernels have 8192.
const maxProcessor = 1<<16 - 1

// milliseconds is how the kernel wants the idle time. Zero is its default.
func (s *SubmissionThread) milliseconds() uint32 {
	return uint32((s.Idle + time.Millisecond - 1) / time.Millisecond)
}

func (o *Options) defaults() {
	o.Entries, o.CQEntries = queueabi.Sizes(o.Entries, o.CQEntries)
}

package ring

import "time"

// Forever makes [Queue.Enter] wait without a limit.
const Forever = time.Duration(-1)

// Queue is the contract: submission entries in, completions out.
//
// Every entry ends in exactly one final completion, one without [CQEFMore]
// (canceled entries too), never delivered inside the call that submitted it.
// Memory an entry points to belongs to the queue until that completion; what
// an entry only describes (addresses, timeouts, message headers and their
// vectors) is copied when it is submitted and is free once Enter returns.
type Queue interface {
	// Next returns the next free submission entry, zeroed. When the
	// submission queue is full it submits what is there first. The entry is
	// the caller's to fill until the next call of any method. Next never
	// returns nil: on a queue that has failed or is closed the entry leads
	// nowhere and Enter reports the error.
	Next() *SQE

	// Reserve makes room for n entries, submitting what is queued if need
	// be, so that the next n calls of Next submit nothing: a chain of links
	// does not survive a submission in its middle. It fails if n exceeds the
	// size of the queue.
	Reserve(n int) error

	// Enter submits every queued entry and collects completions. With wait
	// zero it does not wait, and does not hand the processor to another
	// goroutine; otherwise, if no completion is ready, it waits until one is
	// or until wait has passed (Forever: no limit). Running into the limit
	// or being interrupted by a signal is not an error.
	Enter(wait time.Duration) error

	// Hold says how Enter waits from now on. The Go scheduler lends every
	// goroutine that runs a processor (a P of the runtime, GOMAXPROCS of
	// them). Enter gives it up for the time that it waits; with hold set it
	// keeps it, and where no other is free no goroutine runs meanwhile.
	// Whoever sets it keeps the waits short.
	Hold(hold bool)

	// Reap moves up to len(dst) completions into dst, in the order they were
	// posted, and returns how many.
	Reap(dst []CQE) int

	// InFlight counts the entries submitted or queued whose final
	// completion has not been reaped.
	InFlight() int

	// RegisterBufferRing makes r the buffer group that entries with
	// [SQEBufferSelect] name. It fails with EEXIST if the group exists, and with
	// EINVAL if r is none that NewBufferRing made. Where the kernel cannot consume
	// buffers piece by piece (before Linux 6.12), errors.Is finds
	// errors.ErrUnsupported and EINVAL for an Incremental one.
	// r must stay reachable until the group is unregistered or the queue
	// closed.
	RegisterBufferRing(group uint16, r *BufferRing) error

	// UnregisterBufferRing ends a group, ENOENT if there is none. Buffers
	// not consumed are the caller's again.
	UnregisterBufferRing(group uint16) error

	// RegisterBuffers makes the table of registered buffers, with n empty
	// places, 1 to MaxBuffers: EINVAL else, EBUSY if there is one. Where the kernel
	// makes no empty places (before Linux 5.19), errors.Is finds
	// errors.ErrUnsupported as well.
	RegisterBuffers(n int) error

	// UpdateBuffer makes p the registered buffer of that index, which
	// PrepReadFixed and PrepWriteFixed may name from then on, instead of what
	// was there; an empty p leaves the place empty. The kernel keeps the pages
	// of p in memory while p is registered, and counts them against
	// RLIMIT_MEMLOCK (huge pages as a whole) unless the process has
	// CAP_IPC_LOCK: ENOMEM over it. EFAULT if p is larger than MaxBufferSize,
	// EINVAL for an index that the table has not, ENXIO without a table.
	//
	// The queue keeps p reachable. What is in flight on the buffer that was there
	// goes on.
	UpdateBuffer(index int, p []byte) error

	// UnregisterBuffers ends the table, ENXIO if there is none. What is in flight
	// goes on. On Linux before 6.13 a table of another size is refused with EBUSY as
	// long as anything is in flight.
	UnregisterBuffers() error

	// RegisterFiles makes the table of direct descriptors, with n empty slots:
	// files that entries with [SQEFixedFile] name by their slot. EINVAL for fewer
	// than one or more than MaxFiles, EBUSY if there is a table. EMFILE if n is
	// larger than RLIMIT_NOFILE (soft), which is looked at here and never again:
	// what is opened into slots later counts against no limit of the process. The
	// fallback needs a descriptor for each file all the same, so that an open,
	// accept or socket may answer EMFILE or ENFILE there. Where the kernel makes no
	// empty slots (before Linux 5.19), errors.Is finds errors.ErrUnsupported and EINVAL.
	RegisterFiles(n int) error

	// UpdateFiles puts the files of descriptors into slots, from first on, in the
	// place of what was there, and returns how many it did; EmptySlot closes what
	// is there. The descriptors stay the caller's. EBADF for one that is none,
	// and that ends it: an error comes only if it was the first. EINVAL for slots
	// that the table has not, ENXIO without a table.
	UpdateFiles(first int, fds []int32) (int, error)

	// UnregisterFiles closes what is in the table and ends it, ENXIO if there is
	// none. What is in flight goes on. On Linux before 6.13 a table of another size
	// is refused with EBUSY as long as anything is in flight.
	UnregisterFiles() error

	// RegisterReceiveArea has a receive queue of the network interface of that name put
	// what it receives into a, for entries that [SQE.PrepRecvZC] makes. The queue must
	// have been opened with ZeroCopyReceive: EINVAL else. A queue has one area until it is
	// closed, and an area one queue for ever: EBUSY. ENODEV if there is no such interface. The kernel
	// wants more: CAP_NET_ADMIN (EPERM), a driver that can do it (EOPNOTSUPP, which
	// errors.Is finds as errors.ErrUnsupported too), such a receive queue (ERANGE) that
	// nobody else has (EEXIST, EBUSY), header/data split (EINVAL), and the limit of locked
	// memory (ENOMEM). The error names the interface and the queue, and what it takes.
	// The fallback copies what any interface receives. Where the kernel lacks it (before
	// Linux 6.15), errors.Is finds errors.ErrUnsupported and EINVAL.
	RegisterReceiveArea(device string, queue int, a *ReceiveArea) error

	// Stats returns counters since the queue was opened.
	Stats() Stats

	// Close cancels what is in flight, waits for the final completions,
	// discards them and releases the queue. Descriptors that discarded completions
	// brought (of accepts, opens, sockets, pipes) are closed: for that, such an entry
	// has user data that no entry of another kind in flight has, and that of a pipe
	// no other pipe. Those in a message's control messages (SCM_RIGHTS) are not: reap such
	// receives before. When Close returns nothing writes to memory an entry pointed to.
	// Closing twice is harmless.
	Close() error
}

// Stats counts what a queue has done.
type Stats struct {
	Submitted uint64 // entries handed over
	Completed uint64 // completions reaped
	Enters    uint64 // Enter calls that made a system call
	Syscalls  uint64 // system calls made for operations and waiting, Enter's included
	Overflows uint64 // times the completion queue was full and completions were kept aside
	Abandoned uint64 // canceled operations that hold a thread still, as the opening of a named pipe does until the other end comes (fallback only)
}

package epollfallback

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/slab"
	"github.com/goproactor/goproactor/internal/timerheap"
	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Queue implements ring.Queue in user space. It belongs to the goroutine that
// opened it.
type Queue struct {
	emulations *[256]emulation

	sq     []queueabi.SQE
	queued int // entries in sq
	cq     completionQueue
	last   ring.SQE // what Next returns when the queue is closed

	epoll       int32
	descriptors []*descriptor // by number
	generation  int32
	unconfirmed unconfirmedList
	resumable   descriptorList // served up to their turn's limit, not drained
	registry    registry
	groups      []*group // by number
	buffers     [][]byte // the registered ones, by index; nil without a table
	files       fileTable
	area        *receiveArea // nil without one
	hidden      bitmap       // numbers of files that are or were in slots
	heights     int          // where numbers of ours begin, 0 before the first
	timers      timerheap.Heap[*operation]
	counted     countedTimeouts
	clock       clock

	chain      chain
	work       opList        // to be ended or started when submission is over
	successors opList        // to be started after those: what follows in chains
	due        opList        // timeouts whose time has come
	late       opList        // shutdowns, which the kernel leaves to a worker
	reporting  []*descriptor // with multishot polls that were armed when ready
	toStart    int           // operations in successors that are to be started
	closing    []int32       // numbers to be closed on the way out of Enter
	deferred   opList        // heads of chains behind a drain
	heldBack   int           // operations in deferred, chains included
	workers    workers
	aio        aioContext
	draining   bool
	drainNext  bool

	live                         int    // operations between submission and final completion
	outstanding                  int    // entries submitted whose final completion is not reaped
	epoch                        uint64 // calls that submit: within one, no number changes hands unnoticed
	turn                         uint32 // calls of epoll_wait, from time to time from zero again
	credit                       int    // what may still be done before epoll is asked
	controls                     uint64 // calls of epoll_ctl
	registrations, confirmations uint64 // of them
	stale                        uint64 // events that found no owner
	refused                      refusals
	falseEnds                    bool // a read that would wait for a file may answer 0: Linux 5.9 and 5.10, see preadv2(2)
	noPwait2                     bool
	noBatch                      bool
	holds                        bool
	receives                     bool  // opened with ZeroCopyReceive
	interrupted                  bool  // the last wait was, by a signal
	failure                      error // what epoll failed with
	closed                       bool
	stats                        ring.Stats

	// What is pooled in free comes from these.
	slabs struct {
		operations  slab.Slab[operation]
		descriptors slab.Slab[descriptor]
	}
	free struct {
		operations  *operation
		descriptors *descriptor
		messages    *message
		extras      *extra
	}
	// scratch is memory for system calls. It is on the heap with the queue:
	// a stack could move while its address is an integer.
	scratch struct {
		event       unix.EpollEvent
		poll        unix.PollFd
		time        ring.Timespec
		vector      iovec
		header      msghdr
		zeroCopy    zeroCopy
		batch       messageBatch
		value, size int32
		stat        unix.Stat_t
		ends        [2]int32
		terminal    unix.Termios
		path        [32]byte
	}
	bytesIn uint64 // bytes that came into provided buffers
	batch   int    // how many events to ask for
	events  [128]unix.EpollEvent
}

// slabLength makes a slab of operations or descriptors whole pages, above the size from
// which the allocator puts a header into it: so an operation is two lines of the cache.
const slabLength = 512

// errClosed is what Enter and the registrations of a closed queue return.
var errClosed = fmt.Errorf("epollfallback: queue: %w", os.ErrClosed)

// Open returns a queue for the calling goroutine, which must be locked to its
// thread as with any ring.Queue.
func Open(o Options) (*Queue, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epollfallback: epoll_create1: %w", err)
	}
	entries, completions := queueabi.Sizes(o.Entries, o.CQEntries)
	q := &Queue{
		emulations: &emulations,
		sq:         make([]queueabi.SQE, entries),
		cq:         newCompletionQueue(int(completions)),
		epoll:      int32(epoll),
		registry:   newRegistry(int(completions)),
		clock:      newClock(),
		receives:   o.ZeroCopyReceive,
		credit:     turnCredit,
		refused:    probeRefusals(),
		falseEnds:  queueabi.Before(ring.KernelRelease(), 5, 11),
	}
	q.batch = len(q.events)
	q.noBatch, q.noPwait2 = q.refused.batches, q.refused.epollPwait2
	q.workers.init(o.workers(), q.emulations, q.refused)
	// Now, and not with the first operation on a file: that must not need a descriptor more
	// than it does on io_uring.
	if errno := q.openWakeup(); errno != 0 {
		unix.Close(epoll)
		return nil, fmt.Errorf("epollfallback: eventfd for the workers: %w", errno)
	}
	return q, nil
}

// Next implements ring.Queue.
func (q *Queue) Next() *ring.SQE {
	if q.closed {
		return &q.last
	}
	if q.queued == len(q.sq) {
		q.epoch++
		q.submit()
	}
	e := &q.sq[q.queued]
	e.Reset()
	q.queued++
	return (*ring.SQE)(e)
}

// Reserve implements ring.Queue.
func (q *Queue) Reserve(n int) error {
	switch {
	case q.closed:
		return errClosed
	case n < 0 || n > len(q.sq):
		return fmt.Errorf("epollfallback: reserve %d entries in a queue of %d: %w", n, len(q.sq), unix.ENOSPC)
	case q.queued+n > len(q.sq):
		q.epoch++
		q.submit()
	}
	return nil
}

// Enter implements ring.Queue. It is the whole turn: hand over what is queued,
// which tries it; do what that set off; and ask epoll if there is nothing to
// show for it yet, or if others have waited long enough.
func (q *Queue) Enter(wait time.Duration) error {
	if q.closed {
		return errClosed
	}
	before := q.stats.Syscalls
	q.epoch++
	q.submit()
	q.harvest()
	q.resume()
	q.advance()
	q.credit -= enterCost
	err := q.failure
	switch {
	case err != nil:
	case q.cq.len() == 0:
		err = q.await(wait)
	case q.credit <= 0:
		err = q.collect(0)
	default:
		q.expire()
	}
	if q.stats.Syscalls != before {
		q.stats.Enters++
	}
	return err
}

// Reap implements ring.Queue.
func (q *Queue) Reap(dst []ring.CQE) int {
	n := 0
	for ; n < len(dst) && q.cq.len() > 0; n++ {
		dst[n] = q.cq.pop().CQE
		if !dst[n].More() {
			q.outstanding--
		}
	}
	q.stats.Completed += uint64(n)
	return n
}

// Hold implements ring.Queue.
func (q *Queue) Hold(hold bool) { q.holds = hold }

// InFlight implements ring.Queue.
func (q *Queue) InFlight() int { return q.outstanding + q.queued }

// Stats implements ring.Queue.
func (q *Queue) Stats() ring.Stats {
	s := q.stats
	s.Abandoned = q.workers.left()
	return s
}

// submit takes every queued entry. A chain does not survive it.
func (q *Queue) submit() {
	n := q.queued
	if n == 0 {
		return
	}
	q.outstanding += n
	q.stats.Submitted += uint64(n)
	q.credit -= n
	for entries := q.sq[:n]; len(entries) > 0; {
		q.prefetchEntries(entries)
		if k := q.sendRun(entries); k > 1 {
			q.sendBatch(entries[:k])
			entries = entries[k:]
			continue
		}
		q.take(entries[0].Entry())
		entries = entries[1:]
	}
	q.chain.end(q)
	q.queued = 0
	q.counted.committed = q.cq.tail
}

// advance does what submissions and events set off, one generation after the
// other, in the kernel's order: what was woken, canceled or timed out, then
// what follows in chains, then what the kernel leaves to a worker or to the way
// out of the system call.
func (q *Queue) advance() {
	for {
		q.counted.committed = q.cq.tail
		q.countDown()
		q.release()
		if q.toStart > 0 {
			q.toStart = 0
			q.fetch(0) // whom their predecessors woke comes first
		}
		q.work.append(&q.successors)
		q.submitAIO()
		switch {
		case !q.work.empty():
			q.runWork()
		case len(q.reporting) == 0 && q.late.empty() && len(q.closing) == 0:
			return
		default:
			q.runLate()
		}
	}
}

// runLate does what comes last.
func (q *Queue) runLate() {
	if len(q.reporting) > 0 || !q.late.empty() {
		q.fetch(0)
		q.report()
		for op := q.late.pop(); op != nil; op = q.late.pop() {
			q.shutdownNow(op)
		}
		return
	}
	q.closeNumbers()
}

// Close implements ring.Queue.
func (q *Queue) Close() error {
	if q.closed {
		return nil
	}
	q.submit()
	q.cancelEverything()
	q.endHandedOver()
	q.discard()
	q.closeFiles()
	if q.area != nil {
		q.area.Take(false)
		q.area = nil
	}
	q.closed = true
	err := unix.Close(int(q.epoll))
	q.sq, q.cq.ring, q.descriptors, q.groups, q.buffers = nil, nil, nil, nil, nil
	if q.live != 0 {
		err = errors.Join(err, fmt.Errorf("epollfallback: %d operations left on close", q.live))
	}
	return err
}

// discard drops the completions nobody took, and closes the connections that
// some of them brought.
func (q *Queue) discard() {
	for q.cq.len() > 0 {
		c := q.cq.pop()
		switch c.brought {
		case broughtNothing:
		case broughtInResult:
			unix.Close(int(c.Result()))
		default:
			closeEnds(c.brought)
		}
	}
	q.outstanding = 0
}

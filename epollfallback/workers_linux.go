package epollfallback

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// workers perform what may block and cannot be waited for with epoll: the
// operations on files and names. They are goroutines, started when there is
// work, never more than size, and some more when lookups hang (stuck_linux.go).
//
// The owner hands over as much as keeps them busy, one operation for each beside
// the one it performs; the rest stays in its backlog, in the order of submission.
// An operation belongs to the pool from push until take has it.
type workers struct {
	size       int
	backlog    opList // the owner's
	taken      opList // has ended; the owner's
	handed     int    // operations with the pool; the owner's
	single     bool   // there is one processor to run Go code
	emulations *[256]emulation
	refused    refusals

	finished atomic.Bool  // done is not empty, or there is relief
	relief   atomic.Int32 // hanging, for the owner
	wakeup   int32        // eventfd that wakes the owner; -1 once the pool is closed
	one      uint64       // what is written to it
	ended    sync.WaitGroup

	mu      sync.Mutex
	work    sync.Cond // something is pending, or the pool closes
	idle    sync.Cond // nothing runs
	pending opList
	active  opList // being performed
	done    opList
	running int // workers that perform something
	waiting int // workers that have nothing to do, and have not been signaled
	alive   int
	spaces  []*workspace // of those alive
	closing bool

	looking   int         // workers that look up names
	hanging   int         // of them, those that have been with one lookup for too long
	abandoned int         // that are with one which has been given up, not among those alive
	timer     *time.Timer // that relieve comes with
	watched   bool        // it is to come
	patience  patience
}

func (w *workers) init(size int, emulations *[256]emulation, refused refusals) {
	w.size, w.wakeup, w.one, w.emulations, w.refused = size, -1, 1, emulations, refused
	w.patience = patience{relieve: relieveAfter, close: giveUpAfter}
	w.work.L, w.idle.L = &w.mu, &w.mu
	w.single = runtime.GOMAXPROCS(0) == 1
}

// full says that the pool takes no more for now.
func (w *workers) full() bool { return w.handed >= 2*w.size+int(w.relief.Load()) }

// push hands op to the pool.
func (w *workers) push(op *operation) {
	w.handed++
	w.mu.Lock()
	defer w.mu.Unlock()
	op.state = pooled
	w.pending.push(op)
	switch {
	case w.waiting > 0:
		w.waiting-- // it takes a while to wake: the next operation needs another worker
		w.work.Signal()
	case w.alive < w.limit():
		w.start()
	default:
		w.watch()
	}
}

// withdraw takes op back, if no worker has begun with it.
func (w *workers) withdraw(op *operation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.list != &w.pending {
		return false
	}
	w.pending.remove(op)
	op.state = queued
	w.handed--
	return true
}

// take moves what has ended to the owner's list, in that order.
func (w *workers) take() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished.Store(false)
	for op := w.done.pop(); op != nil; op = w.done.pop() {
		w.handed--
		w.taken.push(op)
	}
}

// limit is how many workers there may be: size of them, and one more for each that
// hangs.
func (w *workers) limit() int { return w.size + w.hanging }

// start adds a worker.
func (w *workers) start() {
	w.alive++
	w.ended.Add(1)
	go w.live()
}

// live is a worker. One that was abandoned is none any more when its call returns.
func (w *workers) live() {
	space := &workspace{refused: w.refused, emulations: w.emulations}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spaces = append(w.spaces, space)
	for {
		op := w.pending.pop()
		switch {
		case op != nil:
			if !w.perform(op, space) {
				return
			}
		case w.closing || w.alive > w.limit():
			w.retire(space)
			return
		default:
			w.waiting++ // until push signals it
			w.work.Wait()
		}
	}
}

// retire takes a worker out of the pool.
func (w *workers) retire(space *workspace) {
	w.alive--
	w.spaces = slices.DeleteFunc(w.spaces, func(s *workspace) bool { return s == space })
	w.ended.Done()
}

// perform performs op without the lock. It returns false if the worker was
// abandoned meanwhile.
func (w *workers) perform(op *operation, space *workspace) bool {
	if op.looksUp() && w.looking+w.abandoned >= max(maxStuck, 2*w.size) {
		op.conclude(0, unix.EAGAIN)
		w.report(op)
		return true
	}
	w.running++
	w.active.push(op)
	job := space.take(op)
	if job != op {
		w.looking++
	}
	w.mu.Unlock()
	n, errno := job.block(space)
	w.mu.Lock()
	if space.abandoned {
		w.endAbandoned(job, n, errno)
		return false
	}
	w.running--
	w.active.remove(op)
	if errno == 0 {
		space.copyResult()
	}
	w.release(space)
	op.conclude(n, errno)
	w.report(op)
	return true
}

// report tells the owner, once for all that it has not seen yet.
func (w *workers) report(op *operation) {
	w.done.push(op)
	if !w.finished.Swap(true) {
		w.wake()
	}
	if w.running == 0 {
		w.idle.Broadcast()
	}
}

// wake wakes the owner.
func (w *workers) wake() {
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(w.wakeup), addressOf(&w.one), 8)
}

// rest waits until nothing runs. What looks up names it gives up after a while.
func (w *workers) rest() {
	giveUp := time.AfterFunc(w.patience.close, w.giveUp)
	defer giveUp.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running > 0 || !w.pending.empty() {
		w.idle.Wait()
	}
}

// close ends the workers, which have nothing to do.
func (w *workers) close() {
	w.mu.Lock()
	w.closing = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.work.Broadcast()
	w.mu.Unlock()
	w.ended.Wait()
	unix.Close(int(w.wakeup))
	w.wakeup = -1
}

// wakeupGeneration tells the events of the wakeup from those of descriptors.
const wakeupGeneration = -1

// openWakeup makes the wakeup: an eventfd that is never read, for each write is an edge.
func (q *Queue) openWakeup() unix.Errno {
	fd, errno := q.raw(unix.SYS_EVENTFD2, 0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	q.fresh(int32(fd))
	q.scratch.event = unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd), Pad: wakeupGeneration}
	if errno := q.controlRaw(unix.EPOLL_CTL_ADD, int32(fd)); errno != 0 {
		unix.Close(fd)
		return errno
	}
	q.workers.wakeup = int32(fd)
	return 0
}

// giveToWorkers leaves an operation to the workers. If it is one on a descriptor, the
// number is not closed before it has ended: a worker knows nothing but numbers.
func (q *Queue) giveToWorkers(op *operation) outcome {
	e := &q.emulations[op.opcode]
	if e.file {
		if errno := q.keepNumber(op); errno != 0 {
			return op.endError(errno)
		}
	} else {
		q.hideDirectories(op)
	}
	q.keep(op)
	q.findable(op)
	q.workers.backlog.push(op)
	op.state = queued
	q.feed()
	return held
}

// keepNumber keeps the number of op's descriptor from being closed before op ends.
func (q *Queue) keepNumber(op *operation) unix.Errno {
	if op.d != nil || op.splices() {
		return 0
	}
	if !q.isOpen(op.fd) {
		return unix.EBADF
	}
	d := q.lookup(op.fd)
	if d == nil {
		d = q.adopt(op.fd)
	}
	d.users++
	d.jobs++
	op.d, op.withWorkers = d, true
	return 0
}

// feed hands over what the workers have room for.
func (q *Queue) feed() {
	for !q.workers.full() {
		op := q.workers.backlog.pop()
		if op == nil {
			return
		}
		q.workers.push(op)
	}
}

// harvest ends what the workers have done.
func (q *Queue) harvest() {
	if !q.workers.finished.Load() {
		return
	}
	q.workers.take()
	q.feed()
	for op := q.workers.taken.pop(); op != nil; op = q.workers.taken.pop() {
		if !q.resumeSplice(op) {
			q.endHanded(op)
		}
	}
}

// endHanded ends an operation that was handed over, whose result is set.
func (q *Queue) endHanded(op *operation) {
	op.state = ending
	if op.opcode == ring.OpOpenat && op.result >= 0 {
		op.end(q.bring(op, op.result))
	}
	if op.holding {
		op.flags |= q.commit(op, uint32(max(op.result, 0)))
	}
	q.finish(op)
}

// endJob ends what op's descriptor had to wait for.
func (q *Queue) endJob(d *descriptor) {
	d.jobs--
	q.closeIfIdle(d)
}

// closeIfIdle keeps the promise to close a number, if nothing goes on any more
// that needs it.
func (q *Queue) closeIfIdle(d *descriptor) {
	if d.closing && !d.busy() {
		d.closing = false
		if d.fd >= 0 {
			q.closing = append(q.closing, d.fd)
		}
	}
}

// endHandedOver waits for what runs in the pool and in the kernel's queue, and ends both.
// What follows in chains is canceled.
func (q *Queue) endHandedOver() {
	for q.workers.handed > 0 || q.aio.inFlight() > 0 {
		q.harvestAIO(true)
		q.workers.rest()
		q.harvest()
		q.cancelEverything()
	}
	q.closeAIO()
	q.workers.close()
}

package epollfallback

import (
	"slices"
	"time"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// An operation on a name may hang: an open waits for the other end of a named pipe,
// or any of them for a file server that is gone. The kernel's ring ends the wait
// with a signal. Here that cannot be, for the Go runtime has signals restart system
// calls (SA_RESTART). So
//
//   - workers that hang do not count: as many more take their place, up to a bound;
//     beyond that, operations on names are refused with EAGAIN, and the others have
//     their workers still;
//   - a cancel, or the queue's end, abandons an open that waits: it ends with
//     ECANCELED, and its worker goes on alone. When its call returns it closes what
//     it has opened, and ends. Until then it holds a thread, and is counted.
//
// Therefore a worker looks up names from memory of its own.

const (
	// maxStuck bounds the workers that look up names or are abandoned, unless twice
	// the size of the pool is more.
	maxStuck = 128
	// relieveAfter is for how long a lookup may keep others waiting before its
	// worker counts as one that hangs.
	relieveAfter = 10 * time.Millisecond
	// giveUpAfter is for how long the queue's end waits for lookups.
	giveUpAfter = time.Second
)

// patience is how long to wait for what may hang.
type patience struct{ relieve, close time.Duration }

// workspace is memory of one worker, for system calls. It is on the heap, for the
// pool has it too: a stack could move while its address is an integer.
type workspace struct {
	vector     iovec
	stat       unix.Stat_t
	emulations *[256]emulation
	refused    refusals

	op        *operation // that is performed; the pool's
	seen      bool       // relieve has found it at op once
	hangs     bool       // and again
	abandoned bool

	lookup operation // a copy of op if that looks up names
	paths  []byte    // its paths
	statx  unix.Statx_t
}

// looksUp reports whether op is about names.
func (op *operation) looksUp() bool {
	switch op.opcode {
	case ring.OpOpenat, ring.OpStatx, ring.OpUnlinkat, ring.OpMkdirat, ring.OpRenameat, ring.OpLinkat, ring.OpSymlinkat:
		return true
	}
	return false
}

// take notes that the worker has begun with op, and returns what it is to perform:
// of a lookup a copy, with memory of the worker's.
func (s *workspace) take(op *operation) *operation {
	s.op, s.seen = op, false
	if !op.looksUp() {
		return op
	}
	s.lookup = operation{opcode: op.opcode, fd: op.fd, addr: op.addr, off: op.off, len: op.len, opFlags: op.opFlags}
	s.paths = append(s.paths[:0], op.extra.message.paths...)
	here, there := uint64(addressOf(&s.paths[0])), uint64(addressOf(&op.extra.message.paths[0]))
	s.lookup.addr = op.addr - there + here
	switch op.opcode {
	case ring.OpRenameat, ring.OpLinkat, ring.OpSymlinkat:
		s.lookup.off = op.off - there + here
	case ring.OpStatx:
		s.lookup.off = uint64(addressOf(&s.statx))
	}
	return &s.lookup
}

// copyResult gives op what its copy has found.
func (s *workspace) copyResult() {
	if s.op.opcode == ring.OpStatx {
		*(*unix.Statx_t)(pointer(s.op.off)) = s.statx
	}
}

// release notes that a worker is done with its operation.
func (w *workers) release(space *workspace) {
	if space.op.looksUp() {
		w.looking--
	}
	space.op = nil
	if space.hangs {
		space.hangs = false
		w.setHanging(w.hanging - 1)
	}
}

func (w *workers) setHanging(n int) {
	w.hanging = n
	w.relief.Store(int32(n))
}

// left counts those that were abandoned.
func (w *workers) left() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return uint64(w.abandoned)
}

// watch has relieve come, because operations wait and no worker is free.
func (w *workers) watch() {
	switch {
	case w.watched:
	case w.timer == nil:
		w.timer = time.AfterFunc(w.patience.relieve, w.relieve)
	default:
		w.timer.Reset(w.patience.relieve)
	}
	w.watched = true
}

// relieve starts workers in the place of those that hang: that are with the same
// lookup as the last time.
func (w *workers) relieve() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = false
	if w.closing {
		return
	}
	before := w.hanging
	for _, s := range w.spaces {
		if s.op == nil || !s.op.looksUp() || s.hangs {
			continue
		}
		if s.hangs = s.seen; s.hangs {
			w.setHanging(w.hanging + 1)
		}
		s.seen = true
	}
	w.refill()
	if w.hanging > before && !w.finished.Swap(true) {
		w.wake() // the owner may hand over more
	}
	if !w.pending.empty() {
		w.watch()
	}
}

// refill starts workers for what waits, as many as there may be.
func (w *workers) refill() {
	for missing := w.pending.len() - w.waiting; missing > 0 && w.alive < w.limit(); missing-- {
		w.start()
	}
}

// abandon takes op, which is being performed, from its worker. It returns false if
// the worker is done with it.
func (w *workers) abandon(op *operation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.spaces, func(s *workspace) bool { return s.op == op })
	if i < 0 {
		return false
	}
	w.active.remove(op)
	w.leave(w.spaces[i])
	w.handed--
	return true
}

// leave leaves a worker to itself.
func (w *workers) leave(space *workspace) {
	w.release(space)
	space.abandoned = true
	w.abandoned++
	w.running--
	w.retire(space)
	w.refill()
	if w.running == 0 {
		w.idle.Broadcast()
	}
}

// endAbandoned is the end of a worker that was abandoned: nobody wants what it opened.
func (w *workers) endAbandoned(job *operation, fd int, errno unix.Errno) {
	if job.opcode == ring.OpOpenat && errno == 0 {
		unix.Close(fd)
	}
	w.abandoned--
}

// giveUp abandons the lookups that keep the queue from ending.
func (w *workers) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range slices.Clone(w.spaces) {
		if op := s.op; op != nil && op.looksUp() {
			w.active.remove(op)
			w.leave(s)
			op.conclude(0, unix.ECANCELED)
			w.report(op)
		}
	}
}

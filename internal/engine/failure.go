package engine

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// When its queue fails for good, a loop takes the way of every other end: it
// goes on with a queue on which every entry ends at once, stops, and gives
// every slot its final completion there. So no operation has to know how a
// queue fails.

// fail replaces the queue and stops the loop.
func (l *Loop) fail(err error) {
	l.note(err)
	l.graveLogger().Error("loop failed", "loop", l.config.Index, "err", err)
	dead := &deadQueue{loop: l, stats: l.queue.Stats()}
	// What was reaped is still delivered. Close waits until the kernel is done with the memory of what is in
	// flight, if that can still be found out.
	l.queue.Close()
	l.slots.Each(func(userData uint64, _ Operation) { dead.end(userData) })
	l.queue = l.traced(dead)
	l.Stop(l.Failure())
}

// Err is why the loop ended other than by Stop, nil if for no such reason. It is no
// net.ErrClosed, unlike Failure: nobody has closed the loop. Call it when the loop has
// ended.
func (l *Loop) Err() error {
	if f := l.failure.Load(); f != nil {
		return fmt.Errorf("event loop %d failed: %w", f.loop, f.cause)
	}
	return nil
}

func (l *Loop) note(err error) { l.failure.Store(&failureError{l.config.Index, err}) }

// Failure is why the loop's queue failed, nil if it did not. errors.Is finds the
// cause, net.ErrClosed and the other ErrClosed, and fs.ErrClosed. Any goroutine may call it.
func (l *Loop) Failure() error {
	if f := l.failure.Load(); f != nil {
		return f
	}
	return nil
}

type failureError struct {
	loop  int
	cause error
}

func (e *failureError) Error() string {
	return fmt.Sprintf("event loop %d failed: %v", e.loop, e.cause)
}

// closedLoop tells what futures.ErrClosed is for errors.Is. So is a failure.
var closedLoop = futures.ErrClosed.(interface{ Is(error) bool })

func (e *failureError) Unwrap() error { return e.cause }
func (e *failureError) Is(target error) bool {
	return target == fs.ErrClosed || closedLoop.Is(target)
}

// deadQueue is a queue on which nothing is performed. An entry that closes a
// descriptor does so; every other ends with ECANCELED.
type deadQueue struct {
	loop   *Loop
	queued []ring.SQE
	ended  []ring.CQE
	next   int // of ended, to be reaped
	stats  ring.Stats
}

var _ ring.Queue = (*deadQueue)(nil)

// end posts the last completion of an entry.
func (q *deadQueue) end(userData uint64) {
	q.ended = append(q.ended, ring.CQE(queueabi.NewCQE(userData, -int32(syscall.ECANCELED), 0)))
}

// Next implements ring.Queue. The entry is valid until the next call.
func (q *deadQueue) Next() *ring.SQE {
	q.queued = append(q.queued, ring.SQE{})
	return &q.queued[len(q.queued)-1]
}

// Enter implements ring.Queue.
func (q *deadQueue) Enter(wait time.Duration) error {
	for i := range q.queued {
		f := (*queueabi.SQE)(&q.queued[i]).Entry()
		if ring.Op(f.Opcode) == ring.OpClose && f.SpliceFD == 0 {
			sockets.Close(int(f.FD))
		}
		q.end(f.UserData)
		q.stats.Submitted++
	}
	q.queued = q.queued[:0]
	if q.next == len(q.ended) && wait != 0 {
		q.loop.wake.wait(wait)
	}
	return nil
}

// Reap implements ring.Queue.
func (q *deadQueue) Reap(dst []ring.CQE) int {
	n := copy(dst, q.ended[q.next:])
	if q.next += n; q.next == len(q.ended) {
		q.ended, q.next = q.ended[:0], 0
	}
	q.stats.Completed += uint64(n)
	return n
}

var errDead = fmt.Errorf("the queue has failed: %w", syscall.EBADF)

// The rest of ring.Queue.

func (q *deadQueue) Reserve(int) error                                        { return nil }
func (q *deadQueue) Hold(bool)                                                {}
func (q *deadQueue) InFlight() int                                            { return len(q.queued) + len(q.ended) - q.next }
func (q *deadQueue) RegisterBufferRing(uint16, *ring.BufferRing) error        { return errDead }
func (q *deadQueue) UnregisterBufferRing(uint16) error                        { return errDead }
func (q *deadQueue) RegisterBuffers(int) error                                { return errDead }
func (q *deadQueue) UpdateBuffer(int, []byte) error                           { return errDead }
func (q *deadQueue) UnregisterBuffers() error                                 { return errDead }
func (q *deadQueue) RegisterFiles(int) error                                  { return errDead }
func (q *deadQueue) UpdateFiles(int, []int32) (int, error)                    { return 0, errDead }
func (q *deadQueue) UnregisterFiles() error                                   { return errDead }
func (q *deadQueue) RegisterReceiveArea(string, int, *ring.ReceiveArea) error { return errDead }
func (q *deadQueue) Stats() ring.Stats                                        { return q.stats }
func (q *deadQueue) Close() error                                             { return nil }

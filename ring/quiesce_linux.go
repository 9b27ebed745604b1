package ring

import (
	"fmt"
	"time"
	"unsafe"
)

// retryCancel is how long quiesce waits for a completion before it cancels
// again: an operation between two attempts escapes a cancel, and finds the
// next.
const retryCancel = 10 * time.Millisecond

// quiesce hands over what is queued, then cancels until nothing is in flight.
// Where completions were lost, it is until nothing is left to cancel.
func (r *Ring) quiesce(lost bool) error {
	r.settleDeferred()
	for r.inFlight > 0 && r.err == nil {
		found, err := r.cancelAll()
		if err != nil {
			return err
		}
		r.sweepThread()
		r.enter(true, retryCancel)
		if n := r.settleDeferred(); lost && n == 0 && found == 0 {
			return nil
		}
	}
	return r.err
}

// settleDeferred reaps what has ended and what the kernel ends when asked: it
// does some twenty of the operations that are ready each time. It goes on as
// long as that ends any: a multishot may have more to say for ever.
func (r *Ring) settleDeferred() (n int) {
	for {
		before := r.inFlight
		r.enter(false, 0)
		n += r.discard()
		if r.err != nil || r.inFlight == before || !r.kernelHasMore() {
			return n
		}
	}
}

// syncCancel is struct io_uring_sync_cancel_reg.
type syncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  uint8
	_       [7]uint8
	_       [3]uint64
}

// cancelAll cancels everything there is, and returns how much it found
// (io_uring_register_sync_cancel(3), Linux 6.0). Unlike an entry that cancels,
// it neither queues up behind a drain nor becomes part of a chain.
func (r *Ring) cancelAll() (found int, err error) {
	arg := &syncCancel{flags: CancelAny | CancelAll}
	found, err = r.mask.register(r.fd, registerSyncCancel, unsafe.Pointer(arg), 1)
	if err != nil {
		return 0, fmt.Errorf("ring: cancel what is in flight: %w", err)
	}
	return found, nil
}

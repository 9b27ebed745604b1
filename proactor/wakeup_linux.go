package proactor

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wakeup wakes a loop that waits: an eventfd whose read is always in flight
// (eventfd(2)).
//
// A loop could post a completion to another's ring instead (IORING_OP_MSG_RING,
// Linux 5.18). That gains nothing that can be measured: a round trip between two
// threads took 9.9 µs by eventfd and 10.4 µs by message (ring's BenchmarkWakeUp,
// medians of twelve rounds that spread much wider, Linux 6.18, two busy
// processors), most of it the waking itself; and it would serve loops only, on one
// backend only, and leave with the end of the turn rather than at once. What is
// posted goes through the inbox in either case.
type wakeup struct {
	loop  *Loop
	count []byte
	mu    sync.Mutex // a poster must not write to a number that is another file's by then
	fd    int        // -1 once closed
}

func (w *wakeup) open(l *Loop) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	w.loop, w.fd, w.count = l, fd, make([]byte, 8)
	w.arm()
	return nil
}

func (w *wakeup) arm() {
	sqe := w.loop.queue.Next()
	sqe.PrepRead(w.fd, w.count)
	w.loop.submit(sqe, w)
}

// complete implements operation: somebody has posted; turn looks at the inbox.
func (w *wakeup) complete(int32, uint32) {
	w.arm()
}

// signal makes the read complete. Any goroutine may call it.
func (w *wakeup) signal() {
	one := uint64(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return
	}
	unix.Write(w.fd, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}

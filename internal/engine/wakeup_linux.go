package engine

import (
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/queuehook"
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
	armed bool
	mu    sync.Mutex      // a poster must not write to a number that is another file's by then
	fd    int             // -1 once closed
	waker queuehook.Waker // the queue, if it has to be told of a write; else nil
}

// open opens it. waker may be nil.
func (w *wakeup) open(l *Loop, waker queuehook.Waker) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	w.loop, w.fd, w.count, w.waker = l, fd, make([]byte, 8), waker
	w.arm()
	return nil
}

func (w *wakeup) arm() {
	w.armed = true
	sqe := w.loop.Next()
	sqe.PrepRead(w.fd, w.count)
	w.loop.Submit(sqe, w)
}

// Complete implements Operation: somebody has posted, and turn looks at the
// inbox.
func (w *wakeup) Complete(int32, uint32) {
	w.armed = false
	if w.loop.failure.Load() == nil {
		w.arm()
	}
}

// inFlight counts the reads in flight: one, but for a loop that has failed.
func (w *wakeup) inFlight() int {
	if w.armed {
		return 1
	}
	return 0
}

// wait waits without the queue, for a loop that has failed.
func (w *wakeup) wait(limit time.Duration) {
	milliseconds := -1
	if limit >= 0 {
		milliseconds = int(min(limit.Milliseconds()+1, 1<<30))
	}
	fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(fds, milliseconds); n > 0 {
		unix.Read(w.fd, w.count)
	}
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
	if w.waker != nil {
		w.waker.Wake()
	}
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}

package proactor

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wakeup wakes a loop that waits: an eventfd whose read is always in flight
// (eventfd(2)).
type wakeup struct {
	loop  *Loop
	fd    int
	count []byte
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
	if !w.loop.finished() {
		w.arm()
	}
}

// signal makes the read complete. Any goroutine may call it while the loop
// has not ended.
func (w *wakeup) signal() {
	one := uint64(1)
	unix.Write(w.fd, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
}

func (w *wakeup) close() { unix.Close(w.fd) }

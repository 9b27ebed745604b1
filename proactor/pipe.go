package proactor

import (
	"context"
	"net"
	"os"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// Pipe makes a pipe (pipe2(2)) and returns its ends: what is sent to w, r
// receives. Closing w is the end of the stream for r; sending when r is closed
// fails with syscall.EPIPE. Both belong to the caller's loop, or to the next in
// turn. Any goroutine may call it.
//
// A task awaits an operation of its loop (io_uring: Linux 6.16), and other tasks
// run meanwhile. Elsewhere, and on older kernels, Pipe makes the system call, which
// does not wait.
//
// Errors are *net.OpError with Op "open": errors.Is finds syscall.EMFILE,
// syscall.ENFILE, and ErrClosed once the runtime shuts down.
func (rt *Runtime) Pipe() (r, w *Conn, err error) {
	if rt.isClosing() {
		return nil, nil, &net.OpError{Op: "open", Net: "pipe", Err: errShutdownDone}
	}
	ends, err := rt.openPipe()
	if err != nil {
		return nil, nil, &net.OpError{Op: "open", Net: "pipe", Err: err}
	}
	return rt.pairOf(ends, "pipe")
}

// openPipe awaits the queue's operation where that costs a switch to the loop and
// back. A callback cannot wait, and waking a loop costs a goroutine more than the
// system call does.
func (rt *Runtime) openPipe() ([2]int, error) {
	if l := rt.currentLoop(); l != nil && l.engine.Tasks().Current() != nil {
		if ends, err := l.pipe().Await(context.Background()); err == nil {
			return ends, nil
		}
	}
	return sockets.Pipe() // or it says what is wrong
}

// pipe makes a pipe by the operation of the queue.
func (l *Loop) pipe() futures.Future[[2]int] {
	ends := new([2]int32)
	made := func() [2]int { return [2]int{int(ends[0]), int(ends[1])} }
	c := &call[[2]int]{loop: l, wrap: func(err error) error { return os.NewSyscallError("pipe2", err) }}
	c.prepare = func(sqe *ring.SQE) { sqe.PrepPipe(ends, sockets.PipeFlags) }
	c.take = func(int32) ([2]int, error, bool) { return made(), nil, false }
	c.unwanted = func(int32) {
		for _, fd := range made() {
			sockets.Close(fd)
		}
	}
	return c.start()
}

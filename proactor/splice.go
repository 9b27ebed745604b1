package proactor

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// SpliceEnd is where a Splice takes bytes from or puts them to, see AtCursor and
// AtOffset.
type SpliceEnd struct {
	fd     int
	offset int64
	placed bool // at offset, not at the cursor
}

// AtCursor is a descriptor that has no position, such as a pipe or a socket, or a
// file at its cursor, which the Splice moves.
func AtCursor(fd int) SpliceEnd { return SpliceEnd{fd: fd, offset: ring.AtCursor} }

// AtOffset is an offset in a file, whose cursor does not move. A Splice at a
// negative offset fails with syscall.EINVAL.
func AtOffset(fd int, offset int64) SpliceEnd { return SpliceEnd{fd, offset, true} }

// invalid returns the error of a negative offset. The kernel would take -1 for the cursor.
func (e SpliceEnd) invalid() error {
	if e.placed && e.offset < 0 {
		return fmt.Errorf("offset %d of descriptor %d: want 0 or more: %w", e.offset, e.fd, syscall.EINVAL)
	}
	return nil
}

// Splice moves up to n bytes from src to dst in the kernel: they do not pass
// through memory of the process (splice(2), Linux 5.7). One of the two is a pipe;
// the other may be a pipe, too, a stream socket, a file, or anything else that the kernel
// can splice. The future resolves with the number of bytes moved, one at least; the
// end of src is io.EOF. It waits until src has data and dst has room. To move from a
// file to a socket use a pipe and two calls, see the example.
//
// The caller must keep the descriptors open until the future resolves: cancel that
// before closing them. A socket is made non-blocking, and remains so. Do not use Splice
// with the descriptor of a Conn, which receives ahead of its reader; between
// connections use Conn.Forward.
//
// Any goroutine may call Splice; a call on a loop uses that loop. If a cancel comes after
// bytes were moved, the future resolves with their number. Errors are *os.SyscallError:
// errors.Is finds
// syscall.EPIPE if nobody reads dst, syscall.EINVAL if neither is a pipe, both are
// the same one, an offset is negative, or the kernel cannot splice them, syscall.ESPIPE for the offset of
// a pipe, syscall.EBADF; or they are futures.ErrCanceled, or ErrClosed when the
// runtime ends.
func (rt *Runtime) Splice(dst, src SpliceEnd, n int) futures.Future[int] {
	return rt.someLoop().Splice(dst, src, n)
}

// Splice is Runtime.Splice on this loop.
func (l *Loop) Splice(dst, src SpliceEnd, n int) futures.Future[int] {
	return l.splice(&splice{dst: dst, src: src, n: n, name: "splice"})
}

// Tee copies up to n bytes from the pipe src into the pipe dst, in the
// kernel, and leaves them in src (tee(2), Linux 5.8). The future resolves with the
// number of bytes, one at least; the end of src is io.EOF. Otherwise it is like
// Splice.
func (rt *Runtime) Tee(dst, src int, n int) futures.Future[int] {
	return rt.someLoop().Tee(dst, src, n)
}

// Tee is Runtime.Tee on this loop.
func (l *Loop) Tee(dst, src int, n int) futures.Future[int] {
	return l.splice(&splice{dst: AtCursor(dst), src: AtCursor(src), n: n, name: "tee"})
}

// splice is a Splice or Tee under way. It waits for one end after the other with
// polls, and then moves what there is without waiting. A splice that waited would occupy
// a worker thread of the kernel, and hold the lock of the pipe while it waits for a
// socket.
type splice struct {
	loop     *Loop
	dst, src SpliceEnd
	n        int
	name     string // of the system call

	srcWaits bool // it can be polled; a file is always ready
	dstWaits bool
	stage    spliceStage
	userData uint64
	ended    bool
	reason   error // why it is being canceled
	starter  starter
	answer   *futures.Promise[int]
}

type spliceStage uint8

const (
	spliceFilling  spliceStage = iota // waits until src has something
	spliceDraining                    // waits until dst has room
	spliceMoving
)

func (l *Loop) splice(s *splice) futures.Future[int] {
	if s.n < 0 || s.n > maxTransfer {
		return futures.Failed[int](os.NewSyscallError(s.name, fmt.Errorf("%d bytes, want 0 to %d: %w", s.n, maxTransfer, syscall.EINVAL)))
	}
	for _, end := range []SpliceEnd{s.dst, s.src} {
		if err := end.invalid(); err != nil {
			return futures.Failed[int](os.NewSyscallError(s.name, err))
		}
	}
	s.loop, s.answer = l, futures.NewPromise[int]()
	s.answer.SetCanceler(&s.starter)
	if !s.starter.start(l, s) {
		s.refuse(l.closedBy(ErrClosed))
	}
	return s.answer.Future()
}

func (s *splice) begin() {
	if s.loop.stopping() {
		s.refuse(s.loop.closedBy(ErrClosed))
		return
	}
	var err error
	if s.srcWaits, err = preparePolling(s.src.fd); err == nil {
		s.dstWaits, err = preparePolling(s.dst.fd)
	}
	if err != nil || s.n == 0 {
		s.settle(0, os.NewSyscallError(s.name, err))
		return
	}
	s.enter(spliceFilling)
}

// enter begins a stage, or the next one if there is nothing to wait for.
func (s *splice) enter(stage spliceStage) {
	if stage == spliceFilling && !s.srcWaits {
		stage = spliceDraining
	}
	if stage == spliceDraining && !s.dstWaits {
		stage = spliceMoving
	}
	s.stage = stage
	sqe := s.loop.engine.Next()
	switch {
	case stage == spliceFilling:
		sqe.PrepPoll(s.src.fd, ring.PollIn)
	case stage == spliceDraining:
		sqe.PrepPoll(s.dst.fd, ring.PollOut)
	case s.name == "tee":
		sqe.PrepTee(s.src.fd, s.dst.fd, uint32(s.n), ring.SpliceNonblock)
	default:
		sqe.PrepSplice(s.src.fd, s.src.offset, s.dst.fd, s.dst.offset, uint32(s.n), ring.SpliceNonblock)
	}
	s.userData = s.loop.engine.Submit(sqe, s)
}

// Complete implements engine.Operation.
func (s *splice) Complete(result int32, _ uint32) {
	moved := s.stage == spliceMoving
	switch errno := syscall.Errno(-result); {
	case moved && result > 0:
		s.settle(int(result), nil)
	case moved && result == 0:
		s.settle(0, io.EOF)
	case s.reason != nil:
		s.settle(0, s.reason)
	case result > 0:
		s.enter(s.stage + 1)
	case moved && (errno == syscall.EAGAIN || errno == syscall.EINTR):
		s.enter(spliceFilling) // others have read or written first
	default:
		s.settle(0, os.NewSyscallError(s.name, errno))
	}
}

// refuse implements startable.
func (s *splice) refuse(err error) {
	s.ended = true
	s.answer.Fail(err)
}

// cancel implements startable.
func (s *splice) cancel() { s.End(futures.ErrCanceled) }

// End implements engine.Ender.
func (s *splice) End(reason error) {
	if s.ended {
		return
	}
	if s.reason == nil {
		s.reason = reason
		s.loop.engine.Cancel(s.userData)
	}
	s.loop.engine.AwaitEnd(s.userData)
}

func (s *splice) settle(n int, err error) {
	if s.ended {
		return
	}
	s.ended = true
	s.loop.engine.Later(func() { s.answer.Settle(n, err) })
}

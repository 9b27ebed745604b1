package proactor

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// Step is one operation of a chain, made by Conn.SendStep, Conn.RecvStep,
// File.WriteStep, File.SyncStep and Operation, among others. A Step may be used again once
// its chain has ended.
type Step struct {
	prepare func(*ring.SQE, []StepResult) // fills the entry of an Operation
	syscall string                        // that an Operation's errors show
	invalid error                         // why it cannot be performed

	// A step that is no Operation is on one of these three.
	conn      *Conn
	file      *File
	chainFile *ChainFile
	action    stepAction
	memory    []byte           // read into or written
	offset    int64            // in the file; ring.AtCursor is its cursor
	flags     uint32           // of a send, a receive or an fsync
	remote    *sockets.Address // to connect to

	minimum   int   // bytes that it must move
	tooFew    error // the error if it moves fewer
	resumes   bool  // it is submitted again for the rest if it moves fewer
	unlinked  bool  // what follows is submitted when it has ended, see RecvStep
	waits     bool  // it is submitted when the steps before it have ended
	runsAfter bool  // it runs even if one before it has failed
}

// stepAction is what a step does, as errors call it.
type stepAction string

const (
	stepConnects stepAction = "dial"
	stepOpens    stepAction = "open"
	stepReads    stepAction = "read"  // or receives
	stepWrites   stepAction = "write" // or sends
	stepSyncs    stepAction = "sync"
	stepCloses   stepAction = "close"
)

// StepResult is the result of a step: a number of bytes, a descriptor, or what
// else the operation returns, and its error. A step that did not run because
// another failed has futures.ErrCanceled.
type StepResult struct {
	N   int
	Err error
}

// Operation makes a step of any operation of the queue. prepare fills the entry on
// the loop's thread, but for its user data and link flags. What the entry points
// to must stay reachable through prepare itself. name is the system call that
// errors show.
//
// If prepare panics, the step fails with a *futures.PanicError, and none of those
// that were to be submitted with it is performed. If a signal interrupts the operation
// (EINTR), prepare is called again, and the operation submitted again, unless it is a
// connect or close or a step behind it has run.
func Operation(name string, prepare func(*ring.SQE)) Step {
	if prepare == nil {
		return OperationAfter(name, nil)
	}
	s := OperationAfter(name, func(sqe *ring.SQE, _ []StepResult) { prepare(sqe) })
	s.waits = false
	return s
}

// OperationAfter is Operation for a step that needs the results of those before
// it: a read of the descriptor that an open returned. Such a step is not linked
// but submitted when they have succeeded.
func OperationAfter(name string, prepare func(*ring.SQE, []StepResult)) Step {
	s := Step{prepare: prepare, syscall: name, waits: true}
	if prepare == nil {
		s.prepare = func(*ring.SQE, []StepResult) {}
		s.invalid = fmt.Errorf("proactor: the step %q has no function to prepare it: %w", name, syscall.EINVAL)
	}
	return s
}

// Full makes fewer than n bytes a failure of the step, with io.ErrUnexpectedEOF,
// as they are to the kernel's links for reads and writes.
func (s Step) Full(n int) Step {
	s.minimum, s.tooFew = n, io.ErrUnexpectedEOF
	return s
}

// Always makes a step run even if one before it has failed: the close of what an
// earlier one opened. Its error counts if it is the first. If an Await in a callback ends
// the chain, such a step may run when Await has returned, unless it is one that reads,
// writes, sends or receives: then it does not run, since its memory is the caller's.
func (s Step) Always() Step {
	s.runsAfter, s.waits = true, true
	return s
}

// some makes the end of a file or stream the only failure of a step that reads what
// there is. The kernel takes fewer bytes than asked for as a failure, and the end of
// a stream for a success, so what follows is not linked.
func (s Step) some() Step {
	s.minimum, s.tooFew, s.unlinked = 1, io.EOF, true
	return s
}

// whole makes fewer bytes than the step's memory has a failure. The step is submitted
// again for the rest: the kernel's answer to that is why it was cut. A message has no
// rest.
func (s Step) whole() Step {
	s.minimum, s.tooFew, s.resumes = len(s.memory), io.ErrUnexpectedEOF, s.conn == nil || s.conn.medium != packets
	if s.action == stepWrites {
		s.tooFew = io.ErrShortWrite
	}
	return s
}

// checkLength returns an error if the step's memory is too long or too short for one
// step.
func (s *Step) checkLength() error {
	switch n := len(s.memory); {
	case s.action == stepReads && (n == 0 || n > maxTransfer):
		return s.failed(fmt.Errorf("%d bytes in one step, want 1 to %d: %w", n, maxTransfer, syscall.EINVAL))
	case n > maxTransfer:
		return s.failed(fmt.Errorf("%d bytes in one step, at most %d: %w", n, maxTransfer, syscall.EINVAL))
	}
	return nil
}

// isZero reports whether it is the zero Step.
func (s *Step) isZero() bool { return s.prepare == nil && s.action == "" }

// failed is the error of the step, with what it is on.
func (s *Step) failed(cause error) error { return s.failedAs(string(s.action), cause) }

func (s *Step) failedAs(op string, cause error) error {
	switch {
	case s.conn != nil:
		return s.conn.opError(op, cause)
	case s.file != nil:
		return s.file.failed(op, cause)
	case s.chainFile != nil:
		return s.chainFile.failed(op, cause)
	}
	return cause
}

// refused is the error of a step that the kernel answered with errno, when it had
// moved n bytes.
func (s *Step) refused(errno syscall.Errno, n int) error {
	var cause error = errno
	switch {
	case s.prepare != nil:
		return os.NewSyscallError(s.syscall, errno)
	case s.conn != nil:
		cause = os.NewSyscallError(syscallName[string(s.action)], errno)
	}
	if s.action == stepWrites && n > 0 {
		cause = &shortWriteError{written: n, of: len(s.memory), cause: cause}
	}
	return s.failed(cause)
}

// shortWriteError is a write that an error ended in the middle: io.ErrShortWrite and
// that error.
type shortWriteError struct {
	written, of int
	cause       error
}

func (e *shortWriteError) Error() string {
	return fmt.Sprintf("%v of %d of %d bytes: %v", io.ErrShortWrite, e.written, e.of, e.cause)
}

func (e *shortWriteError) Unwrap() []error { return []error{io.ErrShortWrite, e.cause} }

// loop is the loop that the step has to run on, nil if any will do.
func (s *Step) loop() *Loop {
	switch {
	case s.conn != nil:
		return s.conn.loop
	case s.file != nil:
		return s.file.loop
	}
	return nil
}

// sends reports whether the step uses the sending side of a connection.
func (s *Step) sends() bool { return s.conn != nil && s.action != stepReads }

// moves reports whether the step reads or writes, and so may have to wait.
func (s *Step) moves() bool { return s.action == stepReads || s.action == stepWrites }

// borrows reports whether the step may use memory of the caller.
func (s *Step) borrows() bool { return s.moves() || s.prepare != nil }

// readiness is what its descriptor is polled for.
func (s *Step) readiness() uint32 {
	if s.action == stepReads {
		return ring.PollIn
	}
	return ring.PollOut
}

// isEmptyMessage reports whether n bytes are all of what RecvStep waited for.
func (s *Step) isEmptyMessage(n int) bool {
	return n == 0 && s.conn != nil && s.tooFew == io.EOF && !s.conn.endsHere()
}

// hasRest reports whether a step that has moved n bytes is to be submitted again.
func (s *Step) hasRest(n int) bool {
	return s.resumes && n < s.minimum && n < len(s.memory) && (s.conn == nil || s.conn.state < connEnding)
}

// moved notes that n more bytes were read or written, behind the first before.
func (s *Step) moved(before, n int) {
	if s.action == stepReads && n > 0 {
		engine.RaceWrote(s.memory[before : before+n])
	}
	if s.atCursor() {
		s.file.cursor += int64(n)
	}
}

// fill has the function of an Operation fill the entry. One that panics becomes an
// entry that the queue refuses, and with it all that it is linked to.
func (s *Step) fill(sqe *ring.SQE, before []StepResult) (failure error) {
	defer func() {
		if value := recover(); value != nil {
			failure = &futures.PanicError{Value: value, Stack: debug.Stack()}
			sqe.Reset()
			sqe.PrepOperation(noOperation, -1, 0, 0, 0)
		}
	}()
	s.prepare(sqe, before)
	return nil
}

// noOperation is a code that no queue knows.
const noOperation = 255

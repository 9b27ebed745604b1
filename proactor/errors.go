package proactor

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
)

var (
	// ErrClosed is the error of operations on something closed. errors.Is finds
	// net.ErrClosed and futures.ErrClosed in it, and ErrClosed in
	// futures.ErrClosed. A program that has errors of package net, too, can test
	// for net.ErrClosed, which is in all of them.
	ErrClosed error = closedError{}

	// ErrOnLoop is the error of a call that would wait for the loop that it is
	// called on.
	ErrOnLoop = errors.New("proactor: this call waits and must not be made from a handler or callback: use another goroutine")

	errHandlerReceives = errors.New("a handler set with OnRecv receives this connection's data")
	errDrainTimeout    = errors.New("closed with data unsent: the peer did not read within the drain timeout")
)

// closedError has the text of net.ErrClosed, for which some programs search.
type closedError struct{}

func (closedError) Error() string { return net.ErrClosed.Error() }

// PlainlyClosed tells futures.ErrClosed that this is the same.
func (closedError) PlainlyClosed() {}
func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == futures.ErrClosed
}

// errShutdownDone is the error of operations that begin after a shutdown. It is
// ErrClosed, too.
var errShutdownDone error = shutdownError{}

type shutdownError struct{}

func (shutdownError) Error() string        { return "proactor: the runtime has shut down" }
func (shutdownError) Is(target error) bool { return errors.Is(ErrClosed, target) }

// closedBy is the failure of the loop if it has failed, else otherwise.
func (l *Loop) closedBy(otherwise error) error {
	if err := l.engine.Failure(); err != nil {
		return err
	}
	return otherwise
}

// errTimeout is the error after a deadline: a net.Error with Timeout() true.
var errTimeout = os.ErrDeadlineExceeded

// failed is the error of an operation that the kernel answered with errno.
func (c *Conn) failed(op string, errno syscall.Errno) error {
	return c.opError(op, os.NewSyscallError(syscallName[op], errno))
}

// syscallName is what package net calls the system call of an operation, whatever the
// queue performs it with.
var syscallName = map[string]string{"read": "read", "write": "write", "dial": "connect", "shutdown": "shutdown", "close": "close"}

func (c *Conn) timedOut(op string) error             { return c.opError(op, errTimeout) }
func (c *Conn) closedError(op string) error          { return c.opError(op, c.loop.closedBy(c.endedBy())) }
func (c *Conn) misused(op string, cause error) error { return c.opError(op, cause) }

func (c *Conn) opError(op string, cause error) error {
	e := &net.OpError{Op: op, Net: c.network(), Err: cause}
	e.Source, e.Addr = c.endpoints()
	return e
}

package proactor

import (
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// SetSocketOption sets an option of the connection's socket to value (setsockopt(2)),
// such as level unix.SOL_SOCKET, name unix.SO_KEEPALIVE, and an int in four bytes of the
// machine's order. value belongs to the library until the future resolves. It does not
// wait for sends or receives. Any goroutine may call it.
//
// errors.Is finds syscall.ENOPROTOOPT if there is no such option, syscall.EINVAL if the
// value is wrong, and ErrClosed. io_uring does it from Linux 6.7 on; before that the loop
// makes the system call, which does not wait.
func (c *Conn) SetSocketOption(level, name int, value []byte) futures.Future[struct{}] {
	o := &optionCall[struct{}]{conn: c, set: true, level: level, name: name, value: value}
	return o.start()
}

// SocketOption reads an option of the connection's socket into value, and resolves to
// its length in bytes (getsockopt(2)). Otherwise it is like SetSocketOption.
func (c *Conn) SocketOption(level, name int, value []byte) futures.Future[int] {
	o := &optionCall[int]{conn: c, level: level, name: name, value: value, of: func(n int) int { return n }}
	return o.start()
}

// optionCall is the setting or reading of an option.
type optionCall[T any] struct {
	conn        *Conn
	set         bool
	level, name int
	value       []byte
	of          func(n int) T // makes the value of the future, nil if it has none
	promise     *futures.Promise[T]
}

func (o *optionCall[T]) start() futures.Future[T] {
	o.promise = futures.NewPromise[T]()
	if !o.conn.loop.engine.Perform(o.begin) {
		o.promise.Fail(o.conn.closedError(o.call()))
	}
	return o.promise.Future()
}

func (o *optionCall[T]) call() string {
	if o.set {
		return "setsockopt"
	}
	return "getsockopt"
}

func (o *optionCall[T]) begin() {
	c := o.conn
	switch {
	case c.movedTo() != nil:
		o.promise.Fail(c.opError(o.call(), c.movedTo()))
		return
	case c.loop.stopping() || c.state >= connEnding:
		o.promise.Fail(c.closedError(o.call()))
		return
	}
	c.others++
	sqe := c.loop.engine.Next()
	if o.set {
		engine.RaceRead(o.value)
		sqe.PrepSetSocketOption(c.fd, o.level, o.name, o.value)
	} else {
		sqe.PrepGetSocketOption(c.fd, o.level, o.name, o.value)
	}
	c.loop.engine.Submit(sqe, o)
}

// Complete implements engine.Operation. If the queue cannot do it, the system call can, or
// its error says why not.
func (o *optionCall[T]) Complete(result int32, _ uint32) {
	c := o.conn
	c.others--
	n, errno := int(result), syscall.Errno(0)
	if result < 0 {
		errno = syscall.Errno(-result)
	}
	if errno == syscall.EOPNOTSUPP || errno == syscall.EINVAL {
		n, errno = socketOptionNow(c.fd, o.set, o.level, o.name, o.value)
	}
	switch {
	case errno == syscall.ECANCELED && c.state >= connEnding:
		o.settle(0, c.closedError(o.call()))
	case errno != 0:
		o.settle(0, c.opError(o.call(), os.NewSyscallError(o.call(), errno)))
	default:
		if !o.set {
			engine.RaceWrote(o.value[:min(n, len(o.value))])
		}
		o.settle(n, nil)
	}
	c.settled()
}

func (o *optionCall[T]) settle(n int, err error) {
	var value T
	if o.of != nil && err == nil {
		value = o.of(n)
	}
	o.conn.loop.engine.Later(func() { o.promise.Settle(value, err) })
}

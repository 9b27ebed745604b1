package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

// call is an operation on a file or a name, other than a read or write.
type call[T any] struct {
	loop    *Loop
	file    *File // that it is on; nil for names
	prepare func(*ring.SQE)
	// take makes the value from a result that is no error. If again is true the
	// operation is submitted again, with a prepare that take has changed.
	take func(result int32) (v T, err error, again bool)
	// fails does the same for an errno. If it is nil, every errno is final.
	fails func(syscall.Errno) (err error, again bool)
	// wrap makes the error from its cause.
	wrap func(error) error
	// unwanted closes what a canceled operation has opened, if not nil.
	unwanted func(result int32)
	// otherwise runs on a goroutine if the queue answers EINVAL.
	otherwise func() error

	starter  starter
	promise  *futures.Promise[T]
	userData uint64
	reason   error // why it is being canceled
	ended    bool
}

// start begins it, from any goroutine.
func (c *call[T]) start() futures.Future[T] {
	c.promise = futures.NewPromise[T]()
	c.promise.SetCanceler(&c.starter)
	if !c.starter.start(c.loop, c) {
		c.refuse(c.loop.closedBy(errFileClosed))
	}
	return c.promise.Future()
}

func (c *call[T]) begin() {
	if c.loop.stopping() || c.file != nil && c.file.state != fileOpen {
		c.refuse(c.loop.closedBy(errFileClosed))
		return
	}
	if c.file != nil {
		c.file.inFlight++
	}
	c.submit()
}

func (c *call[T]) submit() {
	sqe := c.loop.engine.Next()
	c.prepare(sqe)
	c.userData = c.loop.engine.Submit(sqe, c)
}

// Complete implements engine.Operation.
func (c *call[T]) Complete(result int32, _ uint32) {
	var value T
	var err error
	again := false
	errno := syscall.Errno(-result)
	switch {
	case result >= 0 && c.reason != nil && c.unwanted != nil:
		c.unwanted(result)
		err = c.reason
	case result >= 0:
		value, err, again = c.take(result)
	case errno == syscall.EINTR:
		again = true
	case errno == syscall.ECANCELED && c.reason != nil:
		err = c.reason
	case errno == syscall.EINVAL && c.otherwise != nil:
		c.elsewhere()
		return
	case c.fails != nil:
		err, again = c.fails(errno)
	default:
		err = errno
	}
	switch {
	case again && c.reason != nil:
		c.settle(value, c.wrap(c.reason))
	case again:
		c.submit()
	case err != nil:
		c.settle(value, c.wrap(err))
	default:
		c.settle(value, nil)
	}
}

// elsewhere performs it without the queue.
func (c *call[T]) elsewhere() {
	go func() {
		err := c.otherwise()
		if err != nil {
			err = c.wrap(err)
		}
		if !c.loop.engine.Do(func() { c.settle(*new(T), err) }) {
			c.promise.Settle(*new(T), err)
		}
	}()
}

func (c *call[T]) settle(v T, err error) {
	if c.ended {
		return
	}
	c.ended = true
	if c.file != nil {
		c.file.inFlight--
		c.file.settled()
	}
	c.loop.engine.Later(func() { c.promise.Settle(v, err) })
}

// refuse implements startable.
func (c *call[T]) refuse(err error) {
	c.ended = true
	c.promise.Fail(c.wrap(err))
}

// cancel implements startable.
func (c *call[T]) cancel() { c.End(futures.ErrCanceled) }

// End implements engine.Ender.
func (c *call[T]) End(reason error) {
	if !c.ended && c.reason == nil {
		c.reason = reason
		c.loop.engine.CancelOnce(c.userData)
	}
}

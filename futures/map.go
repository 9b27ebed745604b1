package futures

import (
	"runtime/debug"
	"sync"
)

// Map returns a future of fn's result for the value of f; if f fails, it fails
// the same. fn runs where a callback of f.Then does; its panic becomes a
// *PanicError. Canceling it cancels f.
func Map[T, U any](f Future[T], fn func(T) (U, error)) Future[U] {
	p := NewPromise[U]()
	p.SetCanceler(again(f.Cancel))
	f.Then(func(v T, err error) {
		if err != nil {
			p.Fail(err)
			return
		}
		try(func() (U, error) { return fn(v) }, p.settle)
	})
	return p.Future()
}

// FlatMap returns a future of the result of the future that fn makes of the value
// of f; if f fails, it fails the same. fn runs where a callback of f.Then does;
// its panic becomes a *PanicError. Canceling it cancels f, or the future that
// fn returned.
func FlatMap[T, U any](f Future[T], fn func(T) Future[U]) Future[U] {
	c := &chain[U]{stage: f}
	c.SetCanceler(again(c.cancelStage))
	f.Then(func(v T, err error) {
		if err != nil {
			c.Fail(err)
			return
		}
		try(func() (Future[U], error) { return fn(v), nil }, c.enter)
	})
	return c.Future()
}

// chain is the future of two, one after the other.
type chain[U any] struct {
	Promise[U]
	mu       sync.Mutex
	stage    Canceler // the one that is under way
	canceled bool
}

// enter begins the second stage. One canceled meanwhile is begun too, so that
// the value of the first is not lost, and then canceled.
func (c *chain[U]) enter(next Future[U], err error) bool {
	if err != nil {
		return c.Fail(err)
	}
	c.mu.Lock()
	c.stage = next
	canceled := c.canceled
	c.mu.Unlock()
	if canceled {
		next.Cancel()
	}
	next.receive(func(v U, err error) { c.Settle(v, err) })
	return true
}

// cancelStage cancels the stage that is under way.
func (c *chain[U]) cancelStage() {
	c.mu.Lock()
	c.canceled = true
	stage := c.stage
	c.mu.Unlock()
	stage.Cancel()
}

// try calls fn and hands over what it came to, even if it did not return.
func try[T any](fn func() (T, error), settle func(T, error) bool) {
	err := ErrGoexit
	var v T
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
		}
		settle(v, err)
	}()
	v, err = fn()
}

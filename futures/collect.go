package futures

import "sync"

// Resolved returns a future that has the value v.
func Resolved[T any](v T) Future[T] {
	return (&Promise[T]{started: true, state: resolved, value: v}).Future()
}

// Failed returns a future that has failed with err.
func Failed[T any](err error) Future[T] {
	return (&Promise[T]{started: true, state: resolved, err: err}).Future()
}

// observe calls fn with the result: at once if there is one, else as Then does.
func (f Future[T]) observe(fn func(T, error)) {
	p := f.promise
	switch {
	case p == nil:
		fn(*new(T), nil)
	case p.exec == nil:
		p.observeFree(fn)
	case p.exec.Inside():
		p.subscribeCall(f.generation, fn)
	case !p.exec.Post(function(func() { p.subscribeCall(f.generation, fn) })):
		fn(*new(T), ErrClosed)
	}
}

func (p *Promise[T]) observeFree(fn func(T, error)) {
	p.mu.Lock()
	wait := p.state == pending
	if wait {
		p.others.add(&waiter[T]{call: fn})
	}
	p.mu.Unlock()
	if !wait {
		fn(p.value, p.err)
	}
}

// collection is the future of several: R is made of the outcomes of the inputs.
//
// It settles when every input has ended, those that were canceled too: only
// then does nothing use their memory any more.
type collection[T, R any] struct {
	Promise[R]
	inputs []Future[T]

	mu     sync.Mutex
	left   int
	enough bool
	take   func(i int, v T, err error) (enough bool) // called with mu held
	result func() (R, error)                         // called once, after the last take
}

// collectionCanceler is a collection as its own Canceler.
type collectionCanceler[T, R any] collection[T, R]

func (c *collectionCanceler[T, R]) Cancel() { cancelAll(c.inputs) }

func cancelAll[T any](fs []Future[T]) {
	for _, f := range fs {
		f.Cancel()
	}
}

func collect[T, R any](fs []Future[T], take func(int, T, error) bool, result func() (R, error)) Future[R] {
	c := &collection[T, R]{inputs: fs, left: len(fs), take: take, result: result}
	c.SetCanceler((*collectionCanceler[T, R])(c))
	if len(fs) == 0 {
		c.Settle(result())
	}
	for i, f := range fs {
		f.observe(func(v T, err error) { c.ended(i, v, err) })
	}
	return c.Future()
}

func (c *collection[T, R]) ended(i int, v T, err error) {
	c.mu.Lock()
	stop := c.take(i, v, err) && !c.enough
	c.enough = c.enough || stop
	c.left--
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.Settle(c.result())
	} else if stop {
		cancelAll(c.inputs)
	}
}

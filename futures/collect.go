package futures

import (
	"sync"

	"github.com/goproactor/goproactor/internal/foreach"
)

// Resolved returns a future that has the value v.
func Resolved[T any](v T) Future[T] {
	return settled(v, nil)
}

// Failed returns a future that has failed with err.
func Failed[T any](err error) Future[T] {
	return settled(*new(T), err)
}

func settled[T any](v T, err error) Future[T] {
	p := &Promise[T]{value: v, err: err}
	p.word.Store(resolved)
	return p.Future()
}

// collection is the future of several: R is made of the outcomes of the inputs.
//
// It settles when every input has ended, those that were canceled too: only
// then does nothing use their memory any more.
//
// It looks at the results of the inputs and takes only those that it passes on:
// the others stay where they are, for whoever asks the inputs.
type collection[T, R any] struct {
	Promise[R]
	inputs []Future[T]
	choose func(i int, v T, err error) choice // called with mu held
	result func() (R, error)                  // called once, after the last choice

	mu     sync.Mutex
	left   int
	enough bool
	lost   error // of an input whose result was passed on and had been reclaimed
}

// choice is what a collection makes of the result of an input.
type choice struct {
	take   bool // it is passed on
	enough bool // the other inputs are needed no more
}

func cancelAll[T any](fs []Future[T]) { foreach.Do(fs, Future[T].Cancel) }

// collect makes a collection. fs is a copy: the program may use its own slice again.
func collect[T, R any](fs []Future[T], choose func(int, T, error) choice, result func() (R, error)) Future[R] {
	c := &collection[T, R]{inputs: fs, left: len(fs), choose: choose, result: result}
	c.SetCanceler(again(func() { cancelAll(fs) }))
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
	choice := c.choose(i, v, err)
	c.mu.Unlock()
	var lost error
	if choice.take {
		lost = c.inputs[i].take()
	}
	c.mu.Lock()
	if lost != nil {
		c.lost = lost
	}
	stop := choice.enough && !c.enough
	c.enough = c.enough || stop
	c.left--
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.conclude()
	} else if stop {
		cancelAll(c.inputs)
	}
}

func (c *collection[T, R]) conclude() {
	if c.lost != nil {
		c.Fail(c.lost)
		return
	}
	c.Settle(c.result())
}

// takeAll takes every result. Its error is that of one that was reclaimed.
func takeAll[T any](fs []Future[T]) error {
	var lost error
	for _, f := range fs {
		if err := f.take(); err != nil {
			lost = err
		}
	}
	return lost
}

// Package queuehook lets packages of this module put another queue under a runtime of
// package proactor, for tests: one that makes faults, or one that simulates a network.
package queuehook

import "github.com/goproactor/goproactor/ring"

// Hook opens the queue of a loop, on its thread. open is what the runtime would have
// called.
type Hook func(loop int, open func() (ring.Queue, error)) (ring.Queue, error)

// Waker is a queue whose Enter does not wait in the kernel, so that a write to the
// eventfd of its loop does not end that wait.
type Waker interface {
	// Wake has Enter look whether the eventfd can be read. Any goroutine may call it.
	Wake()
}

// Hooked is the options of a runtime, which are private to package proactor.
type Hooked interface{ HookQueue(Hook) }

// Option makes an option of package proactor that sets hook:
//
//	proactor.Option(queuehook.Option(proactor.Option(nil), hook))
//
// Of the option given only the type counts, by which the compiler finds the private type
// O. So the hook is no part of the public interface of package proactor.
func Option[O Hooked](_ func(O) error, hook Hook) func(O) error {
	return func(o O) error {
		o.HookQueue(hook)
		return nil
	}
}

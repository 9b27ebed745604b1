// Package queuetest is the conformance suite of the queue contract: what
// ring.Queue promises, case by case, on real sockets, pipes and eventfds. Every
// implementation runs all of it:
//
//	func TestContract(t *testing.T) { queuetest.Run(t, open) }
//
// What the cases expect was observed on the kernel's ring first. Where the
// kernel leaves an order open, a case accepts either.
package queuetest

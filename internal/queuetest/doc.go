// Package queuetest is the conformance suite of the queue contract: what
// ring.Queue promises, case by case, on real sockets, pipes and eventfds. Every
// implementation runs all of it:
//
//	func TestContract(t *testing.T) { queuetest.Run(t, open) }
//
// What is asked of every operation comes from one table, with a row for each: that
// it succeeds, how it fails, what its failures and wrong descriptors do to a chain,
// and what it brings. Perform makes random programs of the same rows, which package
// differential runs on both queues.
//
// What the cases expect was observed on the kernel's ring first. Where the
// kernel leaves an order open, a case accepts either.
package queuetest

// Package ring is the contract between the proactor and whatever performs its
// operations, and the kernel's implementation of that contract.
//
// The contract is io_uring's own: a program fills submission entries ([SQE]),
// hands them over in one call, and reads completions ([CQE]). [Queue] is that
// contract as an interface. [Open] returns the kernel's io_uring behind it;
// package epollfallback implements the same interface in user space. Both
// give the same completions for the same entries, and a differential test
// holds them to it.
//
// The three types to know:
//
//   - [SQE], one operation: opcode, descriptor, memory, flags, user data;
//   - [CQE], one result: user data, a byte count or a negative errno, flags;
//   - [Queue], where one goes in and the other comes out.
//
// [BufferRing] holds the buffers that receives choose from, [ReceiveArea] is memory that a
// network card receives into (not tested on one), and [Slots] turns
// user data back into the operation it stands for.
//
// A queue belongs to one goroutine locked to its thread (runtime.LockOSThread):
// the one that opened it. No method may be called from another, and none takes
// a lock.
package ring

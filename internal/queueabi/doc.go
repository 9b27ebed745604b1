// Package queueabi is the layout of what a program and a queue exchange: entries,
// completions and rings of buffers. Package ring gives these types to programs
// under the same names, without the methods that are here: those are for whoever
// performs entries, the kernel's ring and package epollfallback. They convert
// between the two:
//
//	entry := (*queueabi.SQE)(sqe).Entry()
//	cqe := ring.CQE(queueabi.NewCQE(userData, result, flags))
//	buffers := (*queueabi.BufferRing)(r)
package queueabi

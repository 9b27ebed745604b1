// Package epollfallback is an io_uring in user space: the queue contract of
// package ring over epoll, for kernels and containers that refuse the real
// one. It takes the same submission entries and posts the same completions,
// down to buffer ids, CQEFMore, broken links and what a cancel answers.
//
// The three things to know:
//
//   - [Open] returns a [Queue], which is a [ring.Queue];
//   - an operation is tried at once, inside Enter. Only if it would block does
//     it park, in the order of submission, on its descriptor's queue for that
//     direction, until epoll reports an edge;
//   - what an entry means is one row of a table: adding an operation to the
//     fallback is adding a row and the function that performs it.
//
// A queue belongs to one goroutine locked to its thread, as every [ring.Queue]
// does. It takes no lock and, once warm, allocates nothing for an operation.
package epollfallback

// Package library holds the public calls of package proactor to those of packages net
// and os: seeded random programs run on io_uring, on epoll, and with the blocking calls
// of the standard library, and what comes of them must be the same. All of it is tests:
// there is nothing to import.
//
// The four types to know:
//
//   - Program, steps on the two ends of a connection, on two sockets for messages, on files
//     in a directory made for the run, or on listeners and dials;
//   - plan, which steps of a program run, when the result of each has to be there, and
//     which results are allowed where there is more than one;
//   - player, who performs the steps: the library, or packages net and os;
//   - Trace, what came of them.
//
// # What is compared
//
// Of each step the number of bytes, a checksum of what was read, and the error by
// errors.Is; of files also the text of the error, and what is left in the directory; of
// dials, listens and accepts what the *net.OpError says.
// A result has to be there when the plan says so: an operation that is forgotten fails
// the program. When a program has ended, the runtime has to have nothing left: no
// connection, file, lease, task, timer or operation in flight, and no descriptor.
//
// A read of a stream reads all the bytes that it was asked for, with as many calls as
// that takes: how many bytes one call brings is chance. What a read that was canceled has
// got goes back, for the next read. A call whose context has ended may have succeeded all
// the same; if it has not, and should have, it is made again. So nothing may be lost or
// sent twice by a cancel.
//
// Where more than one result is right, rules.go says which, and why.
package library

// Package differential holds the two queues to one contract: seeded random
// programs of submission entries run on the kernel's io_uring and on
// epollfallback, and their completions must agree. The kernel is right by
// definition. All of it is tests: there is nothing to import.
//
// The three types to know:
//
//   - Program, steps of entries and of acts by the peers outside;
//   - Trace, what came of a program on one queue;
//   - Difference, where two traces disagree under the rules below.
//
// # What is compared
//
// Every step is run until nothing moves any more: what must end by itself (a
// connect over loopback, a shutdown, a short timeout) has ended, what TCP has
// in flight has arrived, and two turns of the queue brought nothing. Then,
// between step and step of the two traces:
//
//   - of each entry: the sequence of its completions, each with result, flags,
//     buffer id and the bytes received. Descriptors that accept returned count
//     as equal when the same peer is at their other end;
//   - of each chain: the order in which its entries ended, a link timeout and
//     the entry it limits excepted, of which either may come first;
//   - what the peers read, to the byte; that covers the order of sends;
//   - what is still in flight, by entry;
//   - at the end, when everything was canceled: how many the cancel found,
//     what is left unread on each side, and that every entry ended once.
//
// Not compared is what the kernel does not promise:
//
//   - what a short link timeout ends with that fires when what it limits has ended by
//     itself, or is being ended by a worker of the kernel's: ECANCELED, ENOENT or
//     EALREADY;
//   - order between unrelated entries, and between a cancel and its target;
//   - of a multishot poll, how many completions a step has; POLLERR, which
//     passes; and its events in a step in which others read or wrote the same;
//   - of any poll, the events beyond those the kernel reports, if it reports
//     any: it says either what woke it or the state, epoll always the state;
//   - CQEFSockNonEmpty after a receive from TCP that had room for more, where it
//     means the end of the stream: the fallback says it only if it knows;
//   - whether a listener that is shut down signals an error or a hang-up, which
//     it does one after the other.
//
// # What is not run
//
// Some entries have no defined outcome in the kernel. The machine passes over
// their chains, and says so in the trace. The rules, each a function of
// referee_linux_test.go, look only at what both sides must agree on:
//
//   - a second receive, or send, that would wait on one descriptor beside
//     another: the kernel wakes the youngest first, the fallback the oldest;
//   - what follows in a batch, without a link, a shutdown, a connect, a write to
//     an eventfd (those three are left to a worker or the network) or an entry
//     with RecvSendPollFirst on the same descriptor, and the same the other way
//     round beside an entry behind a link;
//   - a cancel in one batch with those or with a multishot, or behind a link
//     beside entries for both ends of a pair;
//   - a cancel by descriptor that is to end one of several;
//   - entries for what a batch closed: the other end of a pair (the kernel puts
//     off the end of a file until Enter returns), or the same number when it was
//     in use (the fallback's duplicate may have taken a number just freed);
//   - a send that waits on a connection whose peer has shut down: the kernel
//     tries it 128 times and then gives it to a worker;
//   - a shutdown(SHUT_RD) while the other end of a Unix pair waits to send: that
//     send fails, but epoll has no event to report (a limit of the fallback);
//   - a receive that takes what the batch brings while a poll waits for it, or what
//     comes to a TCP connection that our side has shut down: epoll looks when it is
//     gone;
//   - a shutdown that only wakes the other end of a Unix pair, which waits for a
//     buffer to receive into: the kernel finds that none is left, epoll has no event
//     to report (a limit of the fallback);
//   - the removal of a multishot poll in one batch with what makes it report;
//   - linked entries while a cancel or a timeout that counts waits behind a link;
//   - the close of what an entry behind a link is for; an accept after a connect
//     to the same listener in one batch; a second entry for a descriptor that
//     has an error pending;
//   - linked sends to what an entry receives from: in one piece or in several;
//   - two short timeouts at a time; two timeouts that count, or one beside
//     multishot polls, what is asynchronous, or linked with other chains around.
//
// Not generated are multishot receives with MSG_PEEK, which only fill buffers,
// or MSG_DONTWAIT, which gives up after 32 completions,
// MSG_WAITALL of packets (SOCK_SEQPACKET), named pipes beside incremental groups,
// MSG_WAITALL into incremental groups, of which the kernel offers the same memory
// to the next receive, receives on a datagram socket that was shut down, and
// splices and tees: the kernel leaves each to a thread, and when that begins, and
// what a cancel finds until then, is not the program's to tell.
//
// Sends that would be cut by the size of TCP's buffers are made only with
// MSG_WAITALL and while the peer reads.
//
// # All operations
//
// What every operation does by itself, on the object that it is for and on others,
// alone and in a chain, comes from the table of operations in package queuetest. An
// operation that has its row there is in these programs.
//
// # Files
//
// Files and names have programs of their own, FileProgram: chains in a directory
// made for the run, each submitted when the one before has ended, for what is
// unrelated in a kernel's ring is left to workers and ends in any order. All that
// comes of them is compared, and what is left in the directory. Not run are reads and
// writes at the cursor of a file opened with O_DIRECT: the kernel's ring leaves it
// where it is when the device takes its time (seen on 6.18), and package proactor
// does without it.
package differential

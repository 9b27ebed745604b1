// Package simulation is a queue (package ring) over a network that exists in memory
// only, for tests that are repeated exactly.
//
// A Network has a seed. The seed decides how long each packet takes, how much a receive
// or a send moves at once, in which order completions come, and which datagrams are
// lost. Network.Hook puts a Queue of it under each loop of a runtime of package proactor.
//
// # Time
//
// The network has no clock of its own. It waits with the timers of package time: in a
// bubble of testing/synctest they follow the fake clock, which goes on when every
// goroutine of the bubble is blocked. No two events of a network have the same time, so
// they happen one after the other, and everything that one causes happens before the
// next. Outside of a bubble the same events take real time, and the Go scheduler decides
// what happens meanwhile.
//
// # Descriptors
//
// A program makes sockets, binds them, sets their options and asks for their names with
// system calls. It does so here, too: a socket of the network has a socket of the kernel
// that stands for it, on the loopback interface, and through which no byte goes. A
// connect connects it, an accept accepts it. So names, options, and the count of open
// descriptors are those of the kernel, and nothing of the library has a second way for
// simulations. What a program does past its queue is found out before the next
// entries are performed: a reset, the end of listening, a close.
//
// # What is simulated
//
// TCP and UDP: accept, connect, receive (multishot and with provided buffers, too), send,
// messages, poll, shutdown, close, timeouts, links, cancels, socket options. Anything
// else ends with EOPNOTSUPP, and Network.Unsupported names it.
//
// # What is checked
//
// The queue writes into memory only when a completion is due, and fills it with a pattern
// until then. Bytes of a send are compared with what they were when it was submitted. So
// it finds what touches memory of an operation in flight, or of a provided buffer.
// Network.Violations says what was found.
package simulation

package faultqueue

import (
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// Plan decides what goes wrong with an entry. It is called once for each, in their order.
type Plan func(Operation) Fault

// Operation is an entry, as a Plan sees it.
type Operation struct {
	Kind   ring.Op
	Nth    int  // among those of its kind, and on such a target, on the queue, from 0
	Bytes  int  // that it is to move at most; 0 if a buffer of a group says how many
	Target Kind // of its descriptor

	Multishot  bool
	Group      bool // it takes its memory from a buffer group
	DontWait   bool // MSG_DONTWAIT
	Linked     bool // the next entry begins when this one has ended
	HardLinked bool // even if it has failed
	Chained    bool // it is linked to the next entry or to the one before
}

// Fault is what goes wrong with an entry. The zero Fault is nothing.
//
// What the kernel could not do is not done: a datagram is not cut, and what is linked to
// another entry moves all of its bytes or fails.
type Fault struct {
	// Errno is what the entry answers. It is not performed, but for a close, which is
	// and may fail all the same.
	Errno syscall.Errno

	// Limit is the number of bytes that it moves at most, if not zero.
	Limit int

	// Delay is the number of rounds by which its completions come late. A round is an
	// Enter, or one of the short waits that an Enter consists of while completions are
	// late.
	Delay int

	// Ends is the number of completions after which a multishot ends, if not zero: with
	// Errno, which it then is performed for, or else with the last of them.
	Ends int

	// Overflow makes the completion queue overflow when the entry is submitted.
	Overflow bool
}

// Kind is what a descriptor is.
type Kind uint8

const (
	Other   Kind = iota // none, a device, or what has no bytes to cut
	Stream              // a stream socket
	Packets             // a socket that keeps messages apart
	Listening
	Pipe
	File   // a regular file
	Direct // a regular file with O_DIRECT
)

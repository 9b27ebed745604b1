package proactortest

import (
	"github.com/goproactor/goproactor/internal/faultqueue"
	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/proactor"
)

// Fault is a class of what may go wrong with operations, for Faults. Several are
// combined with |.
type Fault uint

const (
	// ShortReads has a receive or a read get only a part of what there is. Messages are
	// not cut.
	ShortReads = Fault(faultqueue.ShortReads)

	// ShortWrites has a send or a write take only a part at a time. Messages, and writes
	// to a pipe of up to 4096 bytes, are not cut.
	ShortWrites = Fault(faultqueue.ShortWrites)

	// Delays has results come late, and others overtake them.
	Delays = Fault(faultqueue.Delays)

	// Interrupts has operations end with EINTR and EAGAIN, as a signal and a descriptor
	// that others have made non-blocking do it. The library tries again.
	Interrupts = Fault(faultqueue.Interrupts)

	// Shortages has a receive find no free buffer, an accept no descriptor (EMFILE,
	// ENFILE, ENOBUFS, ENOMEM) or a connection that is gone (ECONNABORTED), and a
	// SendZeroCopy no memory. The library tries again, or does without.
	Shortages = Fault(faultqueue.Shortages)

	// Endings has what goes on by itself, such as accepting and receiving, end when it
	// need not. The library begins it again.
	Endings = Fault(faultqueue.Endings)

	// Overflows has more results come than the completion queue of a loop has room for.
	Overflows = Fault(faultqueue.Overflows)

	// Errors has operations fail: receives and sends with ECONNRESET, EPIPE, ETIMEDOUT,
	// ENOBUFS or ENOMEM, connects with ECONNREFUSED and others, what concerns files with
	// EIO, ENOSPC, EDQUOT or ENOMEM, what makes a descriptor with EMFILE or ENFILE.
	Errors = Fault(faultqueue.Errors)

	// Harmless is what a program need not notice: all classes but Errors. What comes in
	// on a stream comes in smaller pieces, as it may anyway.
	Harmless = ShortReads | ShortWrites | Delays | Interrupts | Shortages | Endings | Overflows

	// AllFaults is all classes.
	AllFaults = Harmless | Errors
)

// Faults has the operations of a runtime go wrong as the kernel might let them go wrong,
// now and then, on either backend. It is an option of Start, Serve and the others:
//
//	conn := proactortest.Serve(t, handler, proactortest.Faults(seed))
//
// Without classes they are Harmless: a handler that is right does what it does anyway.
// With Errors it has to end with an error instead of the rest of its work, and to leave
// nothing behind.
//
// What goes wrong with an operation depends on the seed, on its kind, and on how many of
// that kind the loop had before: a seed that fails fails again, as far as the kernel and
// the Go scheduler let operations come in the same order. Some seeds make many faults of
// a class, others few or none, so try some dozen.
func Faults(seed uint64, classes ...Fault) proactor.Option {
	all := Fault(0)
	for _, class := range classes {
		all |= class
	}
	if all == 0 {
		all = Harmless
	}
	plan := func(loop int) faultqueue.Plan { return faultqueue.Random(seed, loop, faultqueue.Class(all)) }
	return queuehook.Option(proactor.Option(nil), faultqueue.Hook(plan))
}

package faultqueue

import (
	"math/bits"
	"math/rand/v2"
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// Class is a set of classes of faults.
type Class uint

const (
	ShortReads  Class = 1 << iota // receives and reads get a part of what there is
	ShortWrites                   // sends and writes take a part
	Delays                        // completions come late, and others overtake them
	Interrupts                    // EINTR and EAGAIN, after which one tries again
	Shortages                     // no buffer of a group is free, no descriptor for an accept
	Endings                       // multishots end
	Overflows                     // the completion queue overflows
	Errors                        // EIO, ENOSPC, ENOMEM and so on

	end // of the classes
)

const (
	// All is every class.
	All = end - 1
	// Harmless is those that a program does not see: it gets the same results. With
	// ShortReads it gets the same bytes, in smaller pieces.
	Harmless = All &^ (Errors | ShortReads)
)

// Random makes the plan of one queue. Equal arguments make equal plans: what goes wrong
// with an entry depends on them and on how many of its kind came before, and on nothing
// else.
func Random(seed uint64, queue int, classes Class) Plan {
	p := &random{seed: seed, queue: uint64(queue)}
	r := p.source(Operation{}, 0)
	for i := range bits.Len(uint(classes)) {
		// Some seeds make many faults of a class, others few or none.
		if classes&(1<<i) != 0 {
			p.rates[i] = rates[r.IntN(len(rates))]
		}
	}
	return p.fault
}

// rates are of how many entries, on average, one goes wrong; 0 is never.
var rates = [...]int{0, 2, 4, 16, 64}

// overflowRate is that of overflows, which cost thousands of entries, and errorRate that
// of errors, after which little goes on: so many times the others.
const (
	overflowRate = 64
	errorRate    = 8
)

type random struct {
	seed, queue uint64
	rates       [32]int // of each class
}

// source is random numbers for the n-th entry like o.
func (p *random) source(o Operation, n int) *rand.Rand {
	return rand.New(rand.NewPCG(p.seed, p.queue<<48|uint64(o.Kind)<<40|uint64(o.Target)<<32|uint64(n)))
}

func (p *random) fault(o Operation) (f Fault) {
	r := p.source(o, o.Nth+1)
	happens := func(class Class, times int) bool {
		rate := p.rates[bits.TrailingZeros(uint(class))]
		return rate > 0 && r.IntN(rate*times) == 0
	}
	if happens(Delays, 1) {
		f.Delay = 1 << r.IntN(7)
	}
	f.Overflow = happens(Overflows, overflowRate)
	if f.Limit = limit(r, o.Bytes); !happens(lengthClass(o.Kind), 1) {
		f.Limit = 0
	}
	if o.Multishot && happens(Endings, 1) {
		f.Ends = 1 + r.IntN(3)
	}
	switch {
	case happens(Interrupts, 2):
		f.Errno = pick(r, interrupts(o))
	case happens(Shortages, 2):
		f.Errno = pick(r, shortages(o))
	case happens(Errors, errorRate):
		f.Errno = pick(r, failures[o.Kind])
	}
	return f
}

// lengthClass is the class of short transfers of that kind.
func lengthClass(kind ring.Op) Class {
	if writes(kind) && kind != ring.OpSplice && kind != ring.OpTee {
		return ShortWrites
	}
	return ShortReads
}

// limit is a part of n bytes: never so small that the whole takes very many parts.
func limit(r *rand.Rand, n int) int {
	if n == 0 {
		n = unknownSize
	}
	n >>= r.IntN(7)
	return 1 + r.IntN(max(n, 1))
}

func pick(r *rand.Rand, some []syscall.Errno) syscall.Errno {
	if len(some) == 0 {
		return 0
	}
	return some[r.IntN(len(some))]
}

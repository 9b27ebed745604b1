package differential

import (
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
)

// faulty is a queue with a fault put in, between entries and kernel.
type faulty struct {
	ring.Queue
	entries  []*ring.SQE
	onSubmit func([]*ring.SQE)
	onReap   func([]ring.CQE) []ring.CQE
	swallow  int // completions the fault kept back
}

// Next hands out an entry that is copied to the kernel's at Enter.
func (f *faulty) Next() *ring.SQE {
	e := new(ring.SQE)
	f.entries = append(f.entries, e)
	return e
}

func (f *faulty) Reserve(n int) error { return f.Queue.Reserve(n) }

func (f *faulty) Enter(wait time.Duration) error {
	if f.onSubmit != nil {
		f.onSubmit(f.entries)
	}
	for _, e := range f.entries {
		*f.Queue.Next() = *e
	}
	f.entries = nil
	return f.Queue.Enter(wait)
}

func (f *faulty) Reap(dst []ring.CQE) int {
	n := f.Queue.Reap(dst)
	if f.onReap == nil {
		return n
	}
	kept := f.onReap(dst[:n])
	f.swallow += n - len(kept)
	return len(kept)
}

func (f *faulty) InFlight() int { return f.Queue.InFlight() + len(f.entries) + f.swallow }

// mapped applies a change to every completion; false drops it.
func mapped(change func(c *ring.CQE) bool) func([]ring.CQE) []ring.CQE {
	return func(list []ring.CQE) []ring.CQE {
		kept := list[:0]
		for _, c := range list {
			if change(&c) {
				kept = append(kept, c)
			}
		}
		return kept
	}
}

// swapSends lets a send overtake the one before it.
func swapSends(list []*ring.SQE) {
	for i := 1; i < len(list); i++ {
		a, b := (*queueabi.SQE)(list[i-1]).Entry(), (*queueabi.SQE)(list[i]).Entry()
		if ring.Op(a.Opcode) == ring.OpSend && ring.Op(b.Opcode) == ring.OpSend && a.FD == b.FD && a.Flags == b.Flags {
			*a, *b = *b, *a
			return
		}
	}
}

// faults are what the comparison must find, each within some programs.
var faults = map[string]func(*faulty){
	"drops F_MORE": func(f *faulty) {
		f.onReap = mapped(func(c *ring.CQE) bool {
			*c = ring.CQE(queueabi.NewCQE(c.UserData(), c.Result(), c.Flags()&^ring.CQEFMore))
			return true
		})
	},
	"swaps two sends": func(f *faulty) { f.onSubmit = swapSends },
	"loses one completion": func(f *faulty) {
		n := 0
		f.onReap = mapped(func(*ring.CQE) bool { n++; return n != 3 })
	},
	"delivers one completion twice": func(f *faulty) {
		done := false
		f.onReap = func(list []ring.CQE) []ring.CQE {
			if done || len(list) == 0 || len(list) == cap(list) {
				return list
			}
			done = true
			return append(list, list[0])
		}
	},
	"takes ETIME for ECANCELED": func(f *faulty) {
		f.onReap = mapped(func(c *ring.CQE) bool {
			if c.Result() == -62 {
				*c = ring.CQE(queueabi.NewCQE(c.UserData(), -125, c.Flags()))
			}
			return true
		})
	},
	"names the wrong buffer": func(f *faulty) {
		f.onReap = mapped(func(c *ring.CQE) bool {
			if c.Flags()&ring.CQEFBuffer != 0 {
				*c = ring.CQE(queueabi.NewCQE(c.UserData(), c.Result(), c.Flags()^1<<16))
			}
			return true
		})
	},
	"breaks hard links": func(f *faulty) {
		f.onSubmit = func(list []*ring.SQE) {
			for _, e := range list {
				if s := (*queueabi.SQE)(e).Entry(); s.Flags&ring.SQEHardLink != 0 {
					s.Flags = s.Flags&^ring.SQEHardLink | ring.SQELink
				}
			}
		}
	},
	"counts a byte too few": func(f *faulty) {
		f.onReap = mapped(func(c *ring.CQE) bool {
			if c.Result() > 50 {
				*c = ring.CQE(queueabi.NewCQE(c.UserData(), c.Result()-1, c.Flags()))
			}
			return true
		})
	},
}

// TestFaultsAreFound proves that the test can fail: each fault is found, and
// shrunk to a few entries.
func TestFaultsAreFound(t *testing.T) {
	requireKernelOf(t, socketsMajor, socketsMinor)
	for name, inject := range faults {
		t.Run(name, func(t *testing.T) {
			open := func() (ring.Queue, error) {
				q, err := openKernel()
				f := &faulty{Queue: q}
				inject(f)
				return f, err
			}
			small, v := firstFault(t, open)
			require.NotNil(t, small, "not found in 400 programs")
			entries := 0
			for _, s := range small.Steps {
				entries += len(s.Entries)
			}
			require.LessOrEqual(t, entries, 6, "not shrunk:\n%v", small)
			t.Logf("%v\n%v%s", v.difference, small, SideBySide(v.kernel, v.other))
		})
	}
}

// firstFault looks for a program that differs, and shrinks it.
func firstFault(t *testing.T, open Open) (*Program, verdict) {
	for seed := uint64(1); seed <= 400; seed++ {
		p := Generate(seed)
		if v := judge(t, p, open); v.difference == nil || v.wavering || v.passing {
			continue
		}
		small := Shrink(p, 200, func(p *Program) bool { return differs(t, p, open) })
		return small, compared(t, small, open)
	}
	return nil, verdict{}
}

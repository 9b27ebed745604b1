package library

import (
	"os"
	"slices"
)

// filePlan waits for each step, except for those that may run beside others: reads and
// writes at one cursor, whose order is that of the calls, and a close behind them; reads
// at offsets; writes of different ranges.
type filePlan struct {
	late   []*Step
	opened map[int]int  // flags of the handle; -1 once it is closed, -2 if it was one to append to
	zeros  map[int]bool // it is of a device of zeros
}

func planFiles(p *Program) []planned {
	plan := make([]planned, len(p.Steps))
	f := filePlan{opened: map[int]int{}, zeros: map[int]bool{}}
	for i := range p.Steps {
		s, now := &p.Steps[i], &plan[i]
		if now.skip = !f.runs(s); now.skip {
			continue
		}
		if !f.fits(s) {
			for _, l := range f.late {
				now.before = append(now.before, l.ID)
			}
			f.late = nil
		}
		if s.Late && f.fits(s) && s.class() != apart {
			f.late = append(f.late, s)
			continue
		}
		for _, l := range f.late {
			now.after = append(now.after, l.ID)
		}
		now.after = append(now.after, s.ID)
		f.late = nil
	}
	for _, l := range f.late {
		awaitAtEnd(plan, []int{l.ID})
	}
	return plan
}

// runs says that a step has a defined result.
func (f *filePlan) runs(s *Step) bool {
	flags, opened := f.opened[s.On]
	if s.Ended && !s.Verb.repeatable(s.Flags) {
		return false
	}
	switch {
	case s.Verb == Open:
		if opened && flags >= 0 {
			return false
		}
		f.opened[s.On], f.zeros[s.On] = s.Flags, s.ofZeros()
	case s.Verb.ofNames():
	case !opened:
		return false
	case f.zeros[s.On] && s.N > zeroPage && s.readsOnce():
		return false
	case f.zeros[s.On] && s.Verb == WriteNext && s.N == 0:
		return false // with no bytes io_uring does not ask a driver, of which that of /dev/full has an error
	case flags < 0 && (s.N == 0 || s.Off < 0) && (s.class() == readsAtOffset || s.class() == writesAtOffset):
		return false // package os does not look whether the file is open
	case flags == -2 && s.class() == writesAtOffset:
		return false // there are two reasons to refuse it
	case s.Verb == CloseFile:
		f.opened[s.On] = -1 // may be opened again
		if flags&os.O_APPEND != 0 {
			f.opened[s.On] = -2
		}
	case s.Verb == Chain:
		// A chain with a step that cannot be right does not begin, where single calls would
		// get as far as that one. Package os does not make calls for no bytes.
		appends := (flags|s.Flags)&os.O_APPEND != 0
		return flags >= 0 && !appends && s.Off >= 0 && s.N > 0
	case s.Verb == AdoptFile:
		return flags >= 0 && flags&os.O_APPEND == 0
	}
	return true
}

// zeroPage is how many bytes one read of /dev/zero or /dev/full has for certain: after a page
// it may end, because of a signal or because others wait for the processor.
const zeroPage = 4096

// ofZeros says that an Open is of such a device.
func (s *Step) ofZeros() bool {
	name := tree{}.any(s.Name)
	return name == "/dev/zero" || name == "/dev/full"
}

// readsOnce says that what one read(2) returns is the result, or a part of it.
func (s *Step) readsOnce() bool {
	if s.Verb != Chain {
		return s.Verb == ReadNext
	}
	return slices.ContainsFunc(chainOf(s), func(k link) bool { return k.verb == ReadAt || k.verb == ReadNext })
}

// repeatable says that a call that was canceled can be made again, whatever it did.
func (v Verb) repeatable(flags int) bool {
	switch v {
	case ReadAt, WriteAt, ReadVector, WriteVector, Sync, Stat, StatName, LstatName, Truncate:
		return true
	case Open:
		return flags&os.O_EXCL == 0
	}
	return false
}

// What may run beside each other.
const (
	apart = iota
	atCursor
	readsAtOffset
	writesAtOffset
)

func (s *Step) class() int {
	switch s.Verb {
	case ReadNext, WriteNext, CloseFile:
		return atCursor
	case ReadAt, ReadVector:
		return readsAtOffset
	case WriteAt, WriteVector:
		return writesAtOffset
	}
	return apart
}

// fits says that a step may begin beside those that go on.
func (f *filePlan) fits(s *Step) bool {
	for _, l := range f.late {
		switch {
		case l.class() != s.class(), s.class() == apart, l.Verb == CloseFile:
			return false
		case s.class() == atCursor && l.On != s.On:
			return false
		case s.class() == writesAtOffset && s.Off < l.Off+int64(l.N) && l.Off < s.Off+int64(s.N):
			return false
		}
	}
	return true
}

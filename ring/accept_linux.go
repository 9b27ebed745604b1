package ring

import "slices"

// acceptSet is the user data of the accepts, opens and sockets in flight, once for each.
// A completion does not say what its operation was, and the descriptor that an
// accept or open brings must not be lost when Close discards it. A loop has few
// accepts in flight, and those are multishots, and seldom an open: a slice is
// cheaper than a map.
type acceptSet []uint64

// remove forgets one accept with that user data, if there is one.
func (s *acceptSet) remove(userData uint64) {
	if i := slices.Index(*s, userData); i >= 0 {
		last := len(*s) - 1
		(*s)[i] = (*s)[last]
		*s = (*s)[:last]
	}
}

// opRefused is no operation: the kernel answers EINVAL and starts nothing of the
// chain.
const opRefused = Op(255)

func (s acceptSet) has(userData uint64) bool { return slices.Contains(s, userData) }

// brings reports whether the result of an entry is a descriptor. What goes into
// the table of direct descriptors (SpliceFD) has a slot instead.
func (f *Fields) brings() bool {
	switch f.Opcode {
	case OpAccept, OpOpenat, OpSocket:
		return f.SpliceFD == 0
	case OpFixedFDInstall:
		return true
	}
	return false
}

// examine looks at the entries that are handed over for the first time: it adds
// those among them that bring a descriptor or use a cursor, and refuses what the
// kernel takes to no good.
func (r *Ring) examine() {
	linked, chain := false, 0
	for ; r.noted != r.tail; r.noted++ {
		f := r.m.sqes[r.noted&r.sqMask].Fields()
		if linked && f.Opcode == OpSendZC {
			f.Opcode = opRefused
		}
		if !linked {
			chain = len(r.cursors)
		}
		linked = f.Flags&(SQELink|SQEHardLink) != 0
		stored := f.atCursor() && isStored(f.FD)
		if stored {
			r.noteCursor(f, chain)
		}
		if !r.staffed && (stored || f.mayNeedWorker()) {
			r.staff()
		}
		if f.brings() {
			r.accepts = append(r.accepts, f.UserData)
		}
	}
}

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

// examine looks at the entries that are handed over for the first time: it adds
// those among them that bring a descriptor, and refuses what the kernel takes to
// no good.
func (r *Ring) examine() {
	linked := false
	for ; r.noted != r.tail; r.noted++ {
		f := r.m.sqes[r.noted&r.sqMask].Fields()
		if linked && f.Opcode == OpSendZC {
			f.Opcode = opRefused
		}
		linked = f.Flags&(SQELink|SQEHardLink) != 0
		if f.Opcode.Brings() > 0 && f.SpliceFD == 0 { // else it has a slot
			r.accepts = append(r.accepts, f.UserData)
		}
	}
}

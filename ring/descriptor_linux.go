package ring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// expected is the entries in flight that bring descriptors, by their user data. A
// completion does not say what its operation was, and the descriptors that one
// brings must not be lost when Close discards it.
//
// It is a hash table with linear probing: as every completion looks into it while
// it is not empty, finding one must not depend on how many there are.
type expected struct {
	places []expectation // a power of two of them, at most half in use
	used   int
	shift  uint // that makes a place of a hash
}

// expectation is the entries with one user data. No place is in use if count is 0.
type expectation struct {
	userData uint64
	ends     uint64 // where a pipe's descriptors will stand; 0 if they come in the result
	count    uint32
}

// smallestShift makes a table of 16 places.
const smallestShift = 64 - 4

// home is the place where the search for a user data begins. The multiplier is
// 2^64 divided by the golden ratio, which spreads numbers that follow each other.
func (x *expected) home(userData uint64) int {
	return int(userData * 0x9e3779b97f4a7c15 >> x.shift)
}

// find is the place of a user data, or the free one where it belongs.
func (x *expected) find(userData uint64) int {
	mask := len(x.places) - 1
	i := x.home(userData)
	for x.places[i].count != 0 && x.places[i].userData != userData {
		i = (i + 1) & mask
	}
	return i
}

// at is what is noted of a user data, nil if nothing is.
func (x *expected) at(userData uint64) *expectation {
	if x.used > 0 {
		if p := &x.places[x.find(userData)]; p.count != 0 {
			return p
		}
	}
	return nil
}

// add notes an entry.
func (x *expected) add(userData, ends uint64) {
	if 2*(x.used+1) > len(x.places) {
		x.grow()
	}
	p := &x.places[x.find(userData)]
	if p.count == 0 {
		p.userData = userData
		x.used++
	}
	p.ends = ends
	p.count++
}

func (x *expected) grow() {
	old := x.places
	if x.shift--; old == nil {
		x.shift = smallestShift
	}
	x.places = make([]expectation, 1<<(64-x.shift))
	for _, p := range old {
		if p.count != 0 {
			x.places[x.find(p.userData)] = p
		}
	}
}

// remove forgets one entry with that user data, if there is one.
func (x *expected) remove(userData uint64) {
	i := x.find(userData)
	p := &x.places[i]
	if p.count == 0 {
		return
	}
	if p.count--; p.count == 0 {
		x.used--
		x.closeGap(i)
	}
}

// closeGap moves up those behind a place that became free, up to the next free
// one, unless that would put them before their home.
func (x *expected) closeGap(gap int) {
	mask := len(x.places) - 1
	for i := (gap + 1) & mask; x.places[i].count != 0; i = (i + 1) & mask {
		if home := x.home(x.places[i].userData); (i-home)&mask >= (i-gap)&mask {
			x.places[gap], x.places[i] = x.places[i], expectation{}
			gap = i
		}
	}
}

// noteEntries looks at the entries that are handed over for the first time: it notes
// those that bring descriptors or use a cursor, and has those that must not reach
// the kernel fail.
func (r *Ring) noteEntries() {
	linked, chain := false, 0
	for ; r.noted != r.tail; r.noted++ {
		e := r.m.sqes[r.noted&r.sqMask].entry()
		if linked && Op(e.Opcode) == OpSendZC {
			e.Opcode = uint8(opRefused)
		}
		if !linked {
			chain = len(r.cursors)
		}
		linked = e.Flags&(SQELink|SQEHardLink) != 0
		stored := atCursor(e) && r.noteCursor(e, chain)
		switch worker := stored || mayNeedWorker(e); {
		case r.polled():
			r.submitter.note(e, worker)
		case !r.workersReady && (worker || flushes(e)):
			r.ensureWorkers()
		}
		if r.hidesRestart && !transfers(e) && mayNeedWorker(e) {
			r.onWorkers.add(e.UserData, 0)
		}
		switch brings := Op(e.Opcode).Brings(); {
		case brings == 0 || e.SpliceFD != 0: // it has a slot
		case brings == 1:
			r.expected.add(e.UserData, 0)
		default:
			r.expected.add(e.UserData, e.Addr)
		}
	}
}

// opRefused is no operation: the kernel answers EINVAL and starts nothing of the
// chain.
const opRefused = Op(255)

// discard reaps everything, and closes the descriptors that it brings.
func (r *Ring) discard() (n int) {
	var c [1]CQE
	for r.collect(c[:]) > 0 {
		if r.submitter.swept(c[0].UserData()) {
			n-- // it is none of those that have to end
		}
		if p := r.expected.at(c[0].UserData()); p != nil && c[0].Result() >= 0 {
			closeBrought(p.ends, c[0].Result())
		}
		r.account(c[:])
		n++
	}
	return n
}

// closeBrought closes a descriptor that came in a result, or the two at ends. The
// program keeps that memory reachable until it has reaped the completion.
func closeBrought(ends uint64, result int32) {
	if ends == 0 {
		unix.Close(int(result))
		return
	}
	address := uintptr(ends)
	for _, fd := range **(**[2]int32)(unsafe.Pointer(&address)) {
		unix.Close(int(fd))
	}
}

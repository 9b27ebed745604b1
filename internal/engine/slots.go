package engine

// slots turns user data back into the operation it stands for, and keeps that
// operation, and so the memory it hangs on to, reachable while the kernel may
// touch it. User data is a slot's index and the generation of its use: data of
// an earlier generation finds nothing, so a late completion is never delivered
// to a stranger.
//
// The zero value is an empty table.
type slots struct {
	pages []*[slotsPerPage]slot
	free  uint32 // index + 1 of the first free slot, 0 when there is none
	used  int
}

// slotsPerPage is how many slots the table grows by. One array that moves when
// it grows would leave several times its size behind as garbage.
const slotsPerPage = 256

// slot is free when it has no operation.
type slot struct {
	op         Operation
	generation uint32
	next       uint32 // index + 1 of the next free slot
}

// Put stores op and returns the user data that finds it again. It allocates
// only when the table grows.
func (s *slots) Put(op Operation) uint64 {
	if s.free == 0 {
		s.grow()
	}
	i := s.free - 1
	e := s.at(i)
	s.free = e.next
	e.op = op
	s.used++
	return uint64(e.generation)<<32 | uint64(i)
}

// grow adds a page of free slots.
func (s *slots) grow() {
	first := uint32(len(s.pages)) * slotsPerPage
	page := new([slotsPerPage]slot)
	for i := range uint32(slotsPerPage - 1) {
		page[i].next = first + i + 2
	}
	s.pages = append(s.pages, page)
	s.free = first + 1
}

// at is the slot of an index that there is.
func (s *slots) at(i uint32) *slot {
	return &s.pages[i/slotsPerPage][i%slotsPerPage]
}

// Get finds what userData stands for; false if that use of the slot is over.
func (s *slots) Get(userData uint64) (op Operation, ok bool) {
	i := uint32(userData)
	if uint64(i) >= uint64(len(s.pages))*slotsPerPage {
		return nil, false
	}
	e := s.at(i)
	if e.op == nil || e.generation != uint32(userData>>32) {
		return nil, false
	}
	return e.op, true
}

// Remove ends the use of a slot; false if it was over.
func (s *slots) Remove(userData uint64) bool {
	if _, ok := s.Get(userData); !ok {
		return false
	}
	e := s.at(uint32(userData))
	e.op = nil
	// All ones is what a queue uses for entries of its own.
	if e.generation++; e.generation == 1<<32-1 {
		e.generation = 0
	}
	e.next = s.free
	s.free = uint32(userData) + 1
	s.used--
	return true
}

// data is the user data of the present use of the slot at i.
func (s *slots) data(i uint32) uint64 {
	return uint64(s.at(i).generation)<<32 | uint64(i)
}

// Len counts the slots in use.
func (s *slots) Len() int { return s.used }

// Each calls fn for every slot in use. fn must not change the table.
func (s *slots) Each(fn func(userData uint64, op Operation)) {
	for p, page := range s.pages {
		for i := range page {
			if e := &page[i]; e.op != nil {
				fn(uint64(e.generation)<<32|uint64(p*slotsPerPage+i), e.op)
			}
		}
	}
}

package ring

// Slots turns user data back into the operation it stands for, and keeps that
// operation, and so the memory it hangs on to, reachable while the kernel may
// touch it. User data is a slot's index and the generation of its use: data of
// an earlier generation finds nothing, so a late completion is never delivered
// to a stranger.
//
// The zero value is an empty table. It belongs to one goroutine.
type Slots[T any] struct {
	pages []*[slotsPerPage]slot[T]
	free  uint32 // index + 1 of the first free slot, 0 when there is none
	used  int
}

// slotsPerPage is how many slots the table grows by. One array that moves when
// it grows would leave several times its size behind as garbage.
const slotsPerPage = 256

type slot[T any] struct {
	value      T
	generation uint32
	next       uint32 // index + 1 of the next free slot
	taken      bool
}

// Put stores v and returns the user data that finds it again. It allocates
// only when the table grows.
func (s *Slots[T]) Put(v T) uint64 {
	if s.free == 0 {
		s.grow()
	}
	i := s.free - 1
	e := s.at(i)
	s.free = e.next
	e.value, e.taken = v, true
	s.used++
	return uint64(e.generation)<<32 | uint64(i)
}

// grow adds a page of free slots.
func (s *Slots[T]) grow() {
	first := uint32(len(s.pages)) * slotsPerPage
	page := new([slotsPerPage]slot[T])
	for i := range uint32(slotsPerPage - 1) {
		page[i].next = first + i + 2
	}
	s.pages = append(s.pages, page)
	s.free = first + 1
}

// at is the slot of an index that there is.
func (s *Slots[T]) at(i uint32) *slot[T] {
	return &s.pages[i/slotsPerPage][i%slotsPerPage]
}

// Get finds what userData stands for; false if that use of the slot is over.
func (s *Slots[T]) Get(userData uint64) (v T, ok bool) {
	i := uint32(userData)
	if uint64(i) >= uint64(len(s.pages))*slotsPerPage {
		return v, false
	}
	e := s.at(i)
	if !e.taken || e.generation != uint32(userData>>32) {
		return v, false
	}
	return e.value, true
}

// Remove ends the use of a slot; false if it was over already.
func (s *Slots[T]) Remove(userData uint64) bool {
	if _, ok := s.Get(userData); !ok {
		return false
	}
	e := s.at(uint32(userData))
	var zero T
	e.value, e.taken = zero, false
	// 0xffff_ffff is the upper half of ReservedUserData: skip it.
	if e.generation++; e.generation == 1<<32-1 {
		e.generation = 0
	}
	e.next = s.free
	s.free = uint32(userData) + 1
	s.used--
	return true
}

// Len counts the slots in use.
func (s *Slots[T]) Len() int { return s.used }

// ReservedUserData is user data that Slots never gives out; a queue uses it
// for entries of its own.
const ReservedUserData = ^uint64(0)

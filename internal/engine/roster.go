package engine

import "github.com/goproactor/goproactor/internal/slab"

// Roster is a list whose members leave in any order, in constant time.
type Roster[T any] []listed[T]

type listed[T any] struct {
	member T
	place  *RosterPlace
}

// RosterPlace is a field of each member: its position in its roster, plus one.
type RosterPlace int32

// Listed reports whether the member is in a roster.
func (p RosterPlace) Listed() bool { return p != 0 }

// Add appends m, which is in no roster. place is m's.
func (r *Roster[T]) Add(m T, place *RosterPlace) {
	*r = append(slab.Room(*r), listed[T]{m, place})
	*place = RosterPlace(len(*r))
}

// Remove takes out the member of that place. It does nothing for one that is not listed.
func (r *Roster[T]) Remove(place *RosterPlace) {
	if !place.Listed() {
		return
	}
	last := len(*r) - 1
	moved := (*r)[last]
	(*r)[*place-1] = moved
	*moved.place = *place
	clear((*r)[last:])
	*r = (*r)[:last]
	*place = 0
}

// Each calls fn with all there are at this moment; fn may add and remove.
func (r Roster[T]) Each(fn func(T)) {
	for _, l := range append(Roster[T](nil), r...) {
		fn(l.member)
	}
}

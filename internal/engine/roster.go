package engine

import "github.com/goproactor/goproactor/internal/slab"

// Member is something in a Roster.
type Member interface {
	// Place is where the roster keeps the member's position: embed RosterPlace.
	Place() *int32
}

// RosterPlace is embedded by each Member: its position in its roster, plus one.
type RosterPlace int32

// Place implements Member.
func (p *RosterPlace) Place() *int32 { return (*int32)(p) }

// Roster is a list whose members leave in any order, in constant time.
type Roster[T Member] []T

// Add appends m, which is in no roster.
func (r *Roster[T]) Add(m T) {
	*r = append(slab.Room(*r), m)
	*m.Place() = int32(len(*r))
}

// Remove does nothing for what is not listed.
func (r *Roster[T]) Remove(m T) {
	at := m.Place()
	if *at == 0 {
		return
	}
	last := len(*r) - 1
	moved := (*r)[last]
	(*r)[*at-1] = moved
	*moved.Place() = *at
	clear((*r)[last:])
	*r = (*r)[:last]
	*at = 0
}

// Each calls fn with all there are at this moment; fn may add and remove.
func (r Roster[T]) Each(fn func(T)) {
	for _, m := range append(Roster[T](nil), r...) {
		fn(m)
	}
}

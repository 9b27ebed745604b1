// Package slab allocates many values of a type at a time.
package slab

// Slab is where new values of a pool come from that keeps what it has. An array of many
// takes its own bytes only: what comes one by one from the allocator is rounded up to a
// size class, and shares its pages with what describes them. What is not used yet
// takes no memory.
//
// The zero value is an empty slab.
type Slab[T any] struct{ rest []T }

// New returns a zero value. Every count-th call allocates.
func (s *Slab[T]) New(count int) *T {
	if len(s.rest) == 0 {
		s.rest = make([]T, count)
	}
	v := &s.rest[0]
	s.rest = s.rest[1:]
	return v
}

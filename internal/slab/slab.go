// Package slab allocates many values of a type at a time.
package slab

import "slices"

// Slab is where new values of a pool come from that keeps what it has. An array of many
// takes its own bytes only: what comes one by one from the allocator is rounded up to a
// size class, and shares its pages with what describes them. What is not used yet
// takes no memory.
//
// The zero value is an empty slab.
type Slab[T any] struct{ rest []T }

// Room returns s with room for one more at least. A slice that is full gets four times its
// capacity: what a small step would leave behind takes memory, what is not used yet does not.
func Room[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return slices.Grow(s, 3*len(s)+1)
}

// New returns a zero value. Every count-th call allocates.
func (s *Slab[T]) New(count int) *T {
	if len(s.rest) == 0 {
		s.rest = make([]T, count)
	}
	v := &s.rest[0]
	s.rest = s.rest[1:]
	return v
}

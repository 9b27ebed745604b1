package epollfallback

// slabs are where new operations and descriptors come from. Queues keep theirs and pool
// them, so a large array of them costs nothing but its own bytes: what comes one by one
// from the allocator is rounded up, and shares its pages with what describes them.
type slabs struct {
	operations  []operation
	descriptors []descriptor
}

// slabLength is how many there are in one. It makes a slab whole pages, above the size
// from which the allocator puts a header into each, so that an operation is two lines
// of the cache. What is not used yet takes no memory.
const slabLength = 512

func (s *slabs) operation() *operation {
	if len(s.operations) == 0 {
		s.operations = make([]operation, slabLength)
	}
	op := &s.operations[0]
	s.operations = s.operations[1:]
	return op
}

func (s *slabs) descriptor() *descriptor {
	if len(s.descriptors) == 0 {
		s.descriptors = make([]descriptor, slabLength)
	}
	d := &s.descriptors[0]
	s.descriptors = s.descriptors[1:]
	return d
}

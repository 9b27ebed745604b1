// Package timerheap has the heap in which loops and queues keep what waits for a
// moment.
package timerheap

// Heap orders entries by time, and those of one moment by when they were added. It
// has four children a node, shallower than a binary heap and kinder to the cache.
// Adding, moving and removing take O(log n) and allocate only when the heap grows.
type Heap[T any] struct {
	nodes []node[T]
	added uint64
}

// Entry is embedded in what waits. It may be added again once it is out.
type Entry[T any] struct {
	Owner T     // to be set before it is added
	at    int64 // only the owner's unit and origin give it a meaning
	order uint64
	index int // position in the heap + 1, 0 when not in it
}

// Armed reports whether the entry is in a heap.
func (e *Entry[T]) Armed() bool { return e.index != 0 }

// At is the moment for which it was added last.
func (e *Entry[T]) At() int64 { return e.at }

// node repeats the time beside the pointer: comparing nodes of different moments
// follows none.
type node[T any] struct {
	at    int64
	entry *Entry[T]
}

func (n *node[T]) before(other *node[T]) bool {
	return n.at < other.at || n.at == other.at && n.entry.order < other.entry.order
}

const arity = 4

// Len counts the entries.
func (h *Heap[T]) Len() int { return len(h.nodes) }

// First is the entry whose moment comes first, nil if there is none.
func (h *Heap[T]) First() *Entry[T] {
	if len(h.nodes) == 0 {
		return nil
	}
	return h.nodes[0].entry
}

// Add adds e for a moment; if it is in the heap, it moves.
func (h *Heap[T]) Add(e *Entry[T], at int64) {
	h.added++
	e.at, e.order = at, h.added
	n := node[T]{at, e}
	if e.index == 0 {
		h.nodes = append(h.nodes, n)
		e.index = len(h.nodes)
		h.up(len(h.nodes) - 1)
		return
	}
	i := e.index - 1
	h.nodes[i] = n
	if !h.up(i) {
		h.down(i)
	}
}

// Remove takes e out; false if it was not in the heap.
func (h *Heap[T]) Remove(e *Entry[T]) bool {
	if e.index == 0 {
		return false
	}
	i, last := e.index-1, len(h.nodes)-1
	e.index = 0
	moved := h.nodes[last]
	h.nodes[last] = node[T]{}
	h.nodes = h.nodes[:last]
	if i < last {
		h.place(i, moved)
		if !h.up(i) {
			h.down(i)
		}
	}
	return true
}

func (h *Heap[T]) place(i int, n node[T]) {
	h.nodes[i] = n
	n.entry.index = i + 1
}

// up moves node i towards the root; false if it is where it belongs.
func (h *Heap[T]) up(i int) (moved bool) {
	n := h.nodes[i]
	for i > 0 {
		parent := (i - 1) / arity
		if !n.before(&h.nodes[parent]) {
			break
		}
		h.place(i, h.nodes[parent])
		i, moved = parent, true
	}
	h.place(i, n)
	return moved
}

// down moves node i towards the leaves.
func (h *Heap[T]) down(i int) {
	n := h.nodes[i]
	for {
		first := i*arity + 1
		if first >= len(h.nodes) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(h.nodes)); c++ {
			if h.nodes[c].before(&h.nodes[least]) {
				least = c
			}
		}
		if !h.nodes[least].before(&n) {
			break
		}
		h.place(i, h.nodes[least])
		i = least
	}
	h.place(i, n)
}

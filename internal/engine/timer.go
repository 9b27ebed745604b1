package engine

import (
	"time"

	"github.com/goproactor/goproactor/ring"
)

// Timer is an entry of a loop's heap. It may be embedded, and added again once
// it has expired or was removed.
type Timer struct {
	Expired func(error) // runs on the loop: with nil in time, with the reason when the loop ends first
	at      time.Duration
	index   int // position in the heap + 1, 0 when not in it
}

// timerHeap orders a loop's timers by time: a heap with four children a node,
// shallower than a binary one and kinder to the cache. Adding, moving and
// removing take O(log n) and allocate only when the heap grows.
type timerHeap struct {
	nodes []timerNode
}

// timerNode repeats the time beside the pointer: comparing nodes follows none.
type timerNode struct {
	at    time.Duration
	timer *Timer
}

const timerArity = 4

// add arms t for a moment on the loop's clock; if it is armed, it moves.
func (h *timerHeap) add(t *Timer, at time.Duration) {
	t.at = at
	if t.index == 0 {
		h.nodes = append(h.nodes, timerNode{at, t})
		t.index = len(h.nodes)
		h.up(len(h.nodes) - 1)
		return
	}
	i := t.index - 1
	h.nodes[i].at = at
	if !h.up(i) {
		h.down(i)
	}
}

// remove disarms t; false if it was not armed.
func (h *timerHeap) remove(t *Timer) bool {
	if t.index == 0 {
		return false
	}
	i, last := t.index-1, len(h.nodes)-1
	t.index = 0
	moved := h.nodes[last]
	h.nodes[last] = timerNode{}
	h.nodes = h.nodes[:last]
	if i < last {
		h.place(i, moved)
		if !h.up(i) {
			h.down(i)
		}
	}
	return true
}

// expire runs every timer whose time has come.
func (h *timerHeap) expire(l *Loop) {
	if len(h.nodes) == 0 {
		return
	}
	now := l.Now()
	for len(h.nodes) > 0 && h.nodes[0].at <= now {
		t := h.nodes[0].timer
		h.remove(t)
		t.Expired(nil)
	}
}

// drop ends every timer: the loop ends first.
func (h *timerHeap) drop(reason error) {
	for len(h.nodes) > 0 {
		t := h.nodes[0].timer
		h.remove(t)
		t.Expired(reason)
	}
}

// wait is the time until the next timer: zero if it is due, ring.Forever if
// there is none.
func (h *timerHeap) wait(l *Loop) time.Duration {
	if len(h.nodes) == 0 {
		return ring.Forever
	}
	return max(0, h.nodes[0].at-l.Now())
}

func (h *timerHeap) place(i int, n timerNode) {
	h.nodes[i] = n
	n.timer.index = i + 1
}

// up moves node i towards the root; false if it is where it belongs.
func (h *timerHeap) up(i int) (moved bool) {
	n := h.nodes[i]
	for i > 0 {
		parent := (i - 1) / timerArity
		if h.nodes[parent].at <= n.at {
			break
		}
		h.place(i, h.nodes[parent])
		i, moved = parent, true
	}
	h.place(i, n)
	return moved
}

// down moves node i towards the leaves.
func (h *timerHeap) down(i int) {
	n := h.nodes[i]
	for {
		first := i*timerArity + 1
		if first >= len(h.nodes) {
			break
		}
		least := first
		for c := first + 1; c < min(first+timerArity, len(h.nodes)); c++ {
			if h.nodes[c].at < h.nodes[least].at {
				least = c
			}
		}
		if h.nodes[least].at >= n.at {
			break
		}
		h.place(i, h.nodes[least])
		i = least
	}
	h.place(i, n)
}

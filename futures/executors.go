package futures

import (
	"slices"
	"sync"
	"sync/atomic"
)

// executors are those that have a scheduler. A goroutine that is about to block
// asks them whether it may: one that turns a loop, or runs a task, would hold up
// everything on it, the very thing it waits for included.
var executors registry

type registry struct {
	mu   sync.Mutex
	list atomic.Pointer[[]Executor] // replaced, never changed
}

func (r *registry) all() []Executor {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *registry) add(exec Executor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := append(slices.Clone(r.all()), exec)
	r.list.Store(&list)
}

func (r *registry) remove(exec Executor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.all())
	if i := slices.Index(list, exec); i >= 0 {
		list = slices.Delete(list, i, i+1)
		r.list.Store(&list)
	}
}

// here reports whether the caller is on one of them.
func (r *registry) here() bool {
	return slices.ContainsFunc(r.all(), Executor.Inside)
}

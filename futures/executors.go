package futures

import (
	"slices"
	"sync"
	"sync/atomic"
)

// schedulers are those of all executors. A goroutine that is about to wait asks
// them whether it is on one of their threads: there it would hold up a whole loop,
// and perhaps what it waits for.
var schedulers registry

type registry struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*Scheduler] // replaced, never changed
}

func (r *registry) all() []*Scheduler {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *registry) add(s *Scheduler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := append(slices.Clone(r.all()), s)
	r.list.Store(&list)
}

func (r *registry) remove(s *Scheduler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.all())
	if i := slices.Index(list, s); i >= 0 {
		list = slices.Delete(list, i, i+1)
		r.list.Store(&list)
	}
}

// here is the scheduler whose thread the caller is on, nil if there is none.
func (r *registry) here() *Scheduler {
	for _, s := range r.all() {
		if s.exec.Inside() {
			return s
		}
	}
	return nil
}

package futures

// EndHook is a producer's place in the list of those who are told when a task has
// ended: a lease on a buffer that the task has, for example, which must not be lost
// when the task forgets it. It is embedded in what the producer keeps anyway, so
// that adding it allocates nothing. The zero EndHook is in no list.
//
// Everything about it belongs to the executor of the task. An EndHook must not be
// copied while it is in a list.
type EndHook struct {
	ender TaskEnder
	next  *EndHook
	link  **EndHook // what points here; nil when in no list
}

// TaskEnder is told that a task has ended.
type TaskEnder interface {
	// TaskEnded runs on the executor when the task's function has returned,
	// panicked or exited, before its done. The hook is out of the list by then.
	// It must not block; it may add and remove hooks of other tasks, and remove
	// those of this one. Its panic is treated as that of a callback.
	TaskEnded(t *Task)
}

// AddEndHook has e told when t ends, unless h is removed before. Hooks are told in
// the reverse order. Only the executor may call it, for a task that has not ended,
// such as Scheduler.Current, and with a hook that is in no list.
func (t *Task) AddEndHook(h *EndHook, e TaskEnder) {
	switch {
	case h.link != nil:
		panic("futures: AddEndHook with a hook that is in a list: Remove it first")
	case t.phase == finished:
		panic("futures: AddEndHook of a task that has ended")
	}
	h.ender, h.next, h.link = e, t.endHooks, &t.endHooks
	if h.next != nil {
		h.next.link = &h.next
	}
	t.endHooks = h
}

// Remove takes h out of its list, and does nothing if it is in none. Only the
// executor may call it.
func (h *EndHook) Remove() {
	if h.link == nil {
		return
	}
	*h.link = h.next
	if h.next != nil {
		h.next.link = h.link
	}
	*h = EndHook{}
}

// Added reports whether h is in a list.
func (h *EndHook) Added() bool { return h.link != nil }

func (t *Task) callEndHooks() {
	for t.endHooks != nil {
		h := t.endHooks
		e := h.ender
		h.Remove()
		t.callEndHook(e)
	}
}

func (t *Task) callEndHook(e TaskEnder) {
	defer contain(t.scheduler.exec)
	e.TaskEnded(t)
}

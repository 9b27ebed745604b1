package futures

// Runnable is something an executor runs. A pointer in it costs no allocation.
type Runnable interface{ Run() }

// Executor is all that this package knows of an event loop: one thread on
// which tasks run and to which work can be posted. The loops of package
// proactor are executors.
type Executor interface {
	// Post makes the executor run r later, never inside the call. Any
	// goroutine may call it. Posts from the executor itself allocate nothing
	// and run in order, before the executor waits for I/O again. It returns
	// false, and drops r, when the executor has ended.
	Post(r Runnable) bool

	// Inside reports whether the caller runs on the executor's thread: as the
	// executor's own goroutine, as a task, or as a coroutine (iter.Pull) that a
	// task has entered. Any goroutine may call it. Each operation calls it, so it
	// should take a few nanoseconds at most; gettid(2) is correct, and slower.
	Inside() bool
}

// Quiescer is what an executor implements if its operations use memory of the
// caller. Await needs it in a callback of the executor, where it cannot wait: it
// must not return while the operation still uses that memory.
type Quiescer interface {
	// Quiesce calls cancel, which asks operations to end by their Canceler, and
	// returns when those of this executor have ended: when nothing uses their
	// memory any more. Those are waited for, too, that were asked before: the
	// Recanceler of one is called. Other operations go on.
	//
	// Quiesce collects completions and does not deliver them: no promise is
	// resolved, and no callback or task runs, except where cancel itself does so.
	// The executor delivers what it has collected later, in order. If a Canceler
	// posts what it has to do, that is part of it, and runs within Quiesce.
	//
	// It is called on the executor, with no task running.
	Quiesce(cancel func())
}

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

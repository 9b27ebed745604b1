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

	// Inside reports whether the calling goroutine is the one running on the
	// executor right now: its own, or the task it has switched to.
	Inside() bool

	// Claim tells the executor that the calling goroutine now runs on it.
	// Tasks call it each time a coroutine switch gives them control or takes
	// it back.
	Claim()

	// Unclaim tells the executor that the calling goroutine is about to end.
	Unclaim()
}

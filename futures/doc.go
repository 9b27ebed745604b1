// Package futures has results that are still to come, and tasks that wait for
// them without holding up a thread.
//
// The types to know:
//
//   - Future is a result to come. Await it from anywhere; in a task that costs a
//     coroutine switch, on an ordinary goroutine a channel. Or hand a callback to
//     Then.
//   - Promise is its other end. NewPromise makes one for any goroutine to
//     resolve; the operations of an event loop bind and renew theirs.
//   - Task is a function running as a coroutine of a loop. It is the context that
//     the function gets: whoever has it may wait.
//   - Stream is a queue of values, ranged over with All.
//
// All, Any, Race, Map, Then, WithTimeout and others combine futures; Go starts
// a child, Blocking keeps what would block off the loop.
//
//	page := futures.Go(ctx, fetch)
//	body, err := futures.WithTimeout(page, time.Second).Await(ctx)
//
// Mutex, RWMutex, Semaphore, WaitGroup, Event, Cond, Once, Group, Select, FromChan,
// ToChan and Yield are for tasks what package sync and channels are for goroutines,
// and goroutines may use them too: a task that waits for one gives way to its loop.
//
// The package does no I/O. What it knows of event loops is the Executor.
package futures

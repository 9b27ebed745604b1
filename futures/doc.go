// Package futures has results that are still to come, and tasks that wait for
// them without blocking a thread.
//
// The types to know:
//
//   - Future is a result that may still be to come. Await it from anywhere: in a
//     task that costs a coroutine switch, on an ordinary goroutine a channel. Or
//     give Then a callback.
//   - Promise is the producer's side of a Future. NewPromise makes one that any
//     goroutine may resolve. The operations of an event loop bind theirs to the
//     loop, and use them again.
//   - Task is a function that runs as a coroutine of a loop. It is also the context
//     that the function gets.
//   - Stream is a queue of values, ranged over with All.
//
// All, AllSettled, Any, Race, AsCompleted, Map, FlatMap and WithTimeout combine
// futures. Go starts a child task. Blocking runs a function that blocks on another
// thread.
//
//	page := futures.Go(ctx, fetch)
//	body, err := futures.WithTimeout(page, time.Second).Await(ctx)
//
// A future keeps its result until somebody takes it. Nothing in this package makes
// a loop wait for another one.
//
// Mutex, RWMutex, Semaphore, WaitGroup, Event, Cond, Once, Group, Select, FromChan,
// ToChan and Yield are for tasks what package sync and channels are for goroutines,
// and goroutines may use them too: a task that waits for one gives way to its loop.
//
// The package does no I/O. An event loop that uses it implements Executor.
package futures

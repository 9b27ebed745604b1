// Package goroutine answers the question that a loop asks on every call: does
// the caller run on my thread?
//
// A loop's goroutine is locked to its thread. Nothing else runs there but the
// coroutines that it enters, and those that they enter. So the thread identifies
// all of them, where the goroutine would identify only one.
package goroutine

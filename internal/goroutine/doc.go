// Package goroutine tells which goroutine is running, for the one question a
// loop must answer on every call: is the caller running on my thread?
//
// The answer is compared and never dereferenced. It identifies a goroutine
// only while that goroutine runs; the runtime reuses identities afterwards.
package goroutine

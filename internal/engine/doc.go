// Package engine turns: it is the event loop under package proactor.
//
// A Loop is one goroutine locked to its thread. It owns a queue (io_uring or
// the fallback), the slots of what is in flight there, an inbox for other
// goroutines, timers, coroutines and receive buffers. It knows operations,
// not sockets or files: those belong to its Host.
//
// To follow one operation: Next gives an entry, Submit assigns a slot to it,
// turn hands it to the queue with everything else of that turn, deliver finds
// the slot of its completion and calls Complete.
//
// An operation of which a slot was submitted gets exactly one final completion,
// also when the queue fails: see failure.go.
package engine

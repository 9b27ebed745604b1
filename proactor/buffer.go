package proactor

import "github.com/goproactor/goproactor/internal/engine"

// Buffer is a lease on received data. The bytes are the holder's, to read and
// to change, until Release, or until they are given away with Conn.Send or
// Conn.Queue. The zero Buffer is empty, and releasing it does nothing.
//
// A Buffer is a small value; all copies stand for the one lease.
type Buffer struct {
	lease      *engine.Lease
	generation uint32
}

// bufferOf is the Buffer of a lease's present holder.
func bufferOf(l *engine.Lease) Buffer { return Buffer{l, l.Generation()} }

// Bytes is the data. It panics if the lease is over: those bytes belong to
// another receive by now.
func (b Buffer) Bytes() []byte {
	if b.lease == nil {
		return nil
	}
	return b.lease.Bytes(b.generation, "Bytes")
}

// Len is the number of bytes.
func (b Buffer) Len() int { return len(b.Bytes()) }

// Release ends the lease; the memory serves other receives. Any goroutine may
// call it. Each lease is released once: a second Release by the same holder
// panics, because the lease may be somebody else's by then. With the debug build
// tag the panic shows where the lease ended, and released memory is overwritten.
func (b Buffer) Release() {
	if b.lease != nil {
		b.take("Release").lease.EndAnywhere()
	}
}

// take moves the lease to a new holder: Buffers of the old one are over. Of
// several goroutines that try, one succeeds.
func (b Buffer) take(how string) Buffer {
	if b.lease == nil {
		return b
	}
	return Buffer{b.lease, b.lease.Take(b.generation, how)}
}

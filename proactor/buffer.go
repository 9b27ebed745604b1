package proactor

import (
	"fmt"

	"github.com/goproactor/goproactor/internal/engine"
)

// Buffer is a lease on received data, or on memory of a loop that the program fills
// (Loop.Buffer). The holder may read and change the bytes until Release, or until it
// gives them away with Conn.Send or Conn.Queue. The zero Buffer is empty, and releasing
// it does nothing.
//
// A Buffer that a task has received and neither released nor given away is released
// when the task returns or panics; Keep makes it last longer.
//
// A Buffer is a small value; all copies stand for the same lease.
type Buffer struct {
	lease      *engine.Lease
	generation uint32
}

// bufferOf is the Buffer of the present holder of a lease.
func bufferOf(l *engine.Lease) Buffer { return Buffer{l, l.Generation()} }

// Buffer leases n zero bytes of the loop's memory to the caller, to be filled and then
// given away with Send, Queue or Broadcast, or released. They count for LoopStats.Held.
// A Buffer that a task has and neither gives away nor releases is released when the task
// returns. Buffers of up to 64 KiB that are leased on the loop come from a pool and cost
// no allocation. Any goroutine may call it.
func (l *Loop) Buffer(n int) Buffer {
	b := bufferOf(l.buffers.Memory(n, &l.programs))
	clear(b.lease.Data())
	return b
}

// Bytes is the data. It panics if the lease has ended: another receive may use the
// memory by then.
func (b Buffer) Bytes() []byte {
	if b.lease == nil {
		return nil
	}
	return b.lease.Bytes(b.generation, "Bytes")
}

// Len is the number of bytes.
func (b Buffer) Len() int { return len(b.Bytes()) }

// Release ends the lease; the memory is used for other receives. Any goroutine may
// call it. Each lease is released once: a second Release by the same holder
// panics, because the memory may be leased to another holder by then. With the debug
// build tag the panic shows where the lease ended, and released memory is overwritten.
func (b Buffer) Release() {
	if b.lease != nil {
		b.take("Release").lease.EndAnywhere()
	}
}

// Keep makes b last until Release, also when the task that received it returns, and
// returns b. Any goroutine that has b may call it.
func (b Buffer) Keep() Buffer {
	if b.lease != nil {
		b.lease.Bytes(b.generation, "Keep")
		b.lease.Keep(b.generation)
	}
	return b
}

// held implements received.
func (b Buffer) held() *engine.Lease { return b.lease }

// Truncate shortens b to its first n bytes, and returns b. The rest of its memory stays
// unused until the lease ends. It panics if b has fewer bytes.
func (b Buffer) Truncate(n int) Buffer {
	data := b.Bytes()
	if n < 0 || n > len(data) {
		panic(fmt.Sprintf("proactor: Buffer.Truncate to %d bytes of %d", n, len(data)))
	}
	if b.lease != nil {
		b.lease.SetData(data[:n:n])
	}
	return b
}

// Retain returns another lease on the same bytes, for example to send them to several
// connections. Each lease is released or given away separately. The memory is freed when
// the last lease on it has ended; it counts once, for the connection that received it.
// Bytes that are retained must not be changed. Any goroutine may call it.
//
// A Buffer that a task has retained is released when the task returns, like one that it
// has received.
func (b Buffer) Retain() Buffer {
	if b.lease == nil {
		return b
	}
	return bufferOf(b.lease.Retain(b.generation))
}

// take moves the lease to a new holder and ends the Buffers of the old one. Of
// several goroutines that try, one succeeds.
func (b Buffer) take(how string) Buffer {
	if b.lease == nil {
		return b
	}
	return Buffer{b.lease, b.lease.Take(b.generation, how)}
}

package proactor

import "github.com/goproactor/goproactor/internal/engine"

// Broadcast queues b on each of the connections, as Conn.Queue does, without copying
// it. They may belong to any loops. The lease goes with it; the memory comes back when
// the last connection has sent b, or has failed to. What goes wrong with a connection
// shows at its next operation. A connection that is listed twice is sent b twice.
//
// Broadcast does not wait for peers that read slowly: see Conn.SetQueueLimit. Any
// goroutine may call it. It costs one message for each loop that the caller is not on.
// A program whose loops know their own subscribers sends each of them a Buffer.Retain.
func Broadcast(b Buffer, conns ...*Conn) {
	b = b.take("Broadcast")
	if len(conns) == 0 || b.lease == nil {
		if b.lease != nil {
			b.lease.EndAnywhere()
		}
		return
	}
	b.lease.Share(len(conns) - 1)
	data := b.lease.Data()
	engine.RaceRead(data)
	var elsewhere []*Conn
	for _, c := range conns {
		if c.loop.engine.Inside() {
			c.send.push(segment{data: data, lease: b})
		} else {
			elsewhere = append(elsewhere, c)
		}
	}
	for len(elsewhere) > 0 {
		l := elsewhere[0].loop
		var there, others []*Conn
		for _, c := range elsewhere {
			if c.loop == l {
				there = append(there, c)
			} else {
				others = append(others, c)
			}
		}
		elsewhere = others
		l.broadcast(b, data, there)
	}
}

// broadcast queues b on connections of the loop, of which each has a share in b.
func (l *Loop) broadcast(b Buffer, data []byte, conns []*Conn) {
	ok := l.engine.Do(func() {
		for _, c := range conns {
			c.send.push(segment{data: data, lease: b})
		}
	})
	if !ok {
		for range conns {
			b.lease.EndAnywhere()
		}
	}
}

// Buffer leases n bytes of the loop's memory to the caller, which are zero, to be
// filled and then given away with Send, Queue or Broadcast, or released. It counts for
// LoopStats.Held. A Buffer that a task has and neither gives away nor releases is
// released when the task returns. Buffers of up to 64 KiB that the loop's own code
// leases come from memory that is used again and again, and cost no allocation; any
// goroutine may call it.
func (l *Loop) Buffer(n int) Buffer {
	b := bufferOf(l.buffers.Memory(n, &l.programs))
	clear(b.lease.Data())
	return b
}

package proactor

import "github.com/goproactor/goproactor/internal/engine"

// Broadcast queues b on each of the connections, as Conn.Queue does, without copying
// it, and takes over the lease. The connections may belong to any loops. The memory is
// freed when the last connection has sent b, or has failed to. An error of a connection
// is reported by its next operation. A connection that is listed twice is sent b twice.
//
// Broadcast does not wait for peers that read slowly: see Conn.SetQueueLimit. Any
// goroutine may call it. It costs one post for each loop that the caller is not on.
// A program that keeps the subscribers of each loop apart can instead call Queue with a
// Buffer.Retain for each of them.
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

// broadcast queues b on connections of the loop. Each has a lease on b.
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

package proactor

import (
	"io"

	"github.com/goproactor/goproactor/internal/sockets"
)

// beginDrain stops taking in, and calls empty when the last connection has
// closed and the last task has ended. What was dialed goes on receiving: the end
// would make a response look complete.
func (l *Loop) beginDrain(empty func()) {
	l.draining = append(l.draining, empty)
	for _, c := range l.conns {
		if !c.dialed {
			c.stopReceiving()
		}
	}
	l.residents.Each(resident.drain)
}

// stopReceiving makes the receiving side end after what the kernel has.
func (c *Conn) stopReceiving() {
	if c.state >= connEnding {
		return
	}
	if c.medium == file { // nothing to shut down: it ends after what was taken in
		c.recv.finish(io.EOF)
		if c.recv.armed && !c.recv.pausing {
			c.recv.pausing = true
			c.recv.stop()
		}
		return
	}
	sqe := c.loop.engine.Next()
	sqe.PrepShutdown(c.fd, sockets.ShutdownRead)
	c.others++
	c.loop.engine.Submit(sqe, (*readShutdown)(c))
}

// readShutdown is the shutdown of the receiving side.
type readShutdown Conn

func (r *readShutdown) Complete(int32, uint32) {
	c := (*Conn)(r)
	c.others--
	c.settled()
}

// drained tells those who wait for it that everything has ended of itself.
func (l *Loop) drained() {
	if len(l.conns) > 0 || len(l.residents) > 0 || l.engine.Tasks().Len() > 0 {
		return
	}
	waiting := l.draining
	l.draining = nil
	for _, empty := range waiting {
		empty()
	}
}

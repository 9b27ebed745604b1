package proactor

import (
	"io"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// beginDrain stops receiving, and calls empty when the last connection has
// closed and the last task has ended. Dialed connections go on receiving: an io.EOF
// would make a response look complete.
func (l *Loop) beginDrain(empty func()) {
	l.draining = append(l.draining, empty)
	for _, c := range l.conns {
		if !c.recv.dialed {
			c.stopReceiving()
		}
		if c.acceptor != nil && c.acceptor.listener.closed.Load() {
			l.engine.Later(c.acceptor.listener.dropUntaken)
		}
	}
	l.residents.Each(resident.drain)
}

// stopReceiving makes the receiving side end after what the kernel has received.
func (c *Conn) stopReceiving() {
	if c.state >= connEnding {
		return
	}
	if c.medium == file { // it has no shutdown: it ends after what was received
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

// CloseRead shuts the receiving side down (shutdown(2), SHUT_RD): what the kernel has
// taken in is still received, then comes io.EOF. Sending goes on. The future resolves
// when the socket is shut down. Of a pipe or another file the receiving ends with what
// was received.
func (c *Conn) CloseRead() futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := c.loop.engine.Perform(func() {
		switch {
		case c.movedTo() != nil:
			p.Fail(c.opError("shutdown", c.movedTo()))
		case c.state >= connEnding:
			p.Fail(c.closedError("shutdown"))
		case c.medium == file:
			c.stopReceiving()
			p.Resolve(struct{}{})
		default:
			c.others++
			sqe := c.loop.engine.Next()
			sqe.PrepShutdown(c.fd, sockets.ShutdownRead)
			c.loop.engine.Submit(sqe, &closeRead{c, p})
		}
	})
	if !ok {
		p.Fail(c.closedError("shutdown"))
	}
	return p.Future()
}

// closeRead is a CloseRead under way.
type closeRead struct {
	conn    *Conn
	promise *futures.Promise[struct{}]
}

func (r *closeRead) Complete(result int32, _ uint32) {
	c, p := r.conn, r.promise
	c.others--
	c.loop.engine.Later(func() {
		if result < 0 {
			p.Fail(c.failed("shutdown", syscall.Errno(-result)))
			return
		}
		p.Resolve(struct{}{})
	})
	c.settled()
}

// readShutdown is the shutdown of the receiving side.
type readShutdown Conn

func (r *readShutdown) Complete(int32, uint32) {
	c := (*Conn)(r)
	c.others--
	c.settled()
}

// drained calls the functions that wait until everything has ended by itself.
func (l *Loop) drained() {
	if len(l.conns) > 0 || len(l.residents) > 0 || l.engine.Tasks().Len() > 0 || l.rebalance.arriving.Load() > 0 {
		return
	}
	waiting := l.draining
	l.draining = nil
	for _, empty := range waiting {
		empty()
	}
}

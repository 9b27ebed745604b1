package proactor

import (
	"github.com/goproactor/goproactor/futures"
)

// Close ends the PacketConn: receives fail with ErrClosed, queued messages are still sent,
// for at most the drain timeout, then the socket is closed. Close does not wait; the
// future of Closed resolves when it is done. Closing again does nothing.
//
// Close of a NetPacketConn is that of package net instead: it ends the operations under
// way, and drops queued messages.
func (c *PacketConn) Close() error {
	c.shut.Store(true)
	c.loop.engine.Perform(c.beginClose)
	return nil
}

// Closed resolves when the socket is closed and none of its operations is in flight.
func (c *PacketConn) Closed() futures.Future[struct{}] {
	return c.loop.whenClosed(&c.state, func() **futures.Promise[struct{}] { return &c.closed })
}

func (c *PacketConn) drain()    { c.beginClose() }
func (c *PacketConn) end(error) { c.abort(c.closedError("write")) }

func (c *PacketConn) beginClose() {
	if c.state != connOpen {
		return
	}
	c.shut.Store(true)
	c.state = connDraining
	if c.send.idle() {
		c.beginEnd()
		return
	}
	c.recv.drop()
	c.drainLimit.Expired = func(error) {
		if c.state == connDraining {
			c.abort(c.opError("write", errDrainTimeout))
		}
	}
	c.loop.engine.SetTimer(&c.drainLimit, c.loop.engine.After(c.loop.rt.options.drainTimeout))
}

func (s *packetSender) idle() bool {
	return s.queue.Len() == 0 && s.inFlight == 0 && s.refused.Len() == 0
}

// abort drops what is queued.
func (c *PacketConn) abort(err error) {
	if c.state >= connEnding {
		return
	}
	c.shut.Store(true)
	if c.state == connOpen {
		c.state = connDraining // callbacks of the queue's promises may not queue more
	}
	c.send.cancel(err)
	c.beginEnd()
}

func (c *PacketConn) beginEnd() {
	if c.state >= connEnding {
		return
	}
	c.state = connEnding
	l := c.loop
	l.engine.StopTimer(&c.reading.timer)
	l.engine.StopTimer(&c.writing.timer)
	l.engine.StopTimer(&c.drainLimit)
	c.recv.drop()
	c.send.stop()
	c.settled()
}

// settled is called when an operation has ended. It goes on with a close or detach that
// waits for that.
func (c *PacketConn) settled() {
	if c.detaching != nil && (c.state != connOpen || c.quiet()) {
		c.detaching.settle()
	}
	switch {
	case c.state == connDraining && c.send.idle():
		c.beginEnd()
	case c.state == connEnding && !c.recv.armed && c.send.inFlight == 0 && !c.send.polling:
		c.state = connClosing
		c.send.cancel(c.closedError("write")) // messages that found no room at last
		c.leave()
		sqe := c.loop.engine.Next()
		sqe.PrepClose(c.fd)
		c.loop.engine.Submit(sqe, (*packetRelease)(c))
	}
}

// leave gives the descriptor up.
func (c *PacketConn) leave() {
	c.using.Lock()
	c.gone = true
	c.using.Unlock()
}

// packetRelease is the close of the descriptor, as an operation.
type packetRelease PacketConn

func (r *packetRelease) Complete(int32, uint32) {
	c := (*PacketConn)(r)
	c.state = connClosed
	c.recv.in.results.reclaim()
	c.loop.residents.Remove(&c.residence)
	c.reading.end(ErrClosed)
	c.writing.end(ErrClosed)
	if c.closed != nil {
		c.closed.Resolve(struct{}{})
	}
}

package proactor

import (
	"errors"
	"io"
	"runtime/debug"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/ring"
)

var errEOF = io.EOF

// open sets the loop up, on its own thread: the queue belongs to the thread
// that opened it.
func (l *Loop) open(open func() (ring.Queue, error)) (err error) {
	l.thread.Enter()
	if l.rt.options.pin {
		if err := pinThread(l.index); err != nil {
			return err
		}
	}
	if l.queue, err = open(); err != nil {
		return err
	}
	l.share.open()
	o := &l.rt.options
	if err = l.buffers.open(l, bufferGroup, o.bufferSize, o.bufferCount, o.bufferIncremental); err == nil {
		err = l.wake.open(l)
	}
	if err != nil {
		return errors.Join(err, l.queue.Close())
	}
	l.tasks = futures.NewScheduler(l)
	return nil
}

// beginDrain stops taking in, and calls empty when the last connection has
// closed and the last task has ended.
func (l *Loop) beginDrain(empty func()) {
	l.draining = append(l.draining, empty)
	for _, a := range append([]*acceptor(nil), l.acceptors...) {
		a.listener.stopAccepting(ErrClosed)
	}
	for _, c := range l.conns {
		c.stopReceiving()
	}
	l.residents.each(resident.drain)
}

// stopReceiving makes the receiving side end after what the kernel has.
func (c *Conn) stopReceiving() {
	if c.state >= connEnding {
		return
	}
	if c.medium == file { // nothing to shut down: it ends after what was taken in
		c.recv.finish(errEOF)
		if c.recv.armed && !c.recv.pausing {
			c.recv.pausing = true
			c.recv.stop()
		}
		return
	}
	sqe := c.loop.queue.Next()
	sqe.PrepShutdown(c.fd, shutdownRead)
	c.others++
	c.loop.submit(sqe, (*readShutdown)(c))
}

// readShutdown is the shutdown of the receiving side.
type readShutdown Conn

func (r *readShutdown) complete(int32, uint32) {
	c := (*Conn)(r)
	c.others--
	c.settled()
}

// drained tells those who wait for it that everything has ended of itself.
func (l *Loop) drained() {
	if len(l.conns) > 0 || len(l.acceptors) > 0 || len(l.residents) > 0 || l.tasks.Len() > 0 {
		return
	}
	waiting := l.draining
	l.draining = nil
	for _, empty := range waiting {
		empty()
	}
}

// beginStop ends everything on the loop. The loop runs on until all of it has.
func (l *Loop) beginStop() {
	if l.stop {
		return
	}
	l.stop = true
	for _, a := range append([]*acceptor(nil), l.acceptors...) {
		a.listener.stopAccepting(ErrClosed)
	}
	for _, c := range append([]*Conn(nil), l.conns...) {
		c.abort(c.closedError("write"))
	}
	l.residents.end(ErrClosed)
	l.tasks.CancelAll(ErrClosed)
	l.pending.end(ErrClosed)
	l.timers.drop()
}

// finished says that the loop was told to stop and nothing holds it up.
func (l *Loop) finished() bool {
	return l.stop && len(l.conns) == 0 && len(l.acceptors) == 0 && len(l.residents) == 0 && len(l.pending) == 0 &&
		l.tasks.Len() == 0 && l.ready.len() == 0 || l.failure != nil
}

// close releases what the loop owns.
func (l *Loop) close() {
	if l.failure != nil { // what was posted since has had no turn
		l.refusePosts()
		l.runRest()
		l.buryConns(l.failure)
	}
	if l.tasks.Len() == 0 { // after a failure some may wait for what never comes
		l.tasks.Close()
	}
	l.last = l.snapshot()
	if err := l.queue.Close(); err != nil && l.failure == nil {
		l.failure = err
	}
	l.wake.close()
	l.thread.Leave()
}

// refusePosts closes the inbox. What is in it still runs, to do its work or to
// learn that it came too late.
func (l *Loop) refusePosts() {
	for m := l.inbox.close(); m != nil; m = m.next {
		l.ready.push(m.work)
	}
}

// runRest runs everything that is ready, whatever becomes of each.
func (l *Loop) runRest() {
	defer func() {
		if value := recover(); value != nil {
			l.Panicked(value, debug.Stack())
		}
		if l.ready.len() > 0 {
			l.runRest()
		}
	}()
	for l.ready.len() > 0 {
		l.ready.pop().Run()
	}
}

// fail takes the loop down after its queue failed for good: no completion will
// come any more, so everything waiting is told, and descriptors are closed
// here.
func (l *Loop) fail(err error) {
	if l.failure != nil {
		return
	}
	l.failure = err
	if log := l.rt.options.logger; log != nil {
		log.Error("loop failed", "loop", l.index, "error", err)
	}
	l.stop = true
	l.buryConns(err)
	l.residents.abandon(err)
	l.tasks.CancelAll(err)
	l.pending.abandon(err)
	l.timers.drop()
	for _, a := range append([]*acceptor(nil), l.acceptors...) {
		a.armed = false
		a.listener.stopAccepting(err)
	}
}

// buryConns ends connections whose completions will never come.
func (l *Loop) buryConns(err error) {
	for _, c := range append([]*Conn(nil), l.conns...) {
		c.send.inFlight, c.send.unnotified = 0, 0
		c.send.fail(err)
		c.recv.finish(err)
		c.recv.drop()
		c.recv.armed, c.recv.watching, c.others = false, false, 0
		c.beginEnd()
		closeSocket(c.fd)
		(*release)(c).complete(0, 0)
	}
}

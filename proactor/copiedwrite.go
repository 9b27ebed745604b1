package proactor

import (
	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
)

// The first small Write of a task after a Read is sent before it returns, as that of an
// answer. One that follows it is copied and returns at once, as package net leaves it to
// the socket's buffer; those until the task gives way go out together. For a program
// that writes piece by piece, net.Buffers or crypto/tls, that is a tenth of the cost.
const (
	mostCopied  = 32 << 10 // bytes of a Write
	copiedAhead = 64 << 10 // bytes that may wait; a Write beyond waits until it is sent
)

// copies says whether a Write of n bytes may be copied. Only copied ones may be before
// it: what a Write has returned for is sent even if the Writes that wait fail, at a
// deadline say, and nothing may be missing before it.
func (s *sender) copies(n int) bool {
	c := s.conn
	l := c.loop
	if n == 0 || n > mostCopied || c.medium != stream || !l.engine.Inside() || !c.recv.written || l.engine.Tasks().Current() == nil {
		return false
	}
	if least := l.rt.options.zeroCopy; least > 0 && n >= least {
		return false
	}
	if last := s.queue.Len() - 1; last >= 0 && !s.queue.At(last).copied {
		return false
	}
	return s.bytes()+n <= min(copiedAhead, l.rt.options.highWater)
}

// writeCopy queues a copy of p.
func (s *sender) writeCopy(p []byte) (int, error) {
	if err := s.accepts(len(p)); err != nil {
		return 0, err
	}
	rest := p[s.appendCopy(p):]
	for len(rest) > 0 {
		b := s.conn.memory(s.copySize(len(rest))).take("Write")
		n := copy(b.lease.Memory(), rest)
		b.lease.SetData(b.lease.Memory()[:n])
		s.enqueue(segment{data: b.lease.Data(), lease: b, copied: true})
		rest = rest[n:]
	}
	return len(p), nil
}

// appendCopy adds to the last segment what fits there, unless the kernel has it.
func (s *sender) appendCopy(p []byte) int {
	last := s.queue.Len() - 1
	if last < s.kept() || last < 0 {
		return 0
	}
	g := s.queue.At(last)
	n := min(cap(g.data)-len(g.data), len(p))
	g.data = append(g.data, p[:n]...)
	engine.RaceRead(g.data[len(g.data)-n:])
	s.pending.Add(int64(n))
	return n
}

// copySize is how much memory to take for n bytes: more when it is not the first.
func (s *sender) copySize(n int) int {
	if s.queue.Len() == 0 && n <= firstWrite {
		return firstWrite
	}
	return max(n, writePiece)
}

// copied is how many of the segments are copied Writes: those come first.
func (s *sender) copied() (n int) {
	for n < s.queue.Len() && s.queue.At(n).copied {
		n++
	}
	return n
}

// expire ends all sends for a deadline that has passed, but those that Writes have
// returned for: a socket keeps them, too.
func (s *sender) expire(reason error) {
	kept := s.copied()
	if kept == 0 {
		s.cancel(reason)
		return
	}
	s.abandonFrom(kept, reason)
	s.giveUpWaiting(reason)
}

// flushed resolves when the socket has what Writes have returned for, or never will: for
// those who then write to the socket by themselves.
func (c *Conn) flushed() futures.Future[struct{}] {
	f := &flush{conn: c, promise: futures.NewPromise[struct{}]()}
	f.promise.SetCanceler(&f.starter)
	if !f.starter.start(c.loop, f) {
		f.promise.Resolve(struct{}{})
	}
	return f.promise.Future()
}

// flush is a place in the queue that sends nothing.
type flush struct {
	conn    *Conn
	starter starter
	promise *futures.Promise[struct{}]
}

func (f *flush) begin() {
	s := &f.conn.send
	if s.copied() == 0 {
		f.promise.Resolve(struct{}{})
		return
	}
	s.queue.Push(&f.conn.loop.segments, segment{turn: f})
}

// grant implements turn. It is called in the middle of the queue's own work.
func (f *flush) grant() { f.end(nil) }

// end implements turn.
func (f *flush) end(error) {
	f.conn.loop.engine.Later(func() {
		f.refuse(nil)
		f.conn.send.unclaim(f)
	})
}

// refuse implements turn and startable.
func (f *flush) refuse(error) { f.promise.Settle(struct{}{}, nil) }

// cancel implements startable.
func (f *flush) cancel() { f.end(nil) }

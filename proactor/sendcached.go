package proactor

import (
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// What is in the page cache goes from there to the socket (sendfile(2)), without a copy
// of the server's and without memory of its own. The loop's thread makes the system call,
// which waits neither for the file nor for the socket: a ring has no such operation, and
// leaves a splice to a worker thread (seen on 6.18).
const (
	leastCached = 32 << 10 // less is read and sent for less
	cachedPiece = 1 << 20  // then others have their turn
)

// sendCached sends what comes next if it is in the page cache. Otherwise it returns false.
func (s *fileSend) sendCached() bool {
	c := s.conn
	moved, errno, cached := c.transmit(s.fd, s.off, s.left)
	if !cached {
		return false
	}
	s.off += moved
	s.sent += moved
	s.left -= moved
	switch {
	case s.left == 0:
		s.finish(nil)
	case moved > 0, errno == syscall.EAGAIN, errno == syscall.EINTR:
		s.awaitRoom()
	case errno == 0, errno == syscall.EINVAL, errno == syscall.ENOSYS, errno == syscall.EOVERFLOW:
		return false // reading tells more
	default:
		s.fail(c.failed("write", errno))
	}
	return true
}

// sendAtOnce sends of the n bytes of a file at off what is in the page cache and the socket
// takes, if nothing waits to be sent before it. The loop calls it; what it does not send is
// for SendFile, which tells why. So is what comes after one piece in a turn: who copies
// file after file to a peer that keeps up would hold up the loop.
func (c *Conn) sendAtOnce(fd int, off, n int64) (moved int64) {
	l := c.loop
	if l.sentAtOnce < cachedPiece && c.send.queue.Len() == 0 && c.send.kept() == 0 && c.send.refusal() == nil {
		moved, _, _ = c.transmit(fd, off, n)
		l.sentAtOnce += moved
	}
	return moved
}

// transmit is sendfile(2) of a piece that is in the page cache; cached is false if it is not,
// or not worth it.
func (c *Conn) transmit(fd int, off, n int64) (moved int64, errno syscall.Errno, cached bool) {
	n = min(n, cachedPiece)
	if n < leastCached || c.medium != stream || !sockets.Cached(fd, off, n) {
		return 0, 0, false
	}
	c.naming.Lock()
	k, errno := sockets.SendFile(c.fd, fd, off, int(n))
	c.naming.Unlock()
	if k > 0 {
		c.touch(k)
	}
	return int64(k), errno, true
}

func (s *fileSend) awaitRoom() {
	sqe := s.conn.loop.engine.Next()
	sqe.PrepPoll(s.conn.fd, ring.PollOut)
	s.submit(sqe, fileWaiting)
}

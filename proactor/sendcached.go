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
	n := min(s.left, cachedPiece)
	if n < leastCached || c.medium != stream || !sockets.Cached(s.fd, s.off, n) {
		return false
	}
	moved, errno := s.transmit(int(n))
	if moved > 0 {
		c.touch(int(moved))
		s.off += int64(moved)
		s.sent += int64(moved)
		s.left -= int64(moved)
	}
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

// transmit is sendfile(2).
func (s *fileSend) transmit(n int) (moved int, errno syscall.Errno) {
	c := s.conn
	c.naming.Lock()
	defer c.naming.Unlock()
	return sockets.SendFile(c.fd, s.fd, s.off, n)
}

func (s *fileSend) awaitRoom() {
	sqe := s.conn.loop.engine.Next()
	sqe.PrepPoll(s.conn.fd, ring.PollOut)
	s.submit(sqe, fileWaiting)
}

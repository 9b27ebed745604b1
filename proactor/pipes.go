package proactor

import (
	"errors"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

// A Forward in bulk moves bytes from socket to socket through a pipe (splice(2)): they
// are copied neither out of the kernel nor back. It does so by system calls of the loop's
// thread, when a poll has said that they will not wait: a ring leaves a splice to a
// worker thread (seen on 6.18), and the two hand-overs cost more than the copies.
const (
	pipeSize  = 1 << 20  // as large as anybody may make one (pipe(7), pipe-max-size)
	leastPipe = 64 << 10 // less than that moves too little at a time
	pipesKept = 8        // by a loop, empty
	pipesLent = 64       // by a loop at once: each holds up to pipeSize bytes that no budget counts
)

var errNoPipe = errors.New("no pipe to splice through")

// pipe is one that bytes pass through.
type pipe struct {
	r, w int
	room int
	held int // bytes in it
}

// pipes are those of one loop.
type pipes struct {
	spare []*pipe
	lent  int
}

// take is an empty pipe, nil if there is none to be had.
func (s *pipes) take() *pipe {
	if s.lent >= pipesLent {
		return nil
	}
	if last := len(s.spare) - 1; last >= 0 {
		p := s.spare[last]
		s.spare = s.spare[:last]
		s.lent++
		return p
	}
	r, w, room, err := sockets.SizedPipe(pipeSize)
	if err != nil {
		return nil
	}
	p := &pipe{r: r, w: w, room: room}
	if room < leastPipe { // the user has too many
		p.close()
		return nil
	}
	s.lent++
	return p
}

// put takes one back. What is left in it is lost.
func (s *pipes) put(p *pipe) {
	s.lent--
	if p.held > 0 || len(s.spare) == pipesKept {
		p.close()
		return
	}
	s.spare = append(s.spare, p)
}

// close closes those that are empty.
func (s *pipes) close() {
	for _, p := range s.spare {
		p.close()
	}
	s.spare = nil
}

func (p *pipe) close() { sockets.CloseAll([]int{p.r, p.w}) }

// fill takes in what a socket has received, which a poll has found something in, and
// which nobody else receives from: then it does not wait even if the socket is blocking.
func (p *pipe) fill(fd int) (n int, errno syscall.Errno) {
	n, errno = sockets.Splice(fd, p.w, p.room)
	if errno == 0 {
		p.held += n
	}
	return n, errno
}

// put takes in as much of data as there is room for.
func (p *pipe) put(data []byte) (n int, err error) {
	if n, err = sockets.WritePipe(p.w, data); err == nil {
		p.held += n
	}
	return max(n, 0), err
}

// drain gives a socket what it takes without waiting.
func (p *pipe) drain(c *Conn) (n int, errno syscall.Errno) {
	c.naming.Lock()
	defer c.naming.Unlock()
	n, errno = sockets.SpliceToSocket(p.r, c.fd, p.held)
	if errno == 0 {
		p.held -= n
	}
	return n, errno
}

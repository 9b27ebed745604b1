package simulation

import (
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/ring"
)

// kind is what a socket is for.
type kind int

const (
	unconnected kind = iota // a stream that is not connected
	stream
	listening
	packets
)

// socket is one of the network.
type socket struct {
	net    *Network
	number int // in traces
	random *rand.Rand
	owner  *Queue // that used it last
	kind   kind
	handle handle // the kernel's socket that stands for it

	local, remote netip.AddrPort

	reads, writes         []*operation // that wait, the first to be served first
	polls                 []*operation
	lastRead, lastWritten time.Duration // when the last completion of those is seen
	reported              uint32        // what the last poll of a multishot saw

	// Of a stream:
	in, out    *pipe
	connecting *operation
	arrived    bool // nobody has accepted it yet, but could
	unread     []byte
	ended      bool // the peer sends no more
	readShut   bool
	writeShut  bool
	broken     bool          // reset, by either end
	closed     bool          // the program has closed it
	err        syscall.Errno // that the next operation gets

	accepted map[netip.AddrPort]handle // of a listener: taken from the kernel
	dead     bool                      // listens no more

	inbox []datagram
}

// socketOf finds the socket of a descriptor, or makes it.
func (q *Queue) socketOf(fd int) (*socket, syscall.Errno) {
	n := q.net
	s := n.sockets[fd]
	if s != nil && !s.exists() {
		s.descriptorClosed()
		s = nil
	}
	if s == nil {
		h, about, errno := identify(fd)
		if errno != 0 {
			return nil, errno
		}
		s = n.newSocket(q, about)
		n.bind(s, h)
	}
	s.owner = q
	return s, 0
}

// newSocket makes a socket that is first used on q.
func (n *Network) newSocket(q *Queue, about about) *socket {
	q.used++
	return &socket{net: n, number: int(q.used), random: choice(n.seed, uint64(q.index), q.used), owner: q,
		kind: about.kind, local: about.local, remote: about.remote, accepted: map[netip.AddrPort]handle{}}
}

// bind makes h stand for s.
func (n *Network) bind(s *socket, h handle) {
	s.handle = h
	n.sockets[h.fd] = s
	n.all = append(n.all, s)
}

func (n *Network) unbind(s *socket) {
	if n.sockets[s.handle.fd] == s {
		delete(n.sockets, s.handle.fd)
	}
	for i, other := range n.all {
		if other == s {
			n.all = append(n.all[:i], n.all[i+1:]...)
			return
		}
	}
}

// exists reports whether the descriptor is still that of the socket.
func (s *socket) exists() bool { return s.handle.exists() }

// syncHandles finds out what the program did to its sockets past the queue.
func (q *Queue) syncHandles() {
	for _, s := range append([]*socket(nil), q.net.all...) {
		if s.owner != q {
			continue
		}
		switch {
		case !s.exists():
			s.descriptorClosed()
		case s.kind == stream && !s.broken && s.handle.isReset():
			s.reset()
		case s.kind == listening && !s.dead && !s.handle.isListening():
			s.stopListening()
		}
	}
}

// descriptorClosed is for a socket whose descriptor was closed.
func (s *socket) descriptorClosed() {
	s.net.unbind(s)
	s.end()
	s.abandonAll(syscall.ECANCELED)
}

// abandonAll ends everything that waits, with an error.
func (s *socket) abandonAll(errno syscall.Errno) {
	for _, list := range []*[]*operation{&s.reads, &s.writes, &s.polls} {
		waiting := *list
		*list = nil
		for _, op := range waiting {
			if op.moved > 0 {
				op.finish(int32(op.moved))
				continue
			}
			op.fail(errno)
		}
	}
	if op := s.connecting; op != nil {
		s.connecting = nil
		op.fail(errno)
	}
}

// leave takes op out of where it waits.
func (s *socket) leave(op *operation) {
	for _, list := range []*[]*operation{&s.reads, &s.writes, &s.polls} {
		for i, other := range *list {
			if other == op {
				*list = append((*list)[:i:i], (*list)[i+1:]...)
			}
		}
	}
	if s.connecting == op {
		s.connecting = nil
	}
}

// close performs a close(2).
func (q *Queue) close(op *operation) syscall.Errno {
	fd := int(op.entry.FD)
	s := q.net.sockets[fd]
	if s == nil || !s.exists() {
		return closeDescriptor(op, fd)
	}
	op.socket = s
	if waiting := len(s.reads) + len(s.writes) + len(s.polls); waiting > 0 || s.connecting != nil {
		q.net.violated("socket %d of queue %d is closed while %d operations are in flight on it", s.number, q.index, max(1, waiting))
	}
	if n := s.handle.bytesPast(); n > 0 {
		q.net.violated("socket %d of queue %d: %d bytes went past the simulation (a file, a splice, or a raw descriptor)", s.number, q.index, n)
	}
	s.descriptorClosed()
	return closeDescriptor(op, fd)
}

func closeDescriptor(op *operation, fd int) syscall.Errno {
	if err := syscallClose(fd); err != 0 {
		return err
	}
	op.finish(0)
	return 0
}

// end is what the network sees of a close: the peer gets the end of the stream, or a
// reset if not everything was read.
func (s *socket) end() {
	if s.closed {
		return
	}
	s.closed = true
	switch s.kind {
	case listening:
		s.stopListening()
	case stream:
		switch {
		case s.broken:
		case len(s.unread) > 0:
			s.out.push(segment{kind: reset})
		case !s.writeShut:
			s.out.push(segment{kind: fin})
		}
		s.writeShut = true
	}
}

// shutdown performs a shutdown(2).
func (s *socket) shutdown(op *operation) syscall.Errno {
	how := int(op.entry.Len)
	switch {
	case s.kind != stream || s.broken:
		return syscall.ENOTCONN
	case how < 0 || how > 2:
		return syscall.EINVAL
	}
	if how != 1 {
		s.readShut = true
	}
	if how != 0 && !s.writeShut {
		s.writeShut = true
		s.out.push(segment{kind: fin})
	}
	op.finish(0)
	s.advance()
	return 0
}

// advance serves what waits, after anything has changed.
func (s *socket) advance() {
	s.advanceReads()
	s.advanceWrites()
	s.advancePolls()
}

// takeErr is the error that the socket has for the next operation.
func (s *socket) takeErr() syscall.Errno {
	errno := s.err
	s.err = 0
	return errno
}

// state is what poll(2) says of the socket.
func (s *socket) state() (events uint32) {
	switch s.kind {
	case listening:
		if s.dead {
			return ring.PollHup
		}
		if len(s.waiting()) > 0 {
			events = ring.PollIn
		}
		return events
	case packets:
		if events = ring.PollOut; len(s.inbox) > 0 {
			events |= ring.PollIn
		}
		return events
	case unconnected:
		return ring.PollOut | ring.PollHup
	}
	if len(s.unread) > 0 || s.ended || s.readShut || s.broken {
		events |= ring.PollIn
	}
	if s.ended || s.readShut || s.broken {
		events |= ring.PollRDHup
	}
	if s.broken || s.out.room() > 0 || s.writeShut {
		events |= ring.PollOut
	}
	if s.broken || s.writeShut && (s.ended || s.readShut) {
		events |= ring.PollHup
	}
	if s.err != 0 {
		events |= ring.PollErr
	}
	return events
}

// poll performs a poll.
func (s *socket) poll(op *operation) syscall.Errno {
	s.polls = append(s.polls, op)
	s.advancePolls()
	return 0
}

func (s *socket) advancePolls() {
	state := s.state()
	for _, op := range append([]*operation(nil), s.polls...) {
		events := state & (op.entry.OpFlags | ring.PollErr | ring.PollHup)
		switch {
		case events == 0:
		case !op.multishot:
			s.leave(op)
			op.finish(int32(events))
		case events&^s.reported != 0:
			op.order = &s.lastRead
			op.queue.post(op, int32(events), ring.CQEFMore)
		}
	}
	s.reported = state
}

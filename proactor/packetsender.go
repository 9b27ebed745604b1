package proactor

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// sendWindow is how many messages of one socket are handed to the kernel in one
// turn.
const sendWindow = 64

// roomRetry is how long a sender waits before it tries a Unix socket again
// whose queue is full. Unless the two are connected, no event tells.
const roomRetry = time.Millisecond

// packetSender is the sending side of a PacketConn: an ordered queue. Nothing
// waits inside the kernel: a message that finds no room there is put back where
// it was, and all wait until there is. So the order holds, and what is in flight
// ends by itself.
type packetSender struct {
	outgoing
	conn     *PacketConn
	queue    fifo.Queue[*transmission]
	refused  fifo.Queue[*transmission] // of those in flight, the ones that found no room
	inFlight int
	full     bool // waits for room
	polling  bool // by a poll
	userData uint64
	room     engine.Timer // or by this
	free     *transmission
}

// transmission is one message on its way out. It is used over and over.
type transmission struct {
	conn    *PacketConn
	data    []byte
	lease   Buffer                // of data, if it came as a lease
	answer  *futures.Promise[int] // of the one who wants to know, if anybody does
	to      sockets.Address
	header  ring.Msghdr
	vector  ring.Iovec
	control sockets.Control
	given   []byte        // control messages of the caller, in place of control
	next    *transmission // in the list of free ones

	userData uint64
	inFlight bool
	canceled bool // it goes out or ends: it is not tried again
}

// fresh takes a transmission from the pool.
func (s *packetSender) fresh() *transmission {
	t := s.free
	if t == nil {
		return &transmission{conn: s.conn}
	}
	s.free, t.next = t.next, nil
	return t
}

// push queues a message and starts sending.
func (s *packetSender) push(t *transmission) {
	if err := s.refusal(); err != nil {
		s.conclude(t, 0, err)
		return
	}
	engine.RaceRead(t.data)
	s.queue.Push(t)
	s.pending.Add(int64(len(t.data)))
	s.start()
}

// refusal is why a message cannot be sent, nil if it can.
func (s *packetSender) refusal() error {
	switch {
	case s.conn.isDetaching():
		return s.conn.opError("write", ErrDetached)
	case s.conn.state != connOpen:
		return s.conn.closedError("write")
	case s.conn.writing.passed:
		return s.conn.timedOut("write")
	}
	return nil
}

// start hands over what is queued. Messages to a Unix socket, which loses none
// and keeps their order, are linked: none goes out when the one before did not.
func (s *packetSender) start() {
	if s.full || s.refused.Len() > 0 {
		return
	}
	n := min(s.queue.Len(), sendWindow-s.inFlight)
	linked := s.conn.family == syscall.AF_UNIX
	if linked && (s.inFlight > 0 || n > 1 && s.conn.loop.engine.Reserve(n) != nil) {
		n = min(n, 1-min(s.inFlight, 1))
	}
	for i := range n {
		t := s.queue.Take()
		sqe := s.conn.loop.engine.Next()
		sqe.PrepSendmsg(s.conn.fd, t.message(), ring.MsgDontWait|ring.MsgNoSignal)
		if linked && i < n-1 {
			sqe.SetFlags(ring.SQELink)
		}
		s.inFlight++
		t.inFlight = true
		t.userData = s.conn.loop.engine.Submit(sqe, t)
	}
}

// message is the header of the message.
func (t *transmission) message() *ring.Msghdr {
	t.vector = ring.Iovec{Len: uintptr(len(t.data))}
	t.header = ring.Msghdr{Iov: &t.vector, Iovlen: 1}
	if len(t.data) > 0 {
		t.vector.Base = &t.data[0]
	}
	if to := t.to.Bytes(); len(to) > 0 {
		t.header.Name, t.header.Namelen = &to[0], uint32(len(to))
	}
	control := t.given
	if len(control) == 0 {
		control = t.control.Bytes()
	}
	if len(control) > 0 {
		t.header.Control, t.header.Controllen = &control[0], uintptr(len(control))
	}
	return &t.header
}

// complete implements engine.Operation.
func (t *transmission) Complete(result int32, _ uint32) {
	s := &t.conn.send
	s.inFlight--
	t.inFlight = false
	switch e := syscall.Errno(-result); {
	case result >= 0:
		s.sent(t, int(result), nil)
	case t.conn.state >= connEnding:
		s.sent(t, 0, t.conn.closedError("write"))
	case t.canceled && (e == syscall.EAGAIN || e == syscall.EINTR || e == syscall.ECANCELED):
		s.sent(t, 0, futures.ErrCanceled)
		s.full = s.full || e == syscall.EAGAIN
	case e == syscall.EAGAIN, e == syscall.EINTR, e == syscall.ECANCELED:
		s.refused.Push(t) // the last is one linked behind another that failed
		s.full = s.full || e == syscall.EAGAIN
	default:
		s.sent(t, 0, t.failed(e))
	}
	if s.inFlight == 0 {
		s.again()
	}
	s.shrunk()
}

// failed says what became of the message, and whom it was for.
func (t *transmission) failed(e syscall.Errno) error {
	err := t.conn.failed("write", e)
	if to := t.to.Bytes(); len(to) > 0 {
		err.Addr = sockets.NetAddr(to, t.conn.network)
	}
	return err
}

// again puts back what found no room, in its order, and goes on when there is.
func (s *packetSender) again() {
	if n := s.refused.Len(); n > 0 {
		for i := n - 1; i >= 0; i-- {
			if t := *s.refused.At(i); !t.canceled {
				s.queue.Unpop(t)
			}
		}
		for range n {
			if t := s.refused.Take(); t.canceled {
				s.sent(t, 0, futures.ErrCanceled)
			}
		}
	}
	switch {
	case s.conn.state >= connEnding:
		s.cancel(s.conn.closedError("write"))
	case s.full:
		s.await()
	default:
		s.start()
	}
}

// await waits for room.
func (s *packetSender) await() {
	c := s.conn
	switch {
	case s.polling || s.room.Armed():
	case c.family == syscall.AF_UNIX && !c.connected:
		s.room.Expired = func(err error) {
			if err == nil {
				s.full = false
				s.start()
			}
		}
		c.loop.engine.SetTimer(&s.room, c.loop.engine.After(roomRetry))
	default:
		s.polling = true
		sqe := c.loop.engine.Next()
		sqe.PrepPoll(c.fd, ring.PollOut)
		s.userData = c.loop.engine.Submit(sqe, (*packetRoom)(s))
	}
}

// packetRoom is the wait for room.
type packetRoom packetSender

func (r *packetRoom) Complete(int32, uint32) {
	s := (*packetSender)(r)
	s.polling, s.full = false, false
	s.start()
	s.conn.settled()
}

// sent takes a message off the books.
func (s *packetSender) sent(t *transmission, n int, err error) {
	s.pending.Add(-int64(len(t.data)))
	s.conclude(t, n, err)
}

// conclude ends a message: its lease goes back, its sender learns of it, and
// the transmission is free again.
func (s *packetSender) conclude(t *transmission, n int, err error) {
	if t.lease.lease != nil {
		t.lease.lease.EndAnywhere()
	}
	answer := t.answer
	t.data, t.lease, t.answer, t.canceled = nil, Buffer{}, nil, false
	switch {
	case answer == nil:
		s.release(t)
	case err != nil:
		s.conn.loop.engine.Later(func() { answer.Settle(n, err); s.release(t) })
	default:
		s.release(t)
		answer.Resolve(n)
	}
}

func (s *packetSender) release(t *transmission) {
	t.to.Clear()
	t.control.Clear()
	t.given = nil
	t.next, s.free = s.free, t
}

// shrunk lets go on what waits for the queue to be short, or empty.
func (s *packetSender) shrunk() {
	c := s.conn
	if s.eased(c.loop, nil) && c.recv.in.isHeld {
		c.recv.resume()
	}
	if s.inFlight == 0 {
		c.settled()
	}
}

// cancel ends what is queued, for that reason. What is in flight ends by itself.
func (s *packetSender) cancel(reason error) {
	for _, t := range s.queue.Cut(0) {
		s.sent(t, 0, reason)
	}
	s.shrunk()
}

// stop ends the wait for room.
func (s *packetSender) stop() {
	s.conn.loop.engine.StopTimer(&s.room)
	if s.polling {
		s.conn.loop.engine.Cancel(s.userData)
	}
}

// withdraw implements requestOwner.
func (t *transmission) withdraw(q *request[int]) { t.retract(&q.Promise) }

func (t *transmission) untaken() *requestList[int] { return nil }

// retract takes a message that answer stands for out of the queue. One in flight
// goes out, or comes back.
func (t *transmission) retract(answer *futures.Promise[int]) {
	s := &t.conn.send
	if t.answer != answer { // it serves another by now
		return
	}
	t.canceled = true
	if t.inFlight {
		t.conn.loop.engine.CancelOnce(t.userData)
		return
	}
	for i := range s.queue.Len() {
		if *s.queue.At(i) != t {
			continue
		}
		for _, other := range s.queue.Cut(i)[1:] {
			s.queue.Push(other)
		}
		s.sent(t, 0, futures.ErrCanceled)
		s.shrunk()
		return
	}
}

// Datagram is a message to be sent.
type Datagram struct {
	// Data is the message. It belongs to the library until the future of the
	// send resolves.
	Data []byte

	// To is who gets it; the zero AddrPort on a connected PacketConn.
	To netip.AddrPort

	// ToName is the unix socket that gets it: a path, or an abstract name that
	// begins with "@" or a zero byte.
	ToName string

	// Segment, if not zero, has the kernel cut Data into messages of so many
	// bytes, at most 64 of them (udp(7), UDP_SEGMENT, Linux 4.18). Where the
	// kernel or the device cannot, sending fails with syscall.EINVAL or
	// syscall.EIO.
	Segment int

	// Source, if valid, is the address of this machine to send from.
	Source netip.Addr

	// ECN is the codepoint to send with.
	ECN ECN

	control []byte // control messages as sendmsg(2) takes them, in place of all that
}

// describe checks a datagram and takes over what it says.
func (t *transmission) describe(d *Datagram) error {
	c := t.conn
	t.data, t.given = d.Data, d.control
	if err := c.address(&t.to, d.To, d.ToName); err != nil {
		return err
	}
	if d.Segment != 0 {
		if d.Segment < 0 || d.Segment > 1<<16-1 || c.family == syscall.AF_UNIX || c.headers {
			return syscall.EINVAL
		}
		t.control.AddSegmentSize(uint16(d.Segment))
	}
	inet4 := c.family == syscall.AF_INET || d.To.Addr().Unmap().Is4()
	if d.Source.IsValid() {
		if inet4 != d.Source.Unmap().Is4() {
			return errFamily
		}
		t.control.AddSource(d.Source)
	}
	if d.ECN != NotECT {
		t.control.AddTrafficClass(uint8(d.ECN&3), inet4)
	}
	return nil
}

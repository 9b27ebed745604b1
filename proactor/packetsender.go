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
// whose queue is full. Unless the two are connected, no event reports room.
const roomRetry = time.Millisecond

// packetSender is the sending side of a PacketConn: an ordered queue. No send
// waits in the kernel: a message that the socket has no room for is put back in its
// place, and all wait until there is room. What is in flight ends by itself. On a Unix
// socket the order holds, see start. On others a message that found no room may be
// overtaken by those submitted with it, as it may be on a network.
type packetSender struct {
	outgoing
	conn     *PacketConn
	queue    fifo.Queue[*transmission]
	refused  fifo.Queue[*transmission] // those in flight that found no room
	inFlight int
	full     bool // waits for room
	polling  bool // with a poll
	userData uint64
	room     engine.Timer // or with this timer
	free     *transmission
}

// transmission is a message that is queued or in flight. It is pooled.
type transmission struct {
	conn    *PacketConn
	data    []byte
	lease   Buffer                // of data, if it came as a lease
	answer  *futures.Promise[int] // of the send, nil for Queue
	to      sockets.Address
	header  ring.Msghdr
	vector  ring.Iovec
	control sockets.Control
	given   []byte        // control messages of the caller, in place of control
	next    *transmission // in the list of free ones

	userData uint64
	inFlight bool
	canceled bool // it is not tried again
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

// start submits what is queued. Messages to a Unix socket, which loses none
// and keeps their order, are linked: none is sent if the one before was not.
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

// Complete implements engine.Operation.
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
		s.refused.Push(t) // ECANCELED: it was linked behind one that failed
		s.full = s.full || e == syscall.EAGAIN
	default:
		s.sent(t, 0, t.failed(e))
	}
	if s.inFlight == 0 {
		s.again()
	}
	s.shrunk()
}

// failed is the error of a message, with its destination.
func (t *transmission) failed(e syscall.Errno) error {
	err := t.conn.failed("write", e)
	if to := t.to.Bytes(); len(to) > 0 {
		err.Addr = sockets.NetAddr(to, t.conn.network)
	}
	return err
}

// again puts back the messages that found no room, in their order, and waits for room.
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

// sent removes a message from the counts.
func (s *packetSender) sent(t *transmission, n int, err error) {
	s.pending.Add(-int64(len(t.data)))
	s.conclude(t, n, err)
}

// conclude ends a message: it releases the lease, settles the promise, and puts the
// transmission back into the pool.
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

// shrunk goes on with what waits until the queue is short, or empty.
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

// retract takes the message of answer out of the queue. One in flight is sent, or ends
// if it finds no room.
func (t *transmission) retract(answer *futures.Promise[int]) {
	s := &t.conn.send
	if t.answer != answer { // it is used for another message by now
		return
	}
	t.canceled = true
	if t.inFlight {
		t.conn.loop.engine.CancelOnce(t.userData)
		t.conn.loop.engine.AwaitEnd(t.userData)
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

	// To is the destination; the zero AddrPort on a connected PacketConn.
	To netip.AddrPort

	// ToName is the unix socket to send to: a path, or an abstract name that
	// begins with "@" or a zero byte.
	ToName string

	// Segment, if not zero, has the kernel split Data into at most 64 messages of
	// that many bytes (udp(7), UDP_SEGMENT, Linux 4.18). If the kernel or the
	// device cannot, the send fails with syscall.EINVAL or syscall.EIO.
	Segment int

	// Source, if valid, is the address of this machine to send from.
	Source netip.Addr

	// ECN is the codepoint to send with.
	ECN ECN

	control []byte // control messages in the form of sendmsg(2), instead of Segment, Source and ECN
}

// describe checks a Datagram and copies its fields.
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

package proactor

import (
	"errors"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/ring"
)

// sender is a connection's sending side: an ordered queue. One send is in flight, of the
// first segment or of several together. Segments that are queued meanwhile go out with
// the next send.
type sender struct {
	outgoing
	conn     *Conn
	userData uint64 // of the send under way
	queue    engine.Loan[segment]
	inFlight int16 // segments in the send under way, 0 when none is
	// untold counts the first segments while their callbacks are called: they have ended,
	// and nothing is in flight. No call of a callback ends them again.
	untold int16
	// unnotified counts the sends without copy whose memory the kernel still
	// reads.
	unnotified int32
	err        error // why nothing is sent any more
}

// ending is how sending ends, of a connection that has come to that.
type ending struct {
	reason    error      // why the send under way is being canceled, if it is
	halfClose *halfClose // CloseWrite was called
	waiting   *zeroCopy  // sends that wait for their notification only
}

// ending is zero for a connection that has come to none.
func (s *sender) ending() ending {
	if b := s.conn.limits; b != nil {
		return b.ending
	}
	return ending{}
}

// halfClosed is what CloseWrite has made, if it was called.
func (s *sender) halfClosed() *halfClose { return s.ending().halfClose }

// maxTransfer is the maximum number of bytes of one operation: an entry's length has 32
// bits, and the kernel moves at most 2 GiB less a page at a time. The rest of a
// longer send goes out with the next.
const maxTransfer = 1 << 30

// segment is the unsent part of one Send or Queue.
type segment struct {
	data    []byte
	sent    int
	lease   Buffer                // of data, if it came as a lease
	promise *futures.Promise[int] // of the Send, nil for Queue
	rights  *rights               // descriptors that go with its first byte
	turn    turn                  // instead of data: a chain or file sends now
	noCopy  bool                  // asked for by SendZeroCopy
	write   bool                  // a Write of a net.Conn, whose Close ends it
	copied  bool                  // a Write of a net.Conn that has returned
	zero    *zeroCopy             // sends it without copying
}

// push queues a segment. It goes out at the end of the loop's turn, together with others
// queued until then; if a send is under way, with the next one.
func (s *sender) push(g segment) {
	s.conn.recv.written = g.write
	if err := s.accepts(len(g.data)); err != nil {
		s.conclude(g, err)
		return
	}
	s.enqueue(g)
}

// enqueue is push of a segment that was accepted already.
func (s *sender) enqueue(g segment) {
	if len(g.data) == 0 && g.rights == nil && s.conn.medium != packets {
		s.conclude(g, nil)
		return
	}
	engine.RaceRead(g.data)
	if s.sendsUncopied(&g) {
		g.zero = s.conn.loop.newZeroCopy(s.conn)
	}
	s.queue.Push(&s.conn.loop.segments, g)
	s.pending.Add(int64(len(g.data)))
	if s.kept() == 0 && !s.conn.sendDue {
		s.conn.sendDue = true
		s.conn.loop.sending = append(s.conn.loop.sending, s)
	}
}

// over returns the error if the sending side has ended, else nil.
func (s *sender) over() error {
	switch {
	case s.err != nil:
		return s.err
	case s.conn.isMoving():
		return s.conn.opError("write", s.conn.movedTo())
	case s.conn.state != connOpen:
		return s.conn.closedError("write")
	}
	return nil
}

// isBroken reports whether the sending side has ended with EPIPE: the peer receives no more,
// or the socket's sending side was shut down. The connection can still receive.
func (s *sender) isBroken() bool { return errors.Is(s.err, syscall.EPIPE) }

// refusal returns the error if a new segment cannot be sent, else nil.
func (s *sender) refusal() error {
	err := s.over()
	switch {
	case err != nil:
		return err
	case s.halfClosed() != nil:
		return s.conn.failed("write", syscall.EPIPE)
	case s.conn.writeExpired():
		return s.conn.timedOut("write")
	}
	return nil
}

// kept is how many of the first segments are under way, or have ended and are not told yet.
func (s *sender) kept() int { return int(s.inFlight + s.untold) }

// start sends what is queued unless a send is under way.
func (s *sender) start() {
	n := s.queue.Len()
	if s.kept() > 0 || n == 0 {
		return
	}
	l := s.conn.loop
	first := s.queue.At(0)
	if first.turn != nil {
		s.inFlight = 1
		first.turn.grant()
		return
	}
	if first.zero != nil && !first.zero.refused {
		s.inFlight = 1
		s.userData = first.zero.submit(first.data[:min(len(first.data), maxTransfer)])
		return
	}
	n = s.gathered(n)
	sqe := l.engine.Next()
	flags := s.flags(n)
	switch {
	case s.conn.medium == file:
		sqe.PrepWrite(s.conn.fd, first.data[:min(len(first.data), maxTransfer)])
	case n == 1 && first.rights == nil:
		sqe.PrepSend(s.conn.fd, first.data[:min(len(first.data), maxTransfer)], flags)
	default:
		g := l.engine.Gather()
		for i := range n {
			g.Add(s.queue.At(i).data)
		}
		if r := first.rights; r != nil {
			g.Header.Control, g.Header.Controllen = &r.control[0], uintptr(len(r.control))
		}
		sqe.PrepSendmsg(s.conn.fd, &g.Header, flags)
	}
	s.inFlight = int16(n)
	s.userData = l.engine.Submit(sqe, s)
}

// flags are those of a send of n segments. What is in front of a file goes into one packet
// with the file's first bytes.
func (s *sender) flags(n int) uint32 {
	flags := ring.MsgWaitAll | ring.MsgNoSignal
	if s.isAwaited(n - 1) {
		// The send ends when there is no more room, so that whoever awaits a segment does
		// not wait for the ones behind it.
		flags = ring.MsgNoSignal
	}
	if n < s.queue.Len() {
		if _, isFile := s.queue.At(n).turn.(*fileSend); isFile {
			return flags | ring.MsgMore
		}
	}
	return flags
}

// isAwaited reports whether one of the first n segments has a future.
func (s *sender) isAwaited(n int) bool {
	for i := range n {
		if s.queue.At(i).promise != nil {
			return true
		}
	}
	return false
}

// gathered is how many of the n segments queued go out in one send: each message is a
// send of its own, descriptors go with the first byte of a send, and Writes of a net.Conn
// can be canceled without the segments before them.
func (s *sender) gathered(n int) int {
	if s.conn.medium != stream || s.queue.At(0).rights != nil {
		return 1
	}
	n = min(n, engine.MaxVector)
	first := s.queue.At(0)
	bytes := len(first.data)
	for i := 1; i < n; i++ {
		g := s.queue.At(i)
		if bytes += len(g.data); bytes > maxTransfer || g.rights != nil || g.turn != nil || g.zero != nil || g.write != first.write || g.copied != first.copied {
			return i
		}
	}
	return n
}

// Complete implements engine.Operation: the send under way has ended. Callbacks are called
// when all else is settled, for they may end the connection.
func (s *sender) Complete(result int32, _ uint32) {
	reason := s.ending().reason
	if reason != nil {
		s.conn.limits.ending.reason = nil
	}
	var failure error
	ended := 0
	switch {
	case result > 0:
		ended = s.account(int(result))
	case result == 0 && s.conn.medium == packets && len(s.queue.At(0).data) == 0: // an empty message
		ended = 1
	case syscall.Errno(-result) == syscall.EMSGSIZE && s.conn.medium == packets: // only this message is too large
		ended = 1
		s.pending.Add(-int64(len(s.queue.At(0).data)))
		failure = s.conn.failed("write", syscall.EMSGSIZE)
	}
	unsent := int(s.inFlight) - ended
	s.inFlight, s.untold = 0, int16(ended)
	switch {
	case reason != nil:
		s.failUnsent(unsent, reason)
	case ended > 0 || result > 0:
	case !s.retry(syscall.Errno(-result)):
		return
	}
	s.tell(failure)
	s.start()
	s.shrunk()
}

// account notes that n bytes of the queue are sent, and returns how many segments that
// ends. The rest of a short send goes out with the next, which reports the error that
// ended this one.
func (s *sender) account(n int) (ended int) {
	s.pending.Add(-int64(n))
	s.conn.touch(n)
	for n > 0 {
		g := s.queue.At(ended)
		if n < len(g.data) {
			g.data = g.data[n:]
			g.sent += n
			if g.rights != nil { // the descriptors are sent
				g.rights.close()
				g.rights = nil
			}
			return ended
		}
		n -= len(g.data)
		g.sent += len(g.data)
		ended++
	}
	return ended
}

// tell concludes the segments that have ended.
func (s *sender) tell(err error) {
	for s.untold > 0 {
		s.untold--
		s.conclude(s.queue.Pop(&s.conn.loop.segments), err)
	}
}

// failUnsent fails what a canceled send has not sent: n segments. Those behind were failed
// when the cancel was submitted; those queued since then are sent.
func (s *sender) failUnsent(n int, reason error) {
	if n == 0 {
		return
	}
	for i, g := range s.queue.Cut(&s.conn.loop.segments, int(s.untold)) {
		if i >= n {
			s.queue.Push(&s.conn.loop.segments, g)
			continue
		}
		s.pending.Add(-int64(len(g.data)))
		s.conclude(g, reason)
	}
}

// retry reports whether a send that failed is tried again.
func (s *sender) retry(e syscall.Errno) bool {
	switch e {
	case syscall.EINTR:
		return true
	case syscall.EAGAIN:
		// Others have made the descriptor non-blocking: wait until it has room.
		l := s.conn.loop
		sqe := l.engine.Next()
		sqe.PrepPoll(s.conn.fd, ring.PollOut)
		s.userData = l.engine.Submit(sqe, (*sendable)(s))
		s.inFlight = 1
		return false
	case syscall.ECANCELED:
		s.fail(s.conn.closedError("write"))
	case 0:
		s.fail(s.conn.failed("write", syscall.EPIPE)) // nothing sent and no error: it would repeat for ever
	default:
		s.fail(s.conn.failed("write", e))
	}
	return true
}

// sendable is the sender while it waits for room in a non-blocking socket.
type sendable sender

func (w *sendable) Complete(result int32, _ uint32) {
	s := (*sender)(w)
	switch {
	case s.ending().reason != nil: // it was canceled, perhaps just when there was room
		s.Complete(-int32(syscall.ECANCELED), 0)
	case result < 0:
		s.Complete(result, 0)
	default:
		s.inFlight = 0
		s.start()
	}
}

// fail ends the sending for good.
func (s *sender) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.abandon(err)
}

// abandon fails what is queued and not under way.
func (s *sender) abandon(err error) { s.abandonFrom(s.kept(), err) }

// abandonFrom fails the i-th segment and all behind it.
func (s *sender) abandonFrom(i int, err error) {
	for _, g := range s.queue.Cut(&s.conn.loop.segments, i) {
		s.pending.Add(-int64(len(g.data)))
		s.conclude(g, err)
	}
	s.shrunk()
}

// cancel ends the send under way, the segments behind it, and the waiting for what was sent
// without copying, for that reason.
func (s *sender) cancel(reason error) {
	s.interrupt(reason)
	s.abandon(reason)
	s.giveUpWaiting(reason)
}

// interrupt ends the send under way.
func (s *sender) interrupt(reason error) {
	if s.inFlight > 0 && s.queue.At(0).turn != nil {
		s.queue.At(0).turn.end(reason)
	} else if s.inFlight > 0 && s.ending().reason == nil {
		s.conn.limited().ending.reason = reason
		s.conn.loop.engine.Cancel(s.userData)
		if g := s.queue.At(0); g.sent > 0 && g.zero != nil && g.zero.earlier() {
			s.conn.abort(reason) // as zeroCopy.giveUp does
		}
		s.awaitEnd()
	}
}

// awaitEnd has an Await in a callback wait for the send under way, which is being
// canceled, and for all that was sent of its segment without copying.
func (s *sender) awaitEnd() {
	s.conn.loop.engine.AwaitEnd(s.userData)
	if z := s.queue.At(0).zero; z != nil {
		s.conn.loop.engine.AwaitEndOf(z)
	}
}

// giveUpWaiting ends the waiting for what was sent without copying.
func (s *sender) giveUpWaiting(reason error) {
	for z := s.ending().waiting; z != nil; z = z.next {
		z.giveUp(reason)
	}
}

// cut ends the first Write of a net.Conn and the segments behind it, and reports
// whether that Write was under way.
func (s *sender) cut(reason error) (underWay bool) {
	for z := s.ending().waiting; z != nil; z = z.next {
		if z.segment.write {
			s.cancel(reason)
			return true
		}
	}
	for i := int(s.untold); i < s.queue.Len(); i++ {
		switch {
		case !s.queue.At(i).write:
		case i < int(s.inFlight):
			s.cancel(reason)
			return true
		default:
			s.abandonFrom(i, reason)
			return false
		}
	}
	return false
}

// endWrites ends the first Write of a net.Conn that the socket has not taken, and the
// segments behind it. One that is being sent without copying goes on: its memory cannot be
// had back without a reset.
func (s *sender) endWrites(reason error) {
	for i := int(s.untold); i < s.queue.Len(); i++ {
		switch g := s.queue.At(i); {
		case !g.write:
		case i >= int(s.inFlight):
			s.abandonFrom(i, reason)
			return
		case g.zero == nil || g.zero.refused:
			s.interrupt(reason)
			s.abandon(reason)
			return
		}
	}
}

// conclude ends a segment: it releases the lease and settles the promise with the number
// of bytes sent.
func (s *sender) conclude(g segment, err error) {
	if z := g.zero; z != nil {
		g.zero = nil
		z.conclude(g, err)
		return
	}
	s.giveUp(g)
	if g.turn != nil {
		g.turn.refuse(err)
	}
	switch {
	case g.promise == nil:
	case err == nil:
		g.promise.Resolve(g.sent)
	default:
		s.conn.loop.engine.Later(func() { g.promise.Settle(g.sent, err) })
	}
}

// giveUp releases what a segment holds. Any goroutine may call it once the loop has ended.
func (s *sender) giveUp(g segment) {
	if g.lease.lease != nil {
		g.lease.lease.EndAnywhere()
	}
	if g.rights != nil {
		g.rights.close()
	}
}

// turn is a place in the queue of a chain or file, which submits its own operations.
type turn interface {
	grant()           // it is the first and may send until it calls unclaim
	end(error)        // it must end, for that reason
	refuse(err error) // it is not granted, or has ended
}

// unclaim takes a turn out of the queue; the segments behind it go out.
func (s *sender) unclaim(m turn) {
	for i := range s.queue.Len() {
		if s.queue.At(i).turn != m {
			continue
		}
		if i < int(s.inFlight) {
			s.inFlight = 0
		}
		tail := s.queue.Cut(&s.conn.loop.segments, i)
		for _, g := range tail[1:] {
			s.queue.Push(&s.conn.loop.segments, g)
		}
		break
	}
	if s.err != nil {
		s.abandon(s.err)
		return
	}
	s.start()
	s.shrunk()
}

// shrunk goes on with what waits until the queue is short, or empty.
func (s *sender) shrunk() {
	c := s.conn
	if s.eased(c.loop, s.err) && c.recv.in.isHeld {
		c.recv.resume()
	}
	if s.queue.Len() == 0 {
		if h := s.halfClosed(); h != nil {
			h.start()
		}
		c.settled()
	}
}

// halfClose is the shutdown of the sending side, once everything is sent.
type halfClose struct {
	conn    *Conn
	started bool
	ended   bool
	err     error
	waiting []*futures.Promise[struct{}] // one for each CloseWrite
}

func (h *halfClose) start() {
	c := h.conn
	if h.started {
		return
	}
	h.started = true
	if c.send.err != nil || c.state >= connEnding {
		h.tell(c.send.over())
		return
	}
	sqe := c.loop.engine.Next()
	sqe.PrepShutdown(c.fd, syscall.SHUT_WR)
	c.loop.engine.Submit(sqe, h)
	c.others++
}

func (h *halfClose) Complete(result int32, _ uint32) {
	c := h.conn
	c.others--
	var err error
	if result < 0 {
		err = c.failed("shutdown", syscall.Errno(-result))
	}
	h.tell(err)
	c.settled()
}

func (h *halfClose) tell(err error) {
	h.ended, h.err = true, err
	for _, p := range h.waiting {
		h.conn.loop.engine.Later(func() { p.Settle(struct{}{}, err) })
	}
	h.waiting = nil
}

func (s *sender) untaken() *requestList[int] { return nil }

// withdraw implements requestOwner.
func (s *sender) withdraw(q *request[int]) { s.retract(&q.Promise) }

// retract takes p's segment out of the queue, or cancels the send that it is
// part of. If a part of it was sent, the connection cannot send any more.
func (s *sender) retract(p *futures.Promise[int]) {
	for i := int(s.untold); i < s.queue.Len(); i++ {
		if s.queue.At(i).promise != p {
			continue
		}
		switch {
		case i >= int(s.inFlight):
		case s.ending().reason != nil: // it was canceled before, for whatever reason
			s.awaitEnd()
			return
		default:
			s.err = s.conn.opError("write", futures.ErrCanceled)
			s.cancel(futures.ErrCanceled)
			return
		}
		for j, g := range s.queue.Cut(&s.conn.loop.segments, i) {
			if j > 0 {
				s.queue.Push(&s.conn.loop.segments, g)
				continue
			}
			s.pending.Add(-int64(len(g.data)))
			defer s.conclude(g, futures.ErrCanceled)
		}
		defer s.shrunk() // nothing else may be there to go on
		return
	}
	for z := s.ending().waiting; z != nil; z = z.next {
		if z.segment.promise == p {
			z.giveUp(futures.ErrCanceled)
			return
		}
	}
}

// vectorSend is a Send of several pieces: a segment for each, one promise.
type vectorSend struct {
	starter starter
	conn    *Conn
	data    [][]byte
	promise *futures.Promise[int]
	pieces  []*futures.Promise[int]
	left    int
	sent    int
	err     error
}

func (v *vectorSend) begin() {
	p := v.data
	if len(p) == 0 {
		v.promise.Resolve(0)
		return
	}
	for range p {
		piece := futures.NewPromise[int]()
		piece.Future().Then(v.ended)
		v.pieces = append(v.pieces, piece)
	}
	for i, data := range p {
		v.conn.send.push(segment{data: data, promise: v.pieces[i]})
	}
}

func (v *vectorSend) ended(n int, err error) {
	v.sent += n
	if v.err == nil {
		v.err = err
	}
	if v.left--; v.left == 0 {
		v.promise.Settle(v.sent, v.err)
	}
}

func (v *vectorSend) cancel() {
	for i := len(v.pieces) - 1; i >= 0; i-- {
		v.conn.send.retract(v.pieces[i])
	}
}

func (v *vectorSend) refuse(err error) { v.promise.Fail(err) }

// Contain implements engine.Container.
func (s *sender) Contain() {
	s.inFlight = 0 // its completion was being handled
	s.tell(nil)
	s.conn.abort(s.conn.closedError("read"))
}

package proactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
)

// PacketConn sends and receives messages: UDP, unix datagrams, raw IP. It
// belongs to one loop, as a Conn does; its methods may be called from any
// goroutine, and are cheapest on its loop.
//
// The network may lose messages, and so may the socket if they are not received in time.
// Those that the kernel delivers are received whole and in its order.
type PacketConn struct {
	residence engine.RosterPlace
	loop      *Loop
	fd        int
	network   string
	family    int
	headers   bool // raw IPv4: messages come with their IP header
	connected bool
	state     connState
	shut      atomic.Bool // Close was called

	recv    packetReceiver
	send    packetSender
	account engine.Account // bytes of messages that it holds

	overBudget atomic.Bool // it was ended with ErrOverBudget

	reading, writing deadline
	drainLimit       engine.Timer
	local, remote    net.Addr
	nonblocking      nonblocking // who needs the socket non-blocking, see rawConn
	using            sync.Mutex  // keeps the descriptor ours while an option is set
	gone             bool        // it is not any more
	closed           *futures.Promise[struct{}]
	refusal          error // why the loop refused it
	detaching        *packetDetachment
	detached         bool // Detach has moved its socket
}

var errFamily = errors.New("the address is of another family than the socket: want IPv4 for IPv4, IPv6 for IPv6")

// ListenPacket opens a socket for messages on an address. The network is
//
//   - "udp", "udp4", "udp6": the address is host:port, port 0 for any free one;
//     without a host or with a wildcard, "udp" takes IPv6 and IPv4;
//   - "unixgram": the address is a path, or an abstract name that begins with
//     "@" or a zero byte; with "" the kernel chooses one (unix(7), autobind);
//   - "ip4:PROTOCOL", "ip6:PROTOCOL", with a number or one of icmp, igmp, tcp,
//     udp, ipv6-icmp: a raw socket (raw(7)), which needs CAP_NET_RAW.
//
// It belongs to the loop that the caller runs on, else to each in turn. A host
// name is looked up, which waits; use an address on a loop.
//
// Errors are *net.OpError around the system's: errors.Is finds
// syscall.EADDRINUSE, syscall.EPERM and so on.
func (rt *Runtime) ListenPacket(network, address string, opts ...PacketOption) (*PacketConn, error) {
	return rt.someLoop().listenPacket(network, address, opts, nil)
}

// ListenPackets opens a socket on each loop, all on the same port, over which
// the kernel spreads the senders (SO_REUSEPORT). UDP only.
func (rt *Runtime) ListenPackets(network, address string, opts ...PacketOption) (all []*PacketConn, err error) {
	defer func() {
		if err != nil {
			for _, c := range all {
				c.Close()
			}
			all = nil
		}
	}()
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return nil, sockets.ListenError(network, nil, net.UnknownNetworkError(network))
	}
	for i, l := range rt.loops {
		// The first is bound without SO_REUSEPORT, so that a port in use is refused.
		after := sockets.ShareBound
		if i == 1 {
			opts = append(append([]PacketOption(nil), opts...), WithReusePort())
		}
		c, err := l.listenPacket(network, address, opts, after)
		if err != nil {
			return all, err
		}
		all = append(all, c)
		address = c.LocalAddr().String()
	}
	return all, nil
}

func (l *Loop) listenPacket(network, address string, opts []PacketOption, bound func(fd int) error) (*PacketConn, error) {
	o, err := packetOptionsOf(opts)
	if err != nil {
		return nil, sockets.ListenError(network, nil, err)
	}
	if l.engine.Refusing() {
		return nil, sockets.ListenError(network, nil, errShutdownDone)
	}
	socket, err := sockets.ListenPacket(network, address, &o)
	if err != nil {
		return nil, err
	}
	if bound != nil {
		if err := bound(socket.FD); err != nil {
			sockets.Close(socket.FD)
			return nil, sockets.ListenError(network, socket.Local, err)
		}
	}
	c := newPacketConn(l, network, socket)
	return c, c.start(&o)
}

func newPacketConn(l *Loop, network string, s *sockets.Packet) *PacketConn {
	return &PacketConn{loop: l, network: network, fd: s.FD, family: s.Family, headers: s.Headers, connected: s.Connected, local: s.Local, remote: s.Remote}
}

func packetOptionsOf(opts []PacketOption) (o packetOptions, err error) {
	for _, set := range opts {
		if err := set(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// DialPacket opens a socket for messages and connects it: it sends to that
// address and receives from there only (connect(2)). Network and address are
// those of ListenPacket; WithLocalAddr gives the address to send from. Nothing
// is sent, so DialPacket succeeds even if nobody listens there; a later operation then
// fails with syscall.ECONNREFUSED.
//
// A name is resolved off the loop, and its first suitable address used.
func (rt *Runtime) DialPacket(ctx context.Context, network, address string, opts ...PacketOption) futures.Future[*PacketConn] {
	p := futures.NewPromise[*PacketConn]()
	l := rt.someLoop()
	fail := func(err error) { p.Fail(&net.OpError{Op: "dial", Net: network, Err: err}) }
	o, err := packetOptionsOf(opts)
	if err != nil {
		fail(err)
		return p.Future()
	}
	if err := ctx.Err(); err != nil {
		fail(contextEnded(ctx))
		return p.Future()
	}
	if l.engine.Refusing() {
		fail(errShutdownDone)
		return p.Future()
	}
	connect := func(to sockets.PacketAddress) {
		socket, err := sockets.DialPacket(network, to, &o)
		if err != nil {
			p.Fail(&net.OpError{Op: "dial", Net: network, Source: o.Local, Addr: to.Addr(network), Err: err})
			return
		}
		c := newPacketConn(l, network, socket)
		if err := c.start(&o); err != nil {
			p.Fail(err)
		} else if !p.Resolve(c) {
			c.Close() // canceled meanwhile
		}
	}
	to, known, err := sockets.ParsePacketAddress(network, address)
	switch {
	case address == "" && !errors.As(err, new(net.UnknownNetworkError)): // ListenPacket allows it
		fail(&net.AddrError{Err: "missing address"})
	case err != nil:
		fail(err)
	case known:
		connect(to)
	default:
		ctx, cancel := context.WithCancelCause(ctx)
		p.SetCanceler(futures.CancelFunc(func() { cancel(futures.ErrCanceled) }))
		go func() {
			defer cancel(nil)
			to, err := sockets.LookupPacketAddress(ctx, network, address)
			if err == nil {
				err = ctx.Err()
			}
			if ctx.Err() != nil {
				fail(contextEnded(ctx))
			} else if err != nil {
				fail(err)
			} else {
				connect(to)
			}
		}()
	}
	return p.Future()
}

// start registers the socket with its loop.
func (c *PacketConn) start(o *packetOptions) error {
	c.recv.conn, c.send.conn = c, c
	c.account.Clients = packetClients
	c.recv.shape.Namelen = sockets.SizeofInet6
	if c.family == syscall.AF_UNIX {
		c.recv.shape.Namelen = sockets.SizeofAddress
	}
	c.recv.shape.Controllen = uintptr(o.ControlRoom())
	ok := c.loop.engine.Begin(func() {
		if c.loop.stopping() || len(c.loop.draining) > 0 {
			c.refuse(errShutdownDone)
			return
		}
		if err := c.loop.messageBuffers(); err != nil {
			c.refuse(err)
			return
		}
		c.loop.residents.Add(c, &c.residence)
	})
	if !ok {
		sockets.Close(c.fd)
		return c.opError("listen", errShutdownDone)
	}
	if c.loop.engine.Inside() && c.refusal != nil {
		return c.opError("listen", c.refusal)
	}
	return nil // the call is posted
}

// refuse ends a socket that the loop cannot take. Operations on it fail with the reason.
func (c *PacketConn) refuse(why error) {
	c.refusal = why
	c.state = connClosed
	c.leave()
	sockets.Close(c.fd)
}

// Loop is the loop it belongs to.
func (c *PacketConn) Loop() *Loop { return c.loop }

// LocalAddr is the address of this end.
func (c *PacketConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address it is connected to, nil if to none.
func (c *PacketConn) RemoteAddr() net.Addr { return c.remote }

// Recv receives a message. Calls are answered in their order; a cancel loses
// no message. The caller must release the Message or give it away.
//
// Errors of earlier sends that the network reports later, such as syscall.ECONNREFUSED,
// come from Recv, too; receiving can go on after them. After Close the error is
// ErrClosed.
//
// The future keeps its result until that is taken, see futures.Future.
func (c *PacketConn) Recv() futures.Future[Message] { return recv(receiving[Message](&c.recv)) }

// Messages ranges over received messages until ctx ends, which is yielded as an error, or
// the PacketConn is closed, which is not. Errors after which receiving can go on are
// yielded, too, and the range goes on. The loop body must release each Message or
// give it away.
func (c *PacketConn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := c.Recv().Await(ctx)
			if errors.Is(err, ErrClosed) {
				return
			}
			if !yield(m, err) || err != nil && (ctx.Err() != nil || !transient(err)) {
				return
			}
		}
	}
}

// transient reports whether receiving can go on after an error.
func transient(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e)
}

// OnMessage has fn called on the loop with every message and every error. ErrClosed is
// the last; after other errors receiving goes on. fn owns each message. While the send
// queue is above its high-water mark fn is not called.
//
// A PacketConn is received either with OnMessage or with Recv.
func (c *PacketConn) OnMessage(fn func(Message, error)) {
	if fn == nil {
		panic("proactor: OnMessage wants a function to receive with, got nil")
	}
	if !c.loop.engine.Perform(func() { c.recv.handle(fn) }) {
		fn(Message{}, c.closedError("read"))
	}
}

// Send sends p to the address that the PacketConn is connected to, see SendTo.
func (c *PacketConn) Send(p []byte) futures.Future[int] {
	return c.SendDatagram(Datagram{Data: p})
}

// SendTo sends p as one message. p belongs to the library until the future
// resolves, with the number of bytes, when the kernel has taken it. Messages go
// out in the order of the calls. A message too large fails with
// syscall.EMSGSIZE.
//
// The future keeps its result until that is taken, see futures.Future.
func (c *PacketConn) SendTo(p []byte, to netip.AddrPort) futures.Future[int] {
	return c.SendDatagram(Datagram{Data: p, To: to})
}

// SendToName sends p to a unix socket, see SendTo.
func (c *PacketConn) SendToName(p []byte, name string) futures.Future[int] {
	return c.SendDatagram(Datagram{Data: p, ToName: name})
}

// SendDatagram sends a message with options of its own, see Datagram and SendTo.
func (c *PacketConn) SendDatagram(d Datagram) futures.Future[int] {
	l := c.loop
	if !l.engine.Inside() {
		return c.sendElsewhere(d)
	}
	t := c.send.fresh()
	q, f := l.sends.begin(t)
	c.begin(t, &q.Promise, &d)
	return f
}

// begin sends a message; answer gets the result.
func (c *PacketConn) begin(t *transmission, answer *futures.Promise[int], d *Datagram) {
	t.answer = answer
	if err := t.describe(d); err != nil {
		c.send.conclude(t, 0, c.opError("write", err))
		return
	}
	c.send.push(t)
}

func (c *PacketConn) sendElsewhere(d Datagram) futures.Future[int] {
	q := c.loop.sends.elsewhere()
	engine.RaceRead(d.Data)
	ok := c.loop.engine.Do(func() {
		if q.Pending() { // else it was canceled before it reached the loop
			t := c.send.fresh()
			q.owner = t
			c.begin(t, &q.Promise, &d)
		}
	})
	if !ok {
		q.Fail(c.closedError("write"))
	}
	return q.Future()
}

// SendBatch sends messages, in their order. The future resolves when the kernel
// has taken all, with their number; if some could not be sent, with the number of those
// sent and the first error.
func (c *PacketConn) SendBatch(batch []Datagram) futures.Future[int] {
	if len(batch) == 0 {
		return futures.Resolved(0)
	}
	b := &packetBatch{conn: c, messages: batch, answer: futures.NewPromise[int](), left: len(batch)}
	b.answer.SetCanceler(&b.starter)
	for i := range batch {
		engine.RaceRead(batch[i].Data)
	}
	for range batch {
		part := c.loop.sends.elsewhere()
		part.Future().Then(b.ended)
		b.parts = append(b.parts, part)
	}
	if !b.starter.start(c.loop, b) {
		b.refuse(c.closedError("write"))
	}
	return b.answer.Future()
}

// packetBatch is a SendBatch under way.
type packetBatch struct {
	starter    starter
	answer     *futures.Promise[int]
	conn       *PacketConn
	messages   []Datagram
	parts      []*request[int]
	left, sent int
	err        error
}

func (b *packetBatch) ended(_ int, err error) {
	if err == nil {
		b.sent++
	} else if b.err == nil {
		b.err = err
	}
	if b.left--; b.left == 0 {
		b.answer.Settle(b.sent, b.err)
	}
}

func (b *packetBatch) begin() {
	for i, part := range b.parts {
		t := b.conn.send.fresh()
		part.owner = t
		b.conn.begin(t, &part.Promise, &b.messages[i])
	}
}

// cancel begins at the end: the messages that go out are the first of the batch.
func (b *packetBatch) cancel() {
	for i := len(b.parts) - 1; i >= 0; i-- {
		b.parts[i].withdraw()
	}
}

func (b *packetBatch) refuse(err error) { b.answer.Fail(err) }

// Queue adds b to the send queue as a message to that address, and takes over the lease.
// The zero AddrPort is the address that the PacketConn is connected to. The future is
// resolved at once while the queue is below its high-water mark, else when it has shrunk.
// A failure of the send is not reported.
func (c *PacketConn) Queue(b Buffer, to netip.AddrPort) futures.Future[struct{}] {
	b = b.take("Queue")
	if !c.loop.engine.Inside() {
		return c.queueElsewhere(b, to, "", nil)
	}
	return c.queue(b, to, "", nil)
}

// Reply sends the present bytes of a message to its sender, and takes over the lease.
// Otherwise it is like Queue.
func (c *PacketConn) Reply(m Message) futures.Future[struct{}] {
	from := m.sender()
	b := m.take("Reply")
	if !c.loop.engine.Inside() {
		return c.queueElsewhere(b, netip.AddrPort{}, "", append([]byte(nil), from...))
	}
	return c.queue(b, netip.AddrPort{}, "", from)
}

func (c *PacketConn) queue(b Buffer, to netip.AddrPort, name string, raw []byte) futures.Future[struct{}] {
	s := &c.send
	t := s.fresh()
	if b.lease != nil {
		t.data = b.lease.Data()
	}
	t.lease = b
	err := s.refusal()
	switch {
	case err != nil:
	case raw != nil && !c.connected:
		t.to.SetRaw(raw)
	case raw == nil:
		if err = c.address(&t.to, to, name); err != nil {
			err = c.opError("write", err)
		}
	}
	if err != nil {
		s.conclude(t, 0, err)
		return futures.Failed[struct{}](err)
	}
	s.push(t)
	if s.above(c.loop) {
		return s.pressed(c.loop, &c.recv.in)
	}
	return futures.Future[struct{}]{}
}

func (c *PacketConn) queueElsewhere(b Buffer, to netip.AddrPort, name string, raw []byte) futures.Future[struct{}] {
	p := futures.NewPromise[struct{}]()
	ok := c.loop.engine.Do(func() {
		c.queue(b, to, name, raw).Then(func(_ struct{}, err error) { p.Settle(struct{}{}, err) })
	})
	if !ok {
		b.end()
		p.Fail(c.closedError("write"))
	}
	return p.Future()
}

// address sets the destination of a message.
func (c *PacketConn) address(a *sockets.Address, to netip.AddrPort, name string) error {
	a.Clear()
	switch {
	case !to.IsValid() && name == "":
		if !c.connected {
			return os.NewSyscallError("sendmsg", syscall.EDESTADDRREQ)
		}
		return nil
	case c.connected:
		return net.ErrWriteToConnected
	case c.family == syscall.AF_UNIX:
		if name == "" {
			return errFamily
		}
		if !a.SetUnix(name) {
			return os.NewSyscallError("sendmsg", syscall.EINVAL)
		}
		return nil
	case !to.IsValid(), c.family == syscall.AF_INET && !to.Addr().Unmap().Is4():
		return errFamily
	}
	a.SetIP(to, c.family == syscall.AF_INET6)
	if c.network[0] == 'i' && c.family == syscall.AF_INET6 {
		a.ClearPort()
	}
	return nil
}

// SetDeadline sets both deadlines. After Close the error is ErrClosed.
func (c *PacketConn) SetDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setReadDeadline(t); c.setWriteDeadline(t) })
}

func (c *PacketConn) setDeadline(set func()) error {
	if c.shut.Load() || !c.loop.engine.Perform(set) {
		return &net.OpError{Op: "set", Net: c.network, Addr: c.local, Err: c.loop.closedBy(ErrClosed)}
	}
	return nil
}

// SetReadDeadline makes receives at t or later, those that wait included, fail
// with os.ErrDeadlineExceeded; the zero time means never. No message is lost.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setReadDeadline(t) })
}

// SetWriteDeadline makes sends that are queued at t or later fail with
// os.ErrDeadlineExceeded; the zero time means never.
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(func() { c.setWriteDeadline(t) })
}

func (c *PacketConn) setReadDeadline(t time.Time) {
	c.reading.set(c.loop, c.state >= connEnding, t, func() { c.recv.expire(c.timedOut("read")) })
}

func (c *PacketConn) setWriteDeadline(t time.Time) {
	c.writing.set(c.loop, c.state >= connEnding, t, func() { c.send.cancel(c.timedOut("write")) })
}

func (c *PacketConn) failed(op string, e syscall.Errno) *net.OpError {
	return c.opError(op, os.NewSyscallError(map[string]string{"read": "recvmsg", "write": "sendmsg"}[op], e))
}

func (c *PacketConn) timedOut(op string) error { return c.opError(op, errTimeout) }
func (c *PacketConn) closedError(op string) error {
	if c.refusal != nil {
		return c.opError(op, fmt.Errorf("%w: %w", ErrClosed, c.refusal))
	}
	if c.overBudget.Load() {
		return c.opError(op, ErrOverBudget)
	}
	return c.opError(op, c.loop.closedBy(ErrClosed))
}

func (c *PacketConn) opError(op string, cause error) *net.OpError {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: cause}
}

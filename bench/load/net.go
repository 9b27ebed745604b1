package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/goproactor/goproactor/ring"
	"golang.org/x/sys/unix"
)

// Handler is called from Poll. None of its methods may block.
type Handler interface {
	// Received gets what has come in. p is valid until it returns.
	Received(conn int, p []byte)
	// Sent follows each Send, when its memory is free again.
	Sent(conn int)
	// Closed is the last call for a connection: err is io.EOF when the peer
	// closed it. The descriptor is closed already.
	Closed(conn int, err error)
}

// Config sizes a Net.
type Config struct {
	Conns   int // connections that receive
	Receive int // bytes that usually come in at a time
}

// Net moves bytes over TCP connections: one thread, one io_uring.
type Net struct {
	queue   ring.Queue
	handler Handler
	conns   []*netConn
	free    []int // numbers of closed connections
	live    int

	bufs    *ring.BufferRing
	mem     []byte
	bufSize int
	starved []int // connections whose receive found no buffer

	cqes [256]ring.CQE
	now  time.Duration
	base time.Time
}

type netConn struct {
	fd        int
	open      bool
	receiving bool
	sending   bool
	idle      bool
	err       error // why it is ending
}

const (
	opRecv uint64 = iota
	opSend
)

const group = 1

// OpenNet opens a Net. It belongs to the calling goroutine, which must be
// locked to its thread.
func OpenNet(c Config, h Handler) (*Net, error) {
	q, err := ring.Open(ring.Options{Entries: 4096, CQEntries: 32768})
	if err != nil {
		return nil, err
	}
	n := &Net{queue: q, handler: h, base: time.Now()}
	n.bufSize = min(max(roundUp(c.Receive), 4<<10), 64<<10)
	count := min(max(roundUp(2*c.Conns), 64), 4096)
	n.mem = make([]byte, count*n.bufSize)
	if n.bufs, err = ring.NewBufferRing(count); err != nil {
		q.Close()
		return nil, err
	}
	for i := range count {
		n.provide(uint16(i))
	}
	n.bufs.Publish()
	if err := q.RegisterBufferRing(group, n.bufs); err != nil {
		q.Close()
		return nil, fmt.Errorf("provide buffers: %w", err)
	}
	return n, nil
}

func roundUp(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

func (n *Net) buf(id uint16) []byte {
	return n.mem[int(id)*n.bufSize:][:n.bufSize:n.bufSize]
}

func (n *Net) provide(id uint16) { n.bufs.Add(n.buf(id), id) }

// Dial opens a connection from the given local address (the zero Addr: any) and
// begins to receive on it, unless it is idle.
func (n *Net) Dial(to netip.AddrPort, from netip.Addr, idle bool) (conn int, err error) {
	fd, err := Dial(to, from)
	if err != nil {
		return -1, err
	}
	c := &netConn{fd: fd, open: true, idle: idle}
	if last := len(n.free) - 1; last >= 0 {
		conn, n.free = n.free[last], n.free[:last]
		n.conns[conn] = c
	} else {
		conn = len(n.conns)
		n.conns = append(n.conns, c)
	}
	if !idle {
		n.live++
		n.receive(conn)
	}
	return conn, nil
}

// Dial connects a blocking socket: on loopback that takes no waiting. Closing
// it resets the connection, lest thousands stay behind in TIME_WAIT.
func Dial(to netip.AddrPort, from netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if from.IsValid() {
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()})
	}
	for err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
		if !errors.Is(err, unix.EINTR) {
			break
		}
		err = nil
	}
	if err != nil && !errors.Is(err, unix.EISCONN) {
		unix.Close(fd)
		return -1, fmt.Errorf("connect %v: %w", to, err)
	}
	return fd, nil
}

func userData(op uint64, conn int) uint64 { return op<<32 | uint64(conn) }

func (n *Net) receive(conn int) {
	c := n.conns[conn]
	e := n.queue.Next()
	e.PrepMultishotRecv(c.fd, group, 0)
	e.SetUserData(userData(opRecv, conn))
	c.receiving = true
}

// Send sends all of p. The next Send on the connection comes after Sent.
func (n *Net) Send(conn int, p []byte) {
	c := n.conns[conn]
	e := n.queue.Next()
	e.PrepSend(c.fd, p, ring.MsgNoSignal|ring.MsgWaitAll)
	e.SetUserData(userData(opSend, conn))
	c.sending = true
}

// FinishSending shuts down the sending side; the connection ends when the peer
// closes it.
func (n *Net) FinishSending(conn int) error {
	return unix.Shutdown(n.conns[conn].fd, unix.SHUT_WR)
}

// Live is the number of connections that receive.
func (n *Net) Live() int { return n.live }

// Now is the time since the Net was opened, as of the last Poll.
func (n *Net) Now() time.Duration { return n.now }

// Clock reads the clock: the same time, as of now.
func (n *Net) Clock() time.Duration { return time.Since(n.base) }

// Poll submits what was queued, waits up to wait for something to happen
// (ring.Forever: no limit), and calls the handler.
func (n *Net) Poll(wait time.Duration) error {
	if err := n.queue.Enter(wait); err != nil {
		return err
	}
	n.now = n.Clock()
	for {
		count := n.queue.Reap(n.cqes[:])
		for i := range n.cqes[:count] {
			n.complete(&n.cqes[i])
		}
		if count < len(n.cqes) {
			break
		}
	}
	n.bufs.Publish()
	for _, conn := range n.starved {
		if n.conns[conn].open {
			n.receive(conn)
		}
	}
	n.starved = n.starved[:0]
	return nil
}

func (n *Net) complete(cqe *ring.CQE) {
	op, conn := cqe.UserData()>>32, int(uint32(cqe.UserData()))
	c := n.conns[conn]
	result := int(cqe.Result())
	switch op {
	case opRecv:
		c.receiving = cqe.More()
		if cqe.Flags()&ring.CQEFBuffer != 0 {
			id := cqe.BufferID()
			if result > 0 && c.err == nil {
				n.handler.Received(conn, n.buf(id)[:result])
			}
			n.provide(id)
		}
		switch {
		case result == -int(unix.ENOBUFS):
			n.starved = append(n.starved, conn)
			return
		case result < 0:
			n.fail(c, fmt.Errorf("receive: %w", unix.Errno(-result)))
		case result == 0:
			n.fail(c, io.EOF)
		case !c.receiving:
			n.receive(conn)
		}
	case opSend:
		c.sending = false
		if result < 0 {
			n.fail(c, fmt.Errorf("send: %w", unix.Errno(-result)))
			unix.Shutdown(c.fd, unix.SHUT_RDWR) // ends the receive
		} else if c.err == nil {
			n.handler.Sent(conn)
		}
	}
	if c.err != nil && !c.receiving && !c.sending {
		c.open = false
		unix.Close(c.fd)
		n.live--
		n.free = append(n.free, conn)
		n.handler.Closed(conn, c.err)
	}
}

func (n *Net) fail(c *netConn, err error) {
	if c.err == nil {
		c.err = err
	}
}

// Close ends every connection and the queue.
func (n *Net) Close() error {
	for _, c := range n.conns {
		if c.open {
			unix.Shutdown(c.fd, unix.SHUT_RDWR)
		}
	}
	err := n.queue.Close()
	for _, c := range n.conns {
		if c.open {
			unix.Close(c.fd)
		}
	}
	return err
}

// Source spreads connections over the addresses 127.1.x.y, so that the ports of
// one address do not run out.
func Source(i int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24|1<<16|uint32(i%60000+1))
	return netip.AddrFrom4(a)
}

package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

var _ = register(Workload{
	Name:   "echo",
	About:  "messages sent and received back; 16 deep, 16 of them are on the way on each connection",
	Unit:   "messages",
	Cells:  echoCells(),
	Custom: func(size, conns, window, idle int) Cell { return echoCell(size, conns, window, idle) },
	Rated:  true,
	drive:  driveEcho,
})

// mostInFlight limits the bytes that a cell has on the way at once: beyond, the
// kernel's memory for TCP runs out (tcp_mem(7)) and it is no longer the server
// that is measured.
const mostInFlight = 256 << 20

func echoCells() []Cell {
	var cells []Cell
	for _, window := range []int{1, 16} {
		for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
			for _, conns := range []int{1, 64, 1000, 10000} {
				if size*conns*window > mostInFlight {
					continue
				}
				c := echoCell(size, conns, window, 0)
				c.OpenLoop = window == 1 && size <= 1<<10
				c.Quick = size != 1<<10 && size <= 16<<10 && conns == 64 && window == 1
				cells = append(cells, c)
			}
		}
	}
	return cells
}

func echoCell(size, conns, window, idle int) Cell {
	return Cell{Workload: "echo", Size: def(size, 64), Conns: def(conns, 64), Window: def(window, 1), Idle: idle}
}

func def(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

// echo is the state of a run.
type echo struct {
	job     load.Job
	net     *load.Net
	meter   *load.Meter
	pattern []byte // what is sent, from any offset below its half on
	peers   []echoPeer
	pending int // messages on the way
	ending  bool
	err     error
}

// echoPeer is one connection.
type echoPeer struct {
	sending  bool
	due      int             // messages to send once the send on the way is done
	sent     uint64          // bytes handed over
	received uint64          // bytes
	part     int             // bytes of the message that is coming in
	since    []time.Duration // when the messages on the way were due, oldest first from head
	head     int
}

func driveEcho(job load.Job) (load.Result, error) {
	e := &echo{job: job, peers: make([]echoPeer, job.Conns)}
	net, err := load.OpenNet(load.Config{Conns: job.Conns, Receive: job.Size * job.Window}, e)
	if err != nil {
		return load.Result{}, err
	}
	defer net.Close()
	e.net, e.meter = net, load.NewMeter(job, net.Clock)
	e.pattern = pattern(2 * job.Size * max(job.Window, 1))

	// The idle ones come first: their numbers follow the active ones' nowhere.
	if err := dialAll(net, job); err != nil {
		return load.Result{}, err
	}
	if job.Rate > 0 {
		err = e.open()
	} else {
		err = e.closed()
	}
	if err != nil {
		return load.Result{}, err
	}
	if err := e.drain(); err != nil {
		return load.Result{}, err
	}
	return e.meter.Result()
}

// pattern is the bytes that messages are made of, twice in a row.
func pattern(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(p[:n/2])
	copy(p[n/2:], p)
	return p
}

// closed keeps the window of each connection full.
func (e *echo) closed() error {
	e.meter.Running(e.net.Clock())
	for i := range e.peers {
		e.post(i, e.job.Window, e.net.Clock())
	}
	for e.meter.Running(e.net.Now()) {
		wait := e.meter.Left(e.net.Clock())
		if e.job.Spin {
			wait = 0
		}
		if err := e.poll(wait); err != nil {
			return err
		}
	}
	return nil
}

// backlog is how many messages may be unanswered before an open loop gives up
// on a server that falls behind: two seconds' worth, but not all memory.
func (e *echo) backlog() int {
	return int(min(2*e.job.Rate, max(64<<20/float64(e.job.Size), 1000)))
}

// open posts each message when it is due, and never sleeps, so that the
// generator itself is on time.
func (e *echo) open() error {
	interval := time.Duration(float64(time.Second) / e.job.Rate)
	start := e.net.Clock()
	e.meter.Running(start)
	next, peer, most := start, 0, e.backlog()
	for now := start; e.meter.Running(now); now = e.net.Now() {
		for now = e.net.Clock(); next <= now; next += interval {
			e.post(peer, 1, next)
			peer = (peer + 1) % len(e.peers)
			if e.pending > most {
				return fmt.Errorf("fell behind: %d messages unanswered at %.0f a second", e.pending, e.job.Rate)
			}
		}
		if err := e.poll(0); err != nil {
			return err
		}
	}
	e.meter.Missed(e.pending)
	return nil
}

// drain sends nothing more and waits for what is on the way: every byte sent
// has to come back.
func (e *echo) drain() error {
	e.ending = true
	limit := e.net.Clock() + 10*time.Second
	for e.pending > 0 && e.net.Clock() < limit {
		if err := e.poll(time.Second); err != nil {
			return err
		}
	}
	for i := range e.peers {
		if p := &e.peers[i]; p.sent != p.received {
			return fmt.Errorf("connection %d: %d bytes sent, %d received back", i, p.sent, p.received)
		}
	}
	return nil
}

func (e *echo) poll(wait time.Duration) error {
	if err := e.net.Poll(wait); err != nil {
		return err
	}
	return e.err
}

// post makes count messages due on a connection.
func (e *echo) post(peer, count int, due time.Duration) {
	p := &e.peers[peer]
	if 2*p.head >= len(p.since) { // the older half is done with
		p.since, p.head = p.since[:copy(p.since, p.since[p.head:])], 0
	}
	for range count {
		p.since = append(p.since, due)
	}
	e.pending += count
	p.due += count
	e.send(peer)
}

// send sends the messages that are due, as many at a time as the pattern holds.
func (e *echo) send(peer int) {
	p := &e.peers[peer]
	if p.sending || p.due == 0 {
		return
	}
	half := len(e.pattern) / 2
	count := min(p.due, half/e.job.Size)
	p.due -= count
	p.sending = true
	from := int(p.sent % uint64(half))
	if !e.job.Check {
		from = 0
	}
	p.sent += uint64(count * e.job.Size)
	e.net.Send(e.conn(peer), e.pattern[from:][:count*e.job.Size])
}

// conn and peer translate: the idle connections were opened first.
func (e *echo) conn(peer int) int { return peer + e.job.Idle }

func (e *echo) Sent(conn int) {
	peer := conn - e.job.Idle
	e.peers[peer].sending = false
	e.send(peer)
}

func (e *echo) Received(conn int, data []byte) {
	peer := conn - e.job.Idle
	p := &e.peers[peer]
	if e.job.Check {
		e.compare(peer, data)
	}
	p.received += uint64(len(data))
	if p.received > p.sent {
		e.fail(fmt.Errorf("connection %d: %d bytes sent, %d received back", peer, p.sent, p.received))
		return
	}
	e.meter.Answered(float64(len(data)) / float64(e.job.Size))
	p.part += len(data)
	if p.part < e.job.Size {
		return
	}
	complete := p.part / e.job.Size
	p.part -= complete * e.job.Size
	now := e.net.Now()
	for range complete {
		due := p.since[p.head]
		p.head++
		if e.job.Rate > 0 {
			e.meter.TookSince(due, now)
		} else {
			e.meter.Took(now - due)
		}
	}
	e.pending -= complete
	if e.job.Rate == 0 && !e.ending {
		e.post(peer, complete, now)
	}
}

// compare checks that the bytes are those that were sent.
func (e *echo) compare(peer int, data []byte) {
	half := len(e.pattern) / 2
	for at := e.peers[peer].received; len(data) > 0; {
		from := int(at % uint64(half))
		n := min(len(data), half)
		if !bytes.Equal(data[:n], e.pattern[from:][:n]) {
			e.fail(fmt.Errorf("connection %d: what came back differs from what was sent, near byte %d", peer, at))
			return
		}
		data, at = data[n:], at+uint64(n)
	}
}

func (e *echo) Closed(conn int, err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("closed by the server")
	}
	e.fail(fmt.Errorf("connection %d: %w", conn-e.job.Idle, err))
}

func (e *echo) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

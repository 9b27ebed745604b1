package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/goproactor/goproactor/bench/load"
)

// exchange is a load of equal requests over TCP, each of them answered by the same number
// of bytes: in a closed loop, or at a constant rate. The generator itself costs little, see
// load.Net.
type exchange struct {
	job     load.Job
	ask     int    // bytes of a request
	answer  int    // bytes of an answer
	stock   []byte // what is sent: many requests
	echoes  bool   // the answer is the request
	net     *load.Net
	meter   *load.Meter
	peers   []peer
	pending int // requests on the way
	ending  bool
	err     error
}

// peer is one connection.
type peer struct {
	sending  bool
	due      int             // requests to send once the send on the way is done
	sent     uint64          // requests handed over
	received uint64          // bytes
	part     int             // bytes of the answer that is coming in
	since    []time.Duration // when the requests on the way were due, oldest first from head
	head     int
}

// run does the job.
func (e *exchange) run() (load.Result, error) {
	e.peers = make([]peer, e.job.Conns)
	net, err := load.OpenNet(load.Config{Conns: e.job.Conns, Receive: e.answer * e.job.Window}, e)
	if err != nil {
		return load.Result{}, err
	}
	defer net.Close()
	e.net, e.meter = net, load.NewMeter(e.job, net.Clock)

	// The idle ones come first: their numbers follow the active ones' nowhere.
	if err := dialAll(net, e.job); err != nil {
		return load.Result{}, err
	}
	if e.job.Rate > 0 {
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

// closed keeps the window of each connection full.
func (e *exchange) closed() error {
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

// backlog is how many requests may be unanswered before an open loop gives up
// on a server that falls behind: two seconds' worth, but not all memory.
func (e *exchange) backlog() int {
	return int(min(2*e.job.Rate, max(64<<20/float64(max(e.ask, e.answer)), 1000)))
}

// open posts each request when it is due, and never sleeps, so that the
// generator itself is on time.
func (e *exchange) open() error {
	interval := time.Duration(float64(time.Second) / e.job.Rate)
	start := e.net.Clock()
	e.meter.Running(start)
	next, peer, most := start, 0, e.backlog()
	for now := start; e.meter.Running(now); now = e.net.Now() {
		for now = e.net.Clock(); next <= now; next += interval {
			e.post(peer, 1, next)
			peer = (peer + 1) % len(e.peers)
			if e.pending > most {
				return fmt.Errorf("fell behind: %d requests unanswered at %.0f a second", e.pending, e.job.Rate)
			}
		}
		if err := e.poll(0); err != nil {
			return err
		}
	}
	e.meter.Missed(e.pending)
	return nil
}

// drain sends nothing more and waits for what is on the way: every request has
// to be answered.
func (e *exchange) drain() error {
	e.ending = true
	limit := e.net.Clock() + 10*time.Second
	for e.pending > 0 && e.net.Clock() < limit {
		if err := e.poll(time.Second); err != nil {
			return err
		}
	}
	for i := range e.peers {
		if p := &e.peers[i]; p.received != e.owed(p) {
			return e.differs(i)
		}
	}
	return nil
}

// owed is how many bytes are to come back for what was sent.
func (e *exchange) owed(p *peer) uint64 { return p.sent * uint64(e.answer) }

func (e *exchange) differs(peer int) error {
	p := &e.peers[peer]
	return fmt.Errorf("connection %d: %d bytes sent, %d bytes are due, %d received back", peer, p.sent*uint64(e.ask), e.owed(p), p.received)
}

func (e *exchange) poll(wait time.Duration) error {
	if err := e.net.Poll(wait); err != nil {
		return err
	}
	return e.err
}

// post makes count requests due on a connection.
func (e *exchange) post(peer, count int, due time.Duration) {
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

// send sends the requests that are due, as many at a time as half the stock holds.
func (e *exchange) send(peer int) {
	p := &e.peers[peer]
	if p.sending || p.due == 0 {
		return
	}
	half := len(e.stock) / 2
	count := min(p.due, half/e.ask)
	p.due -= count
	p.sending = true
	from := 0
	if e.job.Check && e.echoes { // another part each time
		from = int(p.sent * uint64(e.ask) % uint64(half))
	}
	p.sent += uint64(count)
	e.net.Send(e.conn(peer), e.stock[from:][:count*e.ask])
}

// conn translates: the idle connections were opened first.
func (e *exchange) conn(peer int) int { return peer + e.job.Idle }

// Sent implements load.Handler.
func (e *exchange) Sent(conn int) {
	peer := conn - e.job.Idle
	e.peers[peer].sending = false
	e.send(peer)
}

// Received implements load.Handler.
func (e *exchange) Received(conn int, data []byte) {
	peer := conn - e.job.Idle
	p := &e.peers[peer]
	if e.job.Check && e.echoes {
		e.compare(peer, data)
	}
	p.received += uint64(len(data))
	if p.received > e.owed(p) {
		e.fail(e.differs(peer))
		return
	}
	e.meter.Answered(float64(len(data)) / float64(e.answer))
	p.part += len(data)
	if p.part < e.answer {
		return
	}
	complete := p.part / e.answer
	p.part -= complete * e.answer
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
func (e *exchange) compare(peer int, data []byte) {
	half := len(e.stock) / 2
	for at := e.peers[peer].received; len(data) > 0; {
		from := int(at % uint64(half))
		n := min(len(data), half)
		if !bytes.Equal(data[:n], e.stock[from:][:n]) {
			e.fail(fmt.Errorf("connection %d: what came back differs from what was sent, near byte %d", peer, at))
			return
		}
		data, at = data[n:], at+uint64(n)
	}
}

// Closed implements load.Handler.
func (e *exchange) Closed(conn int, err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("closed by the server")
	}
	e.fail(fmt.Errorf("connection %d: %w", conn-e.job.Idle, err))
}

func (e *exchange) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

package program

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
	"github.com/goproactor/goproactor/proactor"
)

// A heavy message makes the server hash as many bytes as the size of the cell says: 128 KiB
// take 60 µs, of which the load generator needs its part as well where there are no more
// processors; beside 1 MiB that hardly counts. Connections are given to the loops in turn, and
// the load generator opens them in such an order that all that are heavy come to one loop
// (skew) or half of them to each (even).
var (
	_ = workload.Register(skewed("skew", "connections whose messages make the server compute, all on one loop, beside light ones at a constant rate; latency is that of the light ones",
		[]workload.Cell{skewCell("skew", 128<<10, 1), skewCell("skew", 128<<10, 2), skewCell("skew", 1<<20, 1), skewCell("skew", 1<<20, 2)}))
	_ = workload.Register(skewed("even", "the same with the heavy connections spread over the loops",
		[]workload.Cell{skewCell("even", 128<<10, 2), skewCell("even", 1<<20, 2)}))
)

func skewed(name, about string, cells []workload.Cell) workload.Workload {
	return workload.Workload{
		Name:    name,
		About:   about,
		Unit:    "messages",
		Section: workload.Loops,
		Cells:   cells,
		Custom: func(size, conns, _, idle int) workload.Cell {
			c := skewCell(name, or(size, 128<<10), 2)
			c.Conns, c.Light = or(conns, c.Conns), or(idle, c.Light)
			return c
		},
		ByRate:      true,
		Contestants: append(skewServer("skew").contestants(), rebalancing().contestants()...),
		Baseline:    "skew-net",
		Drive:       driveSkew,
	}
}

func skewCell(name string, size, loops int) workload.Cell {
	return workload.Cell{Workload: name, Size: size, Conns: 8, Light: 200, Window: 1, Loops: loops}
}

const (
	skewMessage = 64
	skewHeavy   = 'H'    // the first byte of a heavy message; then four that say how much to hash
	skewLight   = 'L'    // of a light one
	skewRate    = 2000.0 // light messages a second
)

// skewServer is made with more options for a contestant that differs in them.
func skewServer(name string, options ...proactor.Option) server {
	s := server{
		name:      name,
		about:     "a server that computes for each heavy message,",
		multiLoop: true,
		options:   options,
		listening: []proactor.ListenOption{proactor.WithSpread(proactor.SpreadRoundRobin)},
	}
	s.listen, s.handler = both(computeAndEcho)
	return s
}

// rebalancing is the same server on connections that may move: its handler keeps nothing
// between two messages.
func rebalancing() server {
	s := skewServer("skew-rebalancing", proactor.WithRebalancing())
	s.about = "the same, whose connections move to idle loops,"
	s.listening = append(s.listening, proactor.WithMovableHandlers())
	s.listen, s.handler = nil, nil
	s.onLoop = func(*proactor.Runtime, contestant.Options) (connHandler, error) {
		return func(ctx context.Context, c *proactor.Conn) error {
			message, r := make([]byte, skewMessage), c.Reader()
			for {
				if _, err := r.ReadFull(ctx, message); err != nil {
					return err
				}
				answer(message)
				if _, err := c.SendBytes(message).Await(ctx); err != nil {
					return err
				}
			}
		}, nil
	}
	return s
}

// hashed is what the server hashes, as often as it takes.
var hashed [128 << 10]byte

// answer makes a message its answer.
func answer(message []byte) {
	if message[0] != skewHeavy {
		return
	}
	sum := sha256.New()
	for left := int(binary.BigEndian.Uint32(message[1:])); left > 0; left -= len(hashed) {
		sum.Write(hashed[:min(left, len(hashed))])
	}
	copy(message[1:], sum.Sum(nil))
}

func computeAndEcho(c net.Conn) error {
	message := make([]byte, skewMessage)
	for {
		if _, err := io.ReadFull(c, message); err != nil {
			return err
		}
		answer(message)
		if _, err := c.Write(message); err != nil {
			return err
		}
	}
}

// skew is the state of a run.
type skew struct {
	job   load.Job
	net   *load.Net
	meter *load.Meter
	conns []skewConn
	light []int // those that are light, in turn
	heavy []byte
	plain []byte

	ready   int // connections that have answered once
	ending  bool
	pending int
	missed  int // light messages that were due when the one before was not answered
	err     error
}

type skewConn struct {
	heavy bool
	busy  bool
	first bool // the answer to come is the first one
	due   time.Duration
	part  int
}

func driveSkew(job load.Job) (load.Result, error) {
	s := &skew{job: job, heavy: message(skewHeavy, job.Size), plain: message(skewLight, 0)}
	var err error
	if s.net, err = load.OpenNet(load.Config{Conns: job.Conns + job.Light, Receive: skewMessage}, s); err != nil {
		return load.Result{}, err
	}
	defer s.net.Close()
	s.meter = load.NewMeter(job, s.net.Clock)
	if err := s.dial(); err != nil {
		return load.Result{}, err
	}
	if err := s.measure(); err != nil {
		return load.Result{}, err
	}
	return s.meter.Result()
}

func message(kind byte, work int) []byte {
	p := make([]byte, skewMessage)
	p[0] = kind
	binary.BigEndian.PutUint32(p[1:], uint32(work))
	return p
}

// order tells which connections are heavy. The server gives one to each loop in turn:
// with two loops those with even numbers are on one.
func (s *skew) order() []bool {
	all := make([]bool, s.job.Conns+s.job.Light)
	step := 1 // each loop gets a heavy one in turn
	if s.job.Workload == "skew" {
		step = 2
	}
	for i := range s.job.Conns {
		all[min(i*step, len(all)-1)] = true
	}
	return all
}

// dial opens the connections one after the other: the next one when the server has answered
// on the last, so that it has accepted them in this order.
func (s *skew) dial() error {
	to, err := netip.ParseAddrPort(s.job.Addr)
	if err != nil {
		return err
	}
	for i, heavy := range s.order() {
		if _, err := s.net.Dial(to, netip.Addr{}, false); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		s.conns = append(s.conns, skewConn{heavy: heavy, first: true})
		if !heavy {
			s.light = append(s.light, i)
		}
		s.send(i, s.plain, 0)
		for limit := s.net.Clock() + 10*time.Second; s.ready <= i; {
			if err := s.poll(time.Second); err != nil {
				return err
			}
			if s.net.Clock() > limit {
				return fmt.Errorf("connection %d: no answer", i)
			}
		}
	}
	return nil
}

// measure keeps each heavy connection busy, and sends on the light ones in turn at a
// constant rate. It does not sleep longer than until the next one is due.
func (s *skew) measure() error {
	start := s.net.Clock()
	s.meter.Running(start)
	for i, c := range s.conns {
		if c.heavy {
			s.send(i, s.heavy, 0)
		}
	}
	interval := time.Duration(float64(time.Second) / skewRate)
	next, turn := start, 0
	for now := start; s.meter.Running(now); now = s.net.Now() {
		for now = s.net.Clock(); next <= now; next += interval {
			s.sendLight(s.light[turn%len(s.light)], next)
			turn++
		}
		if err := s.poll(max(next-s.net.Clock(), 0)); err != nil {
			return err
		}
	}
	s.ending = true
	s.meter.Missed(s.missed)
	for limit := s.net.Clock() + 10*time.Second; s.pending > 0; {
		if err := s.poll(time.Second); err != nil {
			return err
		}
		if s.net.Clock() > limit {
			return fmt.Errorf("%d messages were not answered", s.pending)
		}
	}
	return nil
}

// sendLight sends, unless the connection still waits for an answer: that one's latency tells.
func (s *skew) sendLight(conn int, due time.Duration) {
	if s.conns[conn].busy {
		s.missed++
		return
	}
	s.send(conn, s.plain, due)
}

func (s *skew) send(conn int, p []byte, due time.Duration) {
	c := &s.conns[conn]
	c.busy, c.due = true, due
	s.pending++
	s.net.Send(conn, p)
}

func (s *skew) poll(wait time.Duration) error {
	if err := s.net.Poll(wait); err != nil {
		return err
	}
	return s.err
}

// Sent implements load.Handler.
func (s *skew) Sent(int) {}

// Received implements load.Handler.
func (s *skew) Received(conn int, p []byte) {
	c := &s.conns[conn]
	c.part += len(p)
	if c.part < skewMessage {
		return
	}
	if c.part > skewMessage || !c.busy {
		s.fail(fmt.Errorf("connection %d: more came back than was sent", conn))
		return
	}
	c.part, c.busy = 0, false
	s.pending--
	if c.first {
		c.first = false
		s.ready++
		return
	}
	s.meter.Answered(1)
	switch {
	case !c.heavy:
		s.meter.TookSince(c.due, s.net.Now())
	case !s.ending:
		s.send(conn, s.heavy, 0)
	}
}

// Closed implements load.Handler.
func (s *skew) Closed(conn int, err error) {
	s.fail(fmt.Errorf("connection %d: closed by the server: %w", conn, err))
}

func (s *skew) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

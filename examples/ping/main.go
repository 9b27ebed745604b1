// Ping sends ICMP echo requests, one after the other, and prints the answers.
//
//	sudo go run ./examples/ping -c 3 127.0.0.1
//
// It needs CAP_NET_RAW. It ends after -c requests, or at SIGINT or SIGTERM, with
// a summary: with status 0 if there was an answer, else with 1.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

type config struct {
	host     string
	backend  proactor.Backend
	count    int
	interval time.Duration
	wait     time.Duration
}

var errNoAnswer = errors.New("no answer")

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "ping:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err == errNoAnswer {
		os.Exit(1)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "ping:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("ping", flag.ContinueOnError)
	flags.IntVar(&c.count, "c", 0, "requests to send, 0 for no end")
	flags.DurationVar(&c.interval, "i", time.Second, "time between requests")
	flags.DurationVar(&c.wait, "W", time.Second, "how long to wait for the last answer")
	backend := flags.String("backend", "auto", "auto, io_uring or epoll")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: ping [flags] HOST")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return c, err
	}
	switch {
	case flags.NArg() != 1:
		return c, fmt.Errorf("%d hosts: want one, after the flags; see -help", flags.NArg())
	case c.count < 0:
		return c, fmt.Errorf("%d requests: want 1 or more, or 0 for no end", c.count)
	case c.interval <= 0 || c.wait <= 0:
		return c, fmt.Errorf("interval %v and wait %v: want more than zero", c.interval, c.wait)
	}
	c.host = flags.Arg(0)
	c.backend, err = proactor.ParseBackend(*backend)
	return c, err
}

func run(ctx context.Context, c config) error {
	rt, err := proactor.New(proactor.WithBackend(c.backend), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.host)
	if err != nil {
		return err
	}
	p := &pinger{config: c, rt: rt, ip: ips[0].Unmap(), id: uint16(os.Getpid()), sent: map[uint16]time.Time{}, least: math.MaxInt64}
	network := "ip4:icmp"
	if p.ip.Is6() {
		network, p.request, p.reply = "ip6:ipv6-icmp", 128, 129
	} else {
		p.request, p.reply = 8, 0
	}
	p.conn, err = rt.DialPacket(ctx, network, p.ip.String(), proactor.WithHopLimit()).Await(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("PING %s (%v) %d(%d) bytes of data. backend=%v\n", c.host, p.ip, payload, payload+28, rt.Backend().Backend)
	start := time.Now()
	_, err = rt.Go(ctx, p.ping).Await(context.Background())
	if ctx.Err() != nil {
		err = nil // asked to stop
	}
	p.summary(time.Since(start))
	if err == nil && p.received == 0 {
		err = errNoAnswer
	}
	return err
}

// payload is how many bytes a request carries, as with other ping programs.
const payload = 56

// pinger pings one host.
type pinger struct {
	config
	rt             *proactor.Runtime
	conn           *proactor.PacketConn
	ip             netip.Addr
	request, reply byte // types of ICMP messages
	id             uint16
	sent           map[uint16]time.Time // requests without an answer
	transmitted    int
	received       int
	least, most    time.Duration
	sum, squares   float64 // of milliseconds
}

// ping sends request after request. Between two it receives answers.
func (p *pinger) ping(ctx context.Context) error {
	for p.count == 0 || p.transmitted < p.count {
		if err := p.send(ctx); err != nil {
			return err
		}
		wait := p.interval
		if p.transmitted == p.count {
			wait = p.wait
		}
		if err := p.receive(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

func (p *pinger) send(ctx context.Context) error {
	p.transmitted++
	seq := uint16(p.transmitted)
	m := make([]byte, 8+payload)
	m[0] = p.request
	binary.BigEndian.PutUint16(m[4:], p.id)
	binary.BigEndian.PutUint16(m[6:], seq)
	for i := range payload {
		m[8+i] = byte(i)
	}
	if p.ip.Is4() { // for IPv6 the kernel computes the checksum
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	p.sent[seq] = time.Now()
	_, err := p.conn.Send(m).Await(ctx)
	if errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ECONNREFUSED) {
		fmt.Println(err)
		return nil
	}
	return err
}

// receive receives answers until the next request; after the last one, until all have
// come.
func (p *pinger) receive(ctx context.Context, wait time.Duration) error {
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for p.transmitted != p.count || len(p.sent) > 0 {
		m, err := p.conn.Recv().Await(short)
		switch {
		case err == nil:
			p.answer(m, time.Now())
			m.Release()
		case ctx.Err() != nil:
			return err
		case short.Err() != nil:
			return nil
		default:
			fmt.Println(err)
		}
	}
	return nil
}

// answer prints a message if it is an answer to one of our requests.
func (p *pinger) answer(m proactor.Message, now time.Time) {
	b := m.Bytes()
	if len(b) < 8 || b[0] != p.reply || binary.BigEndian.Uint16(b[4:]) != p.id {
		return
	}
	seq := binary.BigEndian.Uint16(b[6:])
	at, ours := p.sent[seq]
	if !ours {
		return
	}
	delete(p.sent, seq)
	took := now.Sub(at)
	p.received++
	p.least, p.most = min(p.least, took), max(p.most, took)
	p.sum += milliseconds(took)
	p.squares += milliseconds(took) * milliseconds(took)
	hops, _ := m.HopLimit()
	fmt.Printf("%d bytes from %v: icmp_seq=%d ttl=%d time=%.3f ms\n", len(b), m.From().Addr(), seq, hops, milliseconds(took))
}

func (p *pinger) summary(took time.Duration) {
	fmt.Printf("\n--- %s ping statistics ---\n", p.host)
	lost := 0.0
	if p.transmitted > 0 {
		lost = 100 * float64(p.transmitted-p.received) / float64(p.transmitted)
	}
	fmt.Printf("%d packets transmitted, %d received, %g%% packet loss, time %dms\n", p.transmitted, p.received, lost, took.Milliseconds())
	if p.received > 0 {
		n := float64(p.received)
		mean := p.sum / n
		fmt.Printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", milliseconds(p.least), mean, milliseconds(p.most),
			math.Sqrt(max(0, p.squares/n-mean*mean)))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

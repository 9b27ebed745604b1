package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/goproactor/goproactor/internal/exampletest"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
)

var (
	compareRounds  = flag.Int("compare", 0, "rounds in which the processor time of a line is compared with that of a server of package net")
	compareBackend = flag.String("backend", "io_uring", "the backend that -compare measures")
	compareClients = flag.Int("clients", 2000, "clients that -compare connects")
	compareRoom    = flag.Int("room", 100, "clients of a room")
)

// compareQueue is the limit of a client's queue under measurement, in bytes.
const compareQueue = 16 << 20

// load is how many lines all clients together receive a second, 0 for as many as the server
// can send, and how many of them are counted.
type load struct{ perSecond, deliveries int }

// comparison is what is compared, for clients in rooms of one size.
type comparison struct {
	clients, room int
	loads         []load
	pin           func(t testing.TB, processor int, fn func()) // binds what fn starts to a processor
}

// roleVariable makes the test binary a process of the comparison.
const roleVariable = "CHAT_TEST_ROLE"

// playRole is the process that the comparison has started, if this is one.
func playRole() bool {
	var err error
	switch os.Getenv(roleVariable) {
	case "net":
		err = serveNet()
	case "clients":
		err = runClients(os.Args[1:])
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func role(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	return cmd
}

// measures are what a server has needed.
type measures struct {
	times  []float64 // by load: nanoseconds of processor time for each line that a client has received
	memory float64   // peak, in bytes
}

// TestCompare measures processor time and peak memory beside a server of package net, by
// turns: the server on processor 0, a process with all clients on processor 1. It is
// meant for a machine that does nothing else.
func TestCompare(t *testing.T) {
	if *compareRounds == 0 {
		t.Skip("measures, and asserts nothing: go test -run TestCompare -compare 5 -v")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors: one for the server, one for the clients")
	}
	c := comparison{
		clients: *compareClients, room: *compareRoom,
		loads: []load{{20_000, 60_000}, {100_000, 300_000}, {0, 2_000_000}},
		pin:   exampletest.Pinned,
	}
	var ours, theirs []measures
	for range *compareRounds {
		ours = append(ours, c.measure(t, compared(t, *compareBackend)))
		theirs = append(theirs, c.measure(t, role("net")))
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%d clients, %d in a room, %s\tchat\tnet\tratio\n", c.clients, c.room, *compareBackend)
	row := func(name, format string, of func(m measures) float64) {
		var a, b, ratios []float64
		for i := range ours {
			a, b = append(a, of(ours[i])), append(b, of(theirs[i]))
			ratios = append(ratios, a[i]/b[i])
		}
		fmt.Fprintf(table, "%s\t"+format+"\t"+format+"\t%.2f\n", name, exampletest.Median(a), exampletest.Median(b), exampletest.Median(ratios))
	}
	for i, load := range c.loads {
		name := fmt.Sprintf("%d lines/s, ns/delivery", load.perSecond/c.room)
		if load.perSecond == 0 {
			name = "all it takes, ns/delivery"
		}
		row(name, "%.0f", func(m measures) float64 { return m.times[i] })
	}
	row("peak memory, MiB", "%.1f", func(m measures) float64 { return m.memory / (1 << 20) })
	table.Flush()
}

// TestComparison runs both servers under small loads: the clients hear everything.
func TestComparison(t *testing.T) {
	c := comparison{
		clients: 20, room: 10, loads: []load{{10_000, 1_000}, {0, 10_000}},
		pin: func(_ testing.TB, _ int, fn func()) { fn() },
	}
	servers := map[string]*exec.Cmd{"net": role("net")}
	for _, backend := range exampletest.Backends(t) {
		servers[backend] = compared(t, backend)
	}
	for name, server := range servers {
		m := c.measure(t, server)
		require.Len(t, m.times, 2, name)
		require.Positive(t, m.memory, name)
	}
}

// compared is our server as it is compared.
func compared(t *testing.T, backend string) *exec.Cmd {
	return exampletest.Command(t, "-addr", "127.0.0.1:0", "-loops", "1", "-rate", "0",
		"-queuelimit", strconv.Itoa(compareQueue), "-backend", backend)
}

// measure runs a server and the clients, and returns what the server has needed.
func (c *comparison) measure(t *testing.T, server *exec.Cmd) (m measures) {
	var s *exampletest.Server
	c.pin(t, 0, func() { s = exampletest.Await(t, server) })
	clients := role("clients", s.Addr, strconv.Itoa(c.clients), strconv.Itoa(c.room))
	clients.Stderr = os.Stderr
	orders, err := clients.StdinPipe()
	require.NoError(t, err)
	out, err := clients.StdoutPipe()
	require.NoError(t, err)
	c.pin(t, 1, func() { require.NoError(t, clients.Start()) })
	t.Cleanup(func() { clients.Process.Kill(); clients.Wait() })
	told := bufio.NewReader(out)
	done := func() {
		line, err := told.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "done\n", line)
	}
	done() // all have come in
	for _, load := range c.loads {
		before := exampletest.ProcessorTime(t, s.Process.Pid)
		_, err := fmt.Fprintln(orders, load.perSecond/c.room, load.deliveries/c.room)
		require.NoError(t, err)
		done()
		used := exampletest.ProcessorTime(t, s.Process.Pid) - before
		m.times = append(m.times, float64(used)/float64(load.deliveries))
	}
	m.memory = float64(peakMemory(t, s.Process.Pid))
	require.NoError(t, orders.Close())
	require.NoError(t, clients.Wait())
	s.Process.Kill()
	s.Wait()
	return m
}

// crowd is the clients, all on one loop.
type crowd struct {
	rt       *proactor.Runtime
	room     int // clients of a room
	conns    []*proactor.Conn
	received int // lines
	joined   int // clients that have heard somebody say "in"
	settled  int // clients that have heard everything from before the talk
	failed   error
}

// What is said before the talk, one byte each.
var (
	in   = []byte("~\n")
	last = []byte("^\n")
)

// runClients connects clients and says "done". Then it has them talk as each line of its
// input says, and says "done" each time.
func runClients(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%d arguments: want ADDRESS CLIENTS ROOM", len(args))
	}
	clients, _ := strconv.Atoi(args[1])
	room, _ := strconv.Atoi(args[2])
	rt, err := proactor.New(proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	c := &crowd{rt: rt, room: room}
	_, err = rt.Go(context.Background(), func(ctx context.Context) error { return c.connect(ctx, args[0], clients) }).Await(context.Background())
	for err == nil {
		fmt.Println("done")
		var perSecond, lines int
		if _, err := fmt.Scanln(&perSecond, &lines); err != nil {
			return nil // the end of the input
		}
		_, err = rt.Go(context.Background(), func(ctx context.Context) error { return c.talk(ctx, perSecond, lines) }).Await(context.Background())
	}
	return err
}

// connect connects the clients, has them join their rooms, and waits until all have heard
// of all others.
func (c *crowd) connect(ctx context.Context, addr string, clients int) error {
	for i := range clients {
		conn, err := c.rt.Dial(ctx, "tcp", addr).Await(ctx)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
		joined := false
		conn.OnRecv(func(b proactor.Buffer, err error) {
			if err != nil {
				c.failed = err
				return
			}
			c.received += bytes.Count(b.Bytes(), []byte("\n"))
			c.settled += bytes.Count(b.Bytes(), last[:1])
			if !joined && bytes.Contains(b.Bytes(), in[:1]) {
				joined = true
				c.joined++
			}
			b.Release()
		})
		conn.SendBytes(fmt.Appendf(nil, "/join room%d\n", i/c.room))
		conn.SendBytes(in)
	}
	if err := c.until(ctx, &c.joined, clients); err != nil {
		return err
	}
	for i := 0; i < clients; i += c.room {
		c.conns[i].SendBytes(last)
	}
	return c.until(ctx, &c.settled, clients)
}

// until waits for a count.
func (c *crowd) until(ctx context.Context, count *int, is int) error {
	for *count < is {
		if c.failed != nil {
			return fmt.Errorf("a client: %w", c.failed)
		}
		if _, err := c.rt.Sleep(time.Millisecond).Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// talk has the clients say lines, in turn and mixed, and waits until everybody has
// received them.
func (c *crowd) talk(ctx context.Context, perSecond, lines int) error {
	line := []byte("what everybody in this room should know\n")
	turns := rand.Perm(len(c.conns))
	before, start := c.received, time.Now()
	for said := 0; said < lines; {
		due := int(time.Since(start).Seconds() * float64(perSecond))
		if perSecond == 0 {
			due = (c.received-before)/c.room + len(c.conns)/4
		}
		for ; said < min(due, lines); said++ {
			c.conns[turns[said%len(turns)]].SendBytes(line)
		}
		if c.failed != nil {
			return fmt.Errorf("a client: %w", c.failed)
		}
		if _, err := c.rt.Sleep(time.Millisecond).Await(ctx); err != nil {
			return err
		}
	}
	return c.until(ctx, &c.received, before+lines*c.room)
}

// Chat is a server for conversations in rooms, over a line protocol and a web page.
//
//	go -C examples/chat run . -addr 127.0.0.1:9004 [-web 127.0.0.1:8080]
//	nc 127.0.0.1 9004
//
// It prints one line to stderr once it accepts connections, and another for the page,
// serves until SIGINT or SIGTERM, then shuts down gracefully and prints its statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// grace is how long connections have to finish after the signal to stop.
const grace = 2 * time.Second

type config struct {
	network, addr, web string
	backend            proactor.Backend
	loops              int
	pin                bool
	busyPoll           time.Duration
	verbose            bool

	lineLimit  int
	lineTime   time.Duration
	idle       time.Duration
	queueLimit int
	rate       float64
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:9004", "address to listen on, port 0 for any")
	flags.StringVar(&c.network, "network", "tcp", "tcp, tcp4, tcp6 or unix")
	flags.StringVar(&c.web, "web", "", "address to serve the page on, such as 127.0.0.1:8080; none if empty")
	flags.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "event loops")
	flags.BoolVar(&c.pin, "pin", false, "bind each loop to a processor")
	flags.DurationVar(&c.busyPoll, "busypoll", 0, "how long a loop with nothing to do polls before it sleeps")
	flags.BoolVar(&c.verbose, "verbose", false, "log connections that fail")
	flags.IntVar(&c.lineLimit, "linelimit", 1<<10, "bytes that a line may have")
	flags.DurationVar(&c.lineTime, "linetime", 10*time.Second, "how long a line that has begun may take to end")
	flags.DurationVar(&c.idle, "idle", 10*time.Minute, "end connections on which nothing happens for so long; 0 for never")
	flags.IntVar(&c.queueLimit, "queuelimit", 256<<10, "bytes that may wait for a client before it is dropped")
	flags.Float64Var(&c.rate, "rate", 20, "lines that a client may say a second; it waits when it says more; 0 for no limit")
	backend := flags.String("backend", "auto", "auto, io_uring or epoll")
	// One line about the bad flag, from main; the whole list only on -help.
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q: everything is a flag, see -help", flags.Arg(0))
	}
	if c.backend, err = proactor.ParseBackend(*backend); err != nil {
		return c, err
	}
	return c, c.check()
}

// check says what does not make sense.
func (c *config) check() error {
	const leastLine = 64 // bytes: the longest command has its place
	switch {
	case c.loops < 1:
		return fmt.Errorf("%d loops: want 1 or more", c.loops)
	case c.busyPoll < 0:
		return fmt.Errorf("busy polling for %v: want 0 (off) or more", c.busyPoll)
	case c.lineLimit < leastLine:
		return fmt.Errorf("line limit of %d bytes: want %d or more", c.lineLimit, leastLine)
	case c.lineTime <= 0:
		return fmt.Errorf("line time of %v: want more than 0", c.lineTime)
	case c.idle < 0:
		return fmt.Errorf("idle for %v: want 0 (never) or more", c.idle)
	case c.queueLimit < 1:
		return fmt.Errorf("queue limit of %d bytes: want 1 or more", c.queueLimit)
	case !(c.rate >= 0):
		return fmt.Errorf("%v lines a second: want 0 (no limit) or more", c.rate)
	}
	return nil
}

func (c *config) options() []proactor.Option {
	opts := []proactor.Option{proactor.WithBackend(c.backend), proactor.WithLoops(c.loops)}
	if c.busyPoll > 0 {
		opts = append(opts, proactor.WithBusyPoll(c.busyPoll))
	}
	if c.pin {
		opts = append(opts, proactor.WithPinning())
	}
	if c.verbose {
		opts = append(opts, proactor.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	}
	return opts
}

func run(ctx context.Context, c config) error {
	rt, err := proactor.New(c.options()...)
	if err != nil {
		return err
	}
	defer rt.Close()
	srv := newServer(rt, c)
	ln, err := rt.Listen(c.network, c.addr)
	if err != nil {
		return err
	}
	var web *proactor.Listener
	if c.web != "" {
		if web, err = rt.Listen("tcp", c.web); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stderr, banner(rt, ln, c))

	served := make(chan error, 2)
	go func() { served <- ln.Serve(context.Background(), srv.serveLines) }()
	if web != nil {
		fmt.Fprintf(os.Stderr, "page at http://%s/\n", web.Addr())
		go func() { served <- web.Serve(context.Background(), srv.serveWeb) }()
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = rt.Shutdown(deadline)
	printStats(rt)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(os.Stderr, "connections still open after %v were aborted\n", grace)
		err = nil
	}
	return err
}

func banner(rt *proactor.Runtime, ln *proactor.Listener, c config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s %s backend=%v loops=%d", c.network, ln.Addr(), rt.Backend().Backend, len(rt.Loops()))
	if reason := rt.Backend().Reason; reason != "" {
		fmt.Fprintf(&b, " reason=%q", reason)
	}
	return b.String()
}

func printStats(rt *proactor.Runtime) {
	for i, s := range append(rt.Stats(), rt.Stats().Total()) {
		name := fmt.Sprintf("loop %d", i)
		if i == len(rt.Loops()) {
			name = "total"
		}
		perEnter := 0.0
		if s.Enters > 0 {
			perEnter = float64(s.Completed) / float64(s.Enters)
		}
		fmt.Fprintf(os.Stderr, "%s: accepted=%d submitted=%d completed=%d enters=%d completions/enter=%.1f syscalls=%d conns=%d in-flight=%d buffers=%d out=%d no-buffers=%d overflows=%d late=%d\n",
			name, s.Accepted, s.Submitted, s.Completed, s.Enters, perEnter, s.Syscalls, s.Conns, s.InFlight,
			s.Buffers, s.BuffersOut, s.NoBuffers, s.Overflows, s.Late)
	}
}

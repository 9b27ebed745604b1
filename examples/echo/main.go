// Echo sends back what it receives.
//
//	go run ./examples/echo -addr 127.0.0.1:9000
//
// It prints one line to stderr once it accepts connections, serves until
// SIGINT or SIGTERM, then shuts down gracefully and prints its statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// grace is how long connections have to finish after the signal to stop.
const grace = 2 * time.Second

type config struct {
	network, addr string
	backend       proactor.Backend
	style         string
	loops         int
	pin           bool
	busyPoll      time.Duration
	submission    time.Duration
	processors    []int
}

// styles are the two ways to write a handler.
var styles = map[string]func(context.Context, *proactor.Listener) error{
	"await":    serveAwait,
	"callback": serveCallback,
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:9000", "address to listen on, port 0 for any")
	flags.StringVar(&c.network, "network", "tcp", "tcp, tcp4, tcp6 or unix")
	flags.StringVar(&c.style, "style", "await", "how the handler is written: await or callback")
	flags.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "event loops")
	flags.BoolVar(&c.pin, "pin", false, "bind each loop to a processor")
	flags.DurationVar(&c.busyPoll, "busypoll", 0, "how long a loop with nothing to do polls before it sleeps")
	flags.DurationVar(&c.submission, "submissionthread", 0, "have a thread of the kernel submit for each loop, which sleeps after that long without work (io_uring)")
	processors := flags.String("submissionprocessors", "", "processors for these threads, separated by commas: the i-th loop's thread is bound to the i-th")
	backend := flags.String("backend", "auto", "auto, io_uring or epoll")
	// main prints one line about the bad flag; only -help prints the list.
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
	if styles[c.style] == nil {
		return c, fmt.Errorf("style %q: want await or callback", c.style)
	}
	if c.loops < 1 {
		return c, fmt.Errorf("%d loops: want 1 or more", c.loops)
	}
	if c.busyPoll < 0 {
		return c, fmt.Errorf("busy polling for %v: want 0 (off) or more", c.busyPoll)
	}
	if c.submission < 0 {
		return c, fmt.Errorf("submission thread that is idle for %v: want 0 (none) or more", c.submission)
	}
	if c.processors, err = numbers(*processors); err != nil {
		return c, fmt.Errorf("submission processors: %w", err)
	}
	if len(c.processors) > 0 && c.submission == 0 {
		return c, errors.New("submission processors without -submissionthread: say how long the thread may be idle, such as 1s")
	}
	c.backend, err = proactor.ParseBackend(*backend)
	return c, err
}

// numbers reads numbers separated by commas.
func numbers(list string) (all []int, err error) {
	for field := range strings.SplitSeq(list, ",") {
		if list == "" {
			break
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q: want a number of zero or more", field)
		}
		all = append(all, n)
	}
	return all, nil
}

func run(ctx context.Context, c config) error {
	opts := []proactor.Option{proactor.WithBackend(c.backend), proactor.WithLoops(c.loops)}
	if c.busyPoll > 0 {
		opts = append(opts, proactor.WithBusyPoll(c.busyPoll))
	}
	if c.submission > 0 {
		opts = append(opts, proactor.WithSubmissionThread(c.submission, c.processors...))
	}
	if c.pin {
		opts = append(opts, proactor.WithPinning())
	}
	rt, err := proactor.New(opts...)
	if err != nil {
		return err
	}
	defer rt.Close()
	ln, err := rt.Listen(c.network, c.addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, banner(rt, ln, c))

	served := make(chan error, 1)
	go func() { served <- styles[c.style](context.Background(), ln) }()
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

func serveAwait(ctx context.Context, ln *proactor.Listener) error {
	return ln.Serve(ctx, func(ctx context.Context, c *proactor.Conn) error {
		for {
			buf, err := c.Recv().Await(ctx)
			if err != nil {
				return err
			}
			if _, err := c.Queue(buf).Await(ctx); err != nil {
				return err
			}
		}
	})
}

func serveCallback(ctx context.Context, ln *proactor.Listener) error {
	err := ln.OnConn(func(c *proactor.Conn) {
		c.OnRecv(func(buf proactor.Buffer, err error) {
			if err != nil {
				c.Close()
				return
			}
			c.Queue(buf)
		})
	})
	if err == nil {
		<-ctx.Done()
	}
	return err
}

func banner(rt *proactor.Runtime, ln *proactor.Listener, c config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s %s backend=%v loops=%d style=%s",
		c.network, ln.Addr(), rt.Backend().Backend, len(rt.Loops()), c.style)
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

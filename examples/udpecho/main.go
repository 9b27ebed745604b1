// Udpecho sends back each UDP message it receives.
//
//	go run ./examples/udpecho -addr 127.0.0.1:9000
//
// It prints one line to stderr once it receives, serves until SIGINT or
// SIGTERM, then sends what is queued, closes and prints its statistics.
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
	"strings"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// grace is how long queued messages have to go out after the signal to stop.
const grace = 2 * time.Second

type config struct {
	network, addr string
	backend       proactor.Backend
	style         string
	loops         int
}

// styles are the two ways to write a handler.
var styles = map[string]func(*proactor.PacketConn) error{
	"await":    serveAwait,
	"callback": serveCallback,
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "udpecho:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "udpecho:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("udpecho", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:9000", "address to receive on, port 0 for any")
	flags.StringVar(&c.network, "network", "udp", "udp, udp4 or udp6")
	flags.StringVar(&c.style, "style", "await", "how the handler is written: await or callback")
	flags.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "event loops, with a socket each")
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
	c.backend, err = proactor.ParseBackend(*backend)
	return c, err
}

func run(ctx context.Context, c config) error {
	rt, err := proactor.New(proactor.WithBackend(c.backend), proactor.WithLoops(c.loops))
	if err != nil {
		return err
	}
	defer rt.Close()
	sockets, err := rt.ListenPackets(c.network, c.addr)
	if err != nil {
		return err
	}
	failed := make(chan error, len(sockets))
	for _, pc := range sockets {
		go func() {
			if err := styles[c.style](pc); err != nil {
				failed <- err
			}
		}()
	}
	fmt.Fprintln(os.Stderr, banner(rt, sockets[0], c))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = rt.Shutdown(deadline)
	printStats(rt)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(os.Stderr, "messages still queued after %v were dropped\n", grace)
		err = nil
	}
	return err
}

func serveAwait(pc *proactor.PacketConn) error {
	_, err := pc.Loop().Go(context.Background(), func(ctx context.Context) error {
		for m, err := range pc.Messages(ctx) {
			if err != nil {
				continue // the next message may succeed
			}
			if _, err := pc.Reply(m).Await(ctx); err != nil {
				return err
			}
		}
		return nil
	}).Await(context.Background())
	if errors.Is(err, proactor.ErrClosed) {
		return nil
	}
	return err
}

func serveCallback(pc *proactor.PacketConn) error {
	pc.OnMessage(func(m proactor.Message, err error) {
		if err == nil {
			pc.Reply(m)
		}
	})
	return nil
}

func banner(rt *proactor.Runtime, pc *proactor.PacketConn, c config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s %s backend=%v loops=%d style=%s",
		c.network, pc.LocalAddr(), rt.Backend().Backend, len(rt.Loops()), c.style)
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
		fmt.Fprintf(os.Stderr, "%s: submitted=%d completed=%d enters=%d completions/enter=%.1f syscalls=%d in-flight=%d buffers=%d out=%d no-buffers=%d overflows=%d late=%d\n",
			name, s.Submitted, s.Completed, s.Enters, perEnter, s.Syscalls, s.InFlight,
			s.Buffers, s.BuffersOut, s.NoBuffers, s.Overflows, s.Late)
	}
}

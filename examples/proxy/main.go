// Proxy passes TCP connections on to a pool of upstreams.
//
//	go run . -addr 127.0.0.1:9001 -upstream 127.0.0.1:9000,127.0.0.1:9002
//
// It prints one line to stderr once it accepts connections, serves until SIGINT or
// SIGTERM, then lets connections finish for the grace and prints its statistics, as
// it does at SIGUSR1. With -restart, SIGUSR2 starts the program anew: the new process
// takes over the listening sockets, and no connection is refused meanwhile.
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
	"time"

	"github.com/goproactor/goproactor/proactor"
)

type config struct {
	network, addr string
	backend       proactor.Backend
	loops         int
	pin           bool
	busyPoll      time.Duration
	verbose       bool

	upstreams   []string
	balance     string
	health      time.Duration
	dialTimeout time.Duration
	retries     int

	idle        time.Duration
	grace       time.Duration
	maxConns    int
	perAddress  int
	acceptRate  float64
	restart     bool
	acceptProxy bool
	sendProxy   string
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(2)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, watched(c.restart)...)
	if err := run(signals, c); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:9001", "address to listen on, port 0 for any")
	flags.StringVar(&c.network, "network", "tcp", "tcp, tcp4, tcp6 or unix")
	flags.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "event loops")
	flags.BoolVar(&c.pin, "pin", false, "bind each loop to a processor")
	flags.DurationVar(&c.busyPoll, "busypoll", 0, "how long a loop with nothing to do polls before it sleeps")
	flags.BoolVar(&c.verbose, "verbose", false, "log connections that fail")
	upstreams := flags.String("upstream", "127.0.0.1:9000", "where connections go: host:port or unix:PATH, several with commas between")
	flags.StringVar(&c.balance, "balance", "least", "which upstream gets a connection: least (that has the fewest) or round (each in turn)")
	flags.DurationVar(&c.health, "health", 2*time.Second, "how often to try each upstream; 0 for never, and none is left out")
	flags.DurationVar(&c.dialTimeout, "dial-timeout", 2*time.Second, "how long an upstream has to accept a connection")
	flags.IntVar(&c.retries, "retries", 1, "how many other upstreams to try when one cannot be reached")
	flags.DurationVar(&c.idle, "idle", 0, "end connections on which nothing happens for so long; 0 for never")
	flags.DurationVar(&c.grace, "grace", 2*time.Second, "how long connections have to finish after the signal to stop, or after a restart")
	flags.IntVar(&c.maxConns, "max-conns", 0, "connections at once; more wait; 0 for no limit")
	flags.IntVar(&c.perAddress, "max-conns-per-address", 0, "connections of one client address at once; more are reset; 0 for no limit")
	flags.Float64Var(&c.acceptRate, "accept-rate", 0, "connections to accept a second; more wait; 0 for no limit")
	flags.BoolVar(&c.restart, "restart", false, "at SIGUSR2, hand the listening sockets over to a new process of this program")
	flags.BoolVar(&c.acceptProxy, "accept-proxy", false, "clients begin with a header of the PROXY protocol, v1 or v2; those that do not are reset")
	flags.StringVar(&c.sendProxy, "send-proxy", "", "begin with a header of the PROXY protocol to upstreams: v1 or v2")
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
	c.upstreams = strings.Split(*upstreams, ",")
	if c.backend, err = proactor.ParseBackend(*backend); err != nil {
		return c, err
	}
	return c, c.check()
}

// check says what does not make sense.
func (c *config) check() error {
	switch {
	case c.loops < 1:
		return fmt.Errorf("%d loops: want 1 or more", c.loops)
	case c.busyPoll < 0:
		return fmt.Errorf("busy polling for %v: want 0 (off) or more", c.busyPoll)
	case c.balance != "least" && c.balance != "round":
		return fmt.Errorf("balance %q: want least or round", c.balance)
	case c.sendProxy != "" && c.sendProxy != "v1" && c.sendProxy != "v2":
		return fmt.Errorf("send-proxy %q: want v1 or v2", c.sendProxy)
	case c.dialTimeout <= 0:
		return fmt.Errorf("dial timeout of %v: want more than 0", c.dialTimeout)
	case c.health < 0 || c.idle < 0 || c.grace < 0:
		return fmt.Errorf("health %v, idle %v, grace %v: want none that is negative", c.health, c.idle, c.grace)
	case c.retries < 0 || c.maxConns < 0 || c.perAddress < 0 || c.acceptRate < 0:
		return errors.New("retries and limits: want none that is negative")
	}
	for _, address := range c.upstreams {
		if address == "" {
			return errors.New("an empty upstream: want host:port or unix:PATH, with commas between")
		}
	}
	return nil
}

func (c *config) options() []proactor.Option {
	opts := []proactor.Option{proactor.WithBackend(c.backend), proactor.WithLoops(c.loops), proactor.WithMaxConns(c.maxConns)}
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

func run(signals <-chan os.Signal, c config) error {
	rt, err := proactor.New(c.options()...)
	if err != nil {
		return err
	}
	defer rt.Close()
	pool := newPool(rt, c)
	ln, predecessor, err := listen(rt, c)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, banner(rt, ln, c))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	checks := pool.watch(ctx, c.health)
	p := &proxy{rt: rt, pool: pool, config: c}
	served := make(chan error, 1)
	go func() { served <- ln.Serve(ctx, p.serve) }()
	predecessor.tell()

	if err := attend(signals, served, ln, p); err != nil {
		return err
	}
	err = drain(signals, served, cancel, c.grace)
	cancel()
	checks.Await(context.Background())
	p.printStats()
	return err
}

// attend serves until a signal to stop, or until another process has taken over.
func attend(signals <-chan os.Signal, served <-chan error, ln *proactor.Listener, p *proxy) error {
	for {
		select {
		case err := <-served:
			return err
		case s := <-signals:
			switch whatToDo(s) {
			case report:
				p.printStats()
				continue
			case restart:
				pid, err := handOver(ln, signals)
				if errors.Is(err, errStopped) {
					fmt.Fprintln(os.Stderr, "restart: this process stops:", err)
					break
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, "restart: this process goes on:", err)
					continue
				}
				fmt.Fprintf(os.Stderr, "restarted: process %d serves\n", pid)
				ln.SetUnlinkOnClose(false) // the file is the new process's
			}
			if _, err := ln.Pause().Await(context.Background()); err != nil {
				return err
			}
			return ln.Close()
		}
	}
}

// drain waits for the handlers: for the grace, or until a second signal.
func drain(signals <-chan os.Signal, served <-chan error, cancel context.CancelFunc, grace time.Duration) error {
	over := time.NewTimer(grace)
	defer over.Stop()
	var err error
	select {
	case err = <-served:
	case <-over.C:
		fmt.Fprintf(os.Stderr, "connections still open after %v were aborted\n", grace)
		cancel()
		err = <-served
	case <-signals:
		cancel()
		err = <-served
	}
	if errors.Is(err, proactor.ErrClosed) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

func banner(rt *proactor.Runtime, ln *proactor.Listener, c config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s %s backend=%v loops=%d style=await",
		c.network, ln.Addr(), rt.Backend().Backend, len(rt.Loops()))
	if reason := rt.Backend().Reason; reason != "" {
		fmt.Fprintf(&b, " reason=%q", reason)
	}
	return b.String()
}

// Httpd is an HTTP server on net/http or fasthttp.
//
//	go -C examples/httpd run . -addr 127.0.0.1:8080 [-engine fasthttp] [-tls] [-root DIR]
//
// It answers / with a line of text, and /files/ with the files below DIR. It prints one
// line to stderr once it accepts connections, serves until SIGINT or SIGTERM, then shuts
// down gracefully and prints its statistics.
package main

import (
	"context"
	"crypto/tls"
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

// grace is how long requests have to finish after the signal to stop.
const grace = 2 * time.Second

// greeting is the answer to /.
const greeting = "Hello, World!\n"

type config struct {
	network, addr string
	backend       proactor.Backend
	loops         int
	pin           bool
	busyPoll      time.Duration

	engine    string
	secure    bool
	cert, key string
	root      string
	timeout   time.Duration
	idle      time.Duration
	maxBody   int
}

func main() {
	c, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "httpd:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "httpd:", err)
		os.Exit(1)
	}
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("httpd", flag.ContinueOnError)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "address to listen on, port 0 for any")
	flags.StringVar(&c.network, "network", "tcp", "tcp, tcp4, tcp6 or unix")
	flags.IntVar(&c.loops, "loops", 0, "event loops; 0 for one a processor, and for one with -engine nethttp, which does not use them")
	flags.BoolVar(&c.pin, "pin", false, "bind each loop to a processor")
	flags.DurationVar(&c.busyPoll, "busypoll", 0, "how long a loop with nothing to do polls before it sleeps")
	flags.StringVar(&c.engine, "engine", "nethttp", "nethttp (goroutines, HTTP/1.1, and HTTP/2 with -tls) or fasthttp (coroutines, HTTP/1.1)")
	flags.BoolVar(&c.secure, "tls", false, "serve HTTPS, with a certificate made for this run unless -cert and -key name one")
	flags.StringVar(&c.cert, "cert", "", "file with the certificate, PEM")
	flags.StringVar(&c.key, "key", "", "file with its private key, PEM")
	flags.StringVar(&c.root, "root", "", "directory whose files /files/ serves")
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long a client has to send its request, and to take each MiB of a file")
	flags.DurationVar(&c.idle, "idle", time.Minute, "how long a connection may wait for its next request")
	flags.IntVar(&c.maxBody, "maxbody", 1<<20, "bytes that the body of a request may have")
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
	if err := c.check(); err != nil {
		return c, err
	}
	switch {
	case c.loops > 0:
	case c.engine == "nethttp":
		c.loops = 1
	default:
		c.loops = runtime.GOMAXPROCS(0)
	}
	return c, nil
}

// check says what does not make sense.
func (c *config) check() error {
	switch {
	case engines[c.engine] == nil:
		return fmt.Errorf("engine %q: want nethttp or fasthttp", c.engine)
	case c.loops < 0:
		return fmt.Errorf("%d loops: want 1 or more, or 0 for the default", c.loops)
	case c.busyPoll < 0:
		return fmt.Errorf("busy polling for %v: want 0 (off) or more", c.busyPoll)
	case (c.cert == "") != (c.key == ""):
		return errors.New("-cert and -key: want both or neither")
	case c.cert != "" && !c.secure:
		return errors.New("-cert without -tls")
	case c.timeout <= 0 || c.idle <= 0:
		return fmt.Errorf("timeout %v, idle %v: want more than 0", c.timeout, c.idle)
	case c.maxBody < 1:
		return fmt.Errorf("bodies of %d bytes: want 1 or more", c.maxBody)
	}
	return nil
}

// server is what the engines have in common.
type server struct {
	config
	rt    *proactor.Runtime
	files *root       // nil without -root
	tls   *tls.Config // nil without -tls
}

// engine serves the connections of a listener.
type engine interface {
	// serve returns when the listener is closed.
	serve(ln *proactor.Listener) error
	// shutdown closes the listener, and lets requests finish until ctx ends. Then
	// it aborts them, with context.DeadlineExceeded.
	shutdown(ctx context.Context) error
}

var engines = map[string]func(*server) engine{
	"nethttp":  newNetHTTP,
	"fasthttp": newFastHTTP,
}

func run(ctx context.Context, c config) error {
	opts := []proactor.Option{proactor.WithBackend(c.backend), proactor.WithLoops(c.loops)}
	if c.busyPoll > 0 {
		opts = append(opts, proactor.WithBusyPoll(c.busyPoll))
	}
	if c.pin {
		opts = append(opts, proactor.WithPinning())
	}
	rt, err := proactor.New(opts...)
	if err != nil {
		return err
	}
	defer rt.Close()
	s := &server{config: c, rt: rt}
	if s.files, err = openRoot(c.root); err != nil {
		return err
	}
	if s.tls, err = secured(c); err != nil {
		return err
	}
	ln, err := rt.Listen(c.network, c.addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, banner(rt, ln, c))

	e := engines[c.engine](s)
	served := make(chan error, 1)
	go func() { served <- e.serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = e.shutdown(deadline)
	printStats(rt)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(os.Stderr, "connections still open after %v were aborted\n", grace)
		err = nil
	}
	return err
}

func banner(rt *proactor.Runtime, ln *proactor.Listener, c config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listening on %s %s backend=%v loops=%d engine=%s",
		c.network, ln.Addr(), rt.Backend().Backend, len(rt.Loops()), c.engine)
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

package contestant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/goproactor/goproactor/proactor"
)

// This library, on one loop. The echo is the program that its users see, in
// examples/echo; the broadcast is below.
var (
	_ = register(ours("io_uring", "callback", ceilingRing))
	_ = register(ours("io_uring", "await", ceilingRing))
	_ = register(ours("epoll", "callback", ceilingEpoll))
	_ = register(ours("epoll", "await", ceilingEpoll))
)

// The same, polling instead of sleeping: for what that does to latency.
var (
	_ = register(polling(ours("io_uring", "callback", ceilingRing)))
	_ = register(polling(ours("epoll", "callback", ceilingEpoll)))
)

func polling(c Contestant) Contestant {
	build := c.Build
	c.Name += "-polling"
	c.About += ", with busy polling"
	c.MaxConns, c.Limit = 1, "busy polling is for latency, and compared with one connection"
	c.NoBroadcast = c.Limit
	c.Serve, c.ServeMessages = nil, nil
	c.MultiLoop = false
	c.Build = func(ctx context.Context, dir string) ([]string, error) {
		argv, err := build(ctx, dir)
		return append(argv, "-busypoll", "1s"), err
	}
	return c
}

// The same, with a thread of the kernel that submits: for a machine with a processor to
// spare, which the thread is on if its number is in the environment.
var (
	_ = register(submitting(ours("io_uring", "callback", ceilingRing)))
	_ = register(submitting(ours("io_uring", "await", ceilingRing)))
)

// submissionCore is the variable of the environment with the number of the processor.
const submissionCore = "SUBMISSION_CORE"

func submitting(c Contestant) Contestant {
	build := c.Build
	c.Name += "-submissionthread"
	c.About += ", with a submission thread"
	c.OnRequest = true
	c.NoBroadcast = "the thread is an option of examples/echo"
	c.Serve, c.ServeMessages = nil, nil
	c.Build = func(ctx context.Context, dir string) ([]string, error) {
		argv, err := build(ctx, dir)
		argv = append(argv, "-submissionthread", "1s")
		if core := os.Getenv(submissionCore); core != "" {
			argv = append(argv, "-submissionprocessors", core)
		}
		return argv, err
	}
	return c
}

func ours(backend, style, against string) Contestant {
	return Contestant{
		Name:    "goproactor-" + backend + "-" + style,
		Family:  Ours,
		About:   fmt.Sprintf("this library on %s, %s style, one loop unless told otherwise", backend, style),
		Against: against,
		Build: func(ctx context.Context, dir string) ([]string, error) {
			program, err := BuildExample(ctx, dir, "echo")
			return []string{program, "-network", "tcp", "-backend", backend, "-style", style}, err
		},
		Args: func(o Options) []string {
			return append(standardArgs(o), "-loops", strconv.Itoa(max(o.Loops, 1)))
		},
		MultiLoop:     true,
		Serve:         func(o Options) error { return serveOurs(o, backend, style) },
		ServeMessages: func(o Options) error { return messagesOurs(o, backend, style) },
	}
}

// serveOurs broadcasts.
func serveOurs(o Options, backend, style string) error {
	if !o.Broadcast {
		return errors.New("the echo of this library is examples/echo")
	}
	b, err := proactor.ParseBackend(backend)
	if err != nil {
		return err
	}
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	l, err := rt.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(l.Addr().String())
	room := ourRoom{}
	if style == "await" {
		return l.Serve(context.Background(), room.await)
	}
	if err := l.OnConn(room.callback); err != nil {
		return err
	}
	select {}
}

// messagesOurs echoes messages as examples/udpecho does.
func messagesOurs(o Options, backend, style string) error {
	b, err := proactor.ParseBackend(backend)
	if err != nil {
		return err
	}
	rt, err := proactor.New(proactor.WithBackend(b), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	c, err := rt.ListenPacket("udp4", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(c.LocalAddr().String())
	if style == "callback" {
		c.OnMessage(func(m proactor.Message, err error) {
			if err == nil {
				c.Reply(m)
			}
		})
		select {}
	}
	_, err = c.Loop().Go(context.Background(), func(ctx context.Context) error {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return err
			}
			if _, err := c.Reply(m).Await(ctx); err != nil {
				return err
			}
		}
		return nil
	}).Await(context.Background())
	return err
}

// ourRoom is the connections of the one loop, which alone touches it.
type ourRoom map[*proactor.Conn]bool

func (r ourRoom) say(p []byte) {
	message := append([]byte(nil), p...) // one copy for all: it is only read
	for c := range r {
		c.SendBytes(message)
	}
}

func (r ourRoom) callback(c *proactor.Conn) {
	r[c] = true
	c.OnRecv(func(buf proactor.Buffer, err error) {
		if err != nil {
			delete(r, c)
			c.Close()
			return
		}
		r.say(buf.Bytes())
		buf.Release()
	})
}

func (r ourRoom) await(ctx context.Context, c *proactor.Conn) error {
	r[c] = true
	defer delete(r, c)
	for {
		buf, err := c.Recv().Await(ctx)
		if err != nil {
			return err
		}
		r.say(buf.Bytes())
		buf.Release()
	}
}

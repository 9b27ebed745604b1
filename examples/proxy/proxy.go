package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// proxy serves the connections.
type proxy struct {
	config
	rt    *proactor.Runtime
	pool  *pool
	idled atomic.Int64 // connections that were ended because nothing happened
}

// serve is the handler of one connection.
func (p *proxy) serve(ctx context.Context, client *proactor.Conn) error {
	if p.idle > 0 {
		client.SetIdleTimeout(p.idle) // whatever goes either way passes this connection
	}
	ends, err := p.ends(ctx, client)
	if err != nil {
		client.Abort()
		return err
	}
	u, server, err := p.pool.connect(ctx)
	if err != nil {
		client.Abort()
		return err
	}
	defer server.Close()
	defer u.left()
	if p.sendProxy != "" {
		header, err := ends.format(p.sendProxy)
		if err != nil {
			client.Abort()
			return err
		}
		server.SendBytes(header)
	}
	there := client.Forward(server, proactor.ForwardProgress(&u.sent))
	back := server.Forward(client, proactor.ForwardProgress(&u.received))
	// All waits for both, unless one fails. What has not come to its end must not look
	// as if it had.
	if _, err := futures.All(there, back).Await(ctx); err != nil {
		if errors.Is(err, proactor.ErrIdle) {
			p.idled.Add(1)
		}
		client.Abort()
		server.Abort()
		return err
	}
	return nil
}

func (p *proxy) printStats() {
	for _, u := range p.pool.upstreams {
		state := "up"
		if u.down.Load() {
			state = "down"
		}
		fmt.Fprintf(os.Stderr, "upstream %s: %s conns=%d served=%d failed=%d sent=%d received=%d\n",
			u, state, u.open.Load(), u.served.Load(), u.failed.Load(), u.sent.Moved(), u.received.Moved())
	}
	fmt.Fprintf(os.Stderr, "connections: idle=%d\n", p.idled.Load())
	for i, s := range append(p.rt.Stats(), p.rt.Stats().Total()) {
		name := fmt.Sprintf("loop %d", i)
		if i == len(p.rt.Loops()) {
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

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// pool is the upstreams. Handlers on all loops use it at once.
type pool struct {
	rt        *proactor.Runtime
	upstreams []*upstream
	round     bool // each in turn, else the one with the fewest connections
	attempts  int  // for one connection
	dialer    proactor.Dialer
	checked   bool // health checks bring back what is left out
	next      atomic.Uint32
}

// upstream is one of them, and what came of it.
type upstream struct {
	network, address string

	down     atomic.Bool  // it is left out while others are there
	open     atomic.Int64 // connections that it has
	served   atomic.Int64 // connections that it took
	failed   atomic.Int64 // connections that it did not take
	sent     proactor.Progress
	received proactor.Progress
}

func newPool(rt *proactor.Runtime, c config) *pool {
	p := &pool{rt: rt, round: c.balance == "round", attempts: 1 + c.retries, checked: c.health > 0}
	p.dialer.Timeout = c.dialTimeout
	for _, address := range c.upstreams {
		u := &upstream{network: "tcp", address: address}
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			u.network, u.address = "unix", path
		}
		p.upstreams = append(p.upstreams, u)
	}
	return p
}

func (u *upstream) String() string {
	if u.network == "unix" {
		return "unix:" + u.address
	}
	return u.address
}

// left counts a connection out.
func (u *upstream) left() { u.open.Add(-1) }

// connect connects to an upstream, or to another when that fails.
func (p *pool) connect(ctx context.Context) (*upstream, *proactor.Conn, error) {
	var failures []error
	tried := map[*upstream]bool{}
	for len(tried) < min(p.attempts, len(p.upstreams)) {
		u := p.pick(tried)
		tried[u] = true
		conn, err := p.dialer.Dial(ctx, p.rt, u.network, u.address).Await(ctx)
		if err == nil {
			u.served.Add(1)
			return u, conn, nil
		}
		u.left()
		if ctx.Err() != nil {
			return nil, nil, err
		}
		u.failed.Add(1)
		p.mark(u, err)
		failures = append(failures, err)
	}
	return nil, nil, fmt.Errorf("no upstream: %w", errors.Join(failures...))
}

// pick chooses one that was not tried, and counts the connection. One that is down is
// chosen when no other is left: it may be back.
func (p *pool) pick(tried map[*upstream]bool) *upstream {
	n := uint32(len(p.upstreams))
	first := p.next.Add(1) - 1
	var best *upstream
	for i := range n {
		u := p.upstreams[(first%n+i)%n]
		switch {
		case tried[u]:
		case best == nil, best.down.Load() && !u.down.Load():
			best = u
		case best.down.Load() != u.down.Load():
		case !p.round && u.open.Load() < best.open.Load():
			best = u
		}
	}
	best.open.Add(1)
	return best
}

// mark notes whether an upstream can be reached.
func (p *pool) mark(u *upstream, err error) {
	if !p.checked {
		return
	}
	switch {
	case err != nil && !u.down.Swap(true):
		fmt.Fprintf(os.Stderr, "upstream %s is down: %v\n", u, err)
	case err == nil && u.down.Swap(false):
		fmt.Fprintf(os.Stderr, "upstream %s is up\n", u)
	}
}

// watch tries each upstream every so often, until ctx ends. The future resolves then.
func (p *pool) watch(ctx context.Context, every time.Duration) futures.Future[[]struct{}] {
	var checks []futures.Future[struct{}]
	if every > 0 {
		for _, u := range p.upstreams {
			checks = append(checks, p.rt.Go(ctx, func(ctx context.Context) error { return p.check(ctx, u, every) }))
		}
	}
	return futures.All(checks...)
}

func (p *pool) check(ctx context.Context, u *upstream, every time.Duration) error {
	for {
		conn, err := p.dialer.Dial(ctx, p.rt, u.network, u.address).Await(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.mark(u, err)
		if err == nil {
			conn.Close()
		}
		if _, err := p.rt.Sleep(every).Await(ctx); err != nil {
			return err
		}
	}
}

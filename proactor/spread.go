package proactor

import (
	"fmt"
	"sync/atomic"
)

// Spread says how a listener's connections are spread over the loops.
type Spread int

const (
	// SpreadByKernel leaves a connection on the loop that accepted it. For TCP
	// each loop has a socket of its own and the kernel chooses by a hash of the
	// addresses (SO_REUSEPORT): cheap, even over many connections, uneven over
	// few. A Unix listener has one socket, and one loop then has all connections. With
	// WithRebalancing a loop that is saturated gives new connections to an idle one.
	SpreadByKernel Spread = iota

	// SpreadRoundRobin gives each loop a connection in turn.
	SpreadRoundRobin

	// SpreadLeastConns gives a connection to the loop that has the fewest of this
	// listener's open.
	SpreadLeastConns
)

// ListenOption changes how a listener is set up.
type ListenOption func(*Listener) error

// spreadDefault is SpreadByKernel if each loop has a socket, else SpreadRoundRobin.
const spreadDefault Spread = -1

// WithSpread sets how connections are spread over the loops. The default is
// SpreadByKernel for TCP, and SpreadRoundRobin for Unix sockets and for a listener with
// fewer sockets than there are loops (FileListener, AdoptListener). A connection that is
// given to another loop costs that loop a wake-up at most.
func WithSpread(s Spread) ListenOption {
	return func(ln *Listener) error {
		if s < SpreadByKernel || s > SpreadLeastConns {
			return fmt.Errorf("proactor: spread %d: want SpreadByKernel, SpreadRoundRobin or SpreadLeastConns", s)
		}
		ln.spread = s
		return nil
	}
}

// acceptorOn is the acceptor on a loop. With rebalancing each loop has one.
func (ln *Listener) acceptorOn(l *Loop) *acceptor {
	for _, a := range ln.acceptors {
		if a.loop == l {
			return a
		}
	}
	return nil
}

// place chooses the acceptor whose loop gets a connection, and counts it there.
func (ln *Listener) place(here *acceptor) *acceptor {
	to := here
	switch ln.spread {
	case SpreadByKernel:
		if l := here.loop.rebalance.relief.Load(); l != nil {
			to = ln.acceptorOn(l)
		}
	case SpreadRoundRobin:
		to = ln.acceptors[int(ln.turn.Add(1)-1)%len(ln.acceptors)]
	case SpreadLeastConns:
		for _, a := range ln.acceptors {
			if a.conns.Load() < to.conns.Load() {
				to = a
			}
		}
	}
	to.conns.Add(1)
	return to
}

// spreading is the state of a listener for it.
type spreading struct {
	spread Spread
	turn   atomic.Uint32
}

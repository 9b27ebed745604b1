package proactor

import (
	"fmt"
	"sync/atomic"
)

// Spread is how a listener's connections come to its runtime's loops.
type Spread int

const (
	// SpreadByKernel leaves a connection on the loop that accepted it. For TCP
	// each loop has a socket of its own and the kernel chooses by a hash of the
	// addresses (SO_REUSEPORT): cheap, even over many connections, uneven over
	// few. A Unix listener has one socket, and one loop then has all connections.
	SpreadByKernel Spread = iota

	// SpreadRoundRobin gives each loop a connection in turn.
	SpreadRoundRobin

	// SpreadLeastConns gives a connection to the loop that has the fewest of this
	// listener's open.
	SpreadLeastConns
)

// ListenOption changes how Listen sets a listener up.
type ListenOption func(*Listener) error

// spreadDefault is what Listen begins with: it is SpreadByKernel where each loop has a
// socket, else SpreadRoundRobin.
const spreadDefault Spread = -1

// WithSpread sets how connections come to loops. The default is SpreadByKernel
// for TCP, and SpreadRoundRobin for Unix sockets and for a listener with fewer
// sockets than there are loops (FileListener, AdoptListener). Handing one over to another loop
// costs that loop a wake-up at most.
func WithSpread(s Spread) ListenOption {
	return func(ln *Listener) error {
		if s < SpreadByKernel || s > SpreadLeastConns {
			return fmt.Errorf("proactor: spread %d: want SpreadByKernel, SpreadRoundRobin or SpreadLeastConns", s)
		}
		ln.spread = s
		return nil
	}
}

// place chooses the acceptor whose loop a connection is for, and counts it in.
func (ln *Listener) place(here *acceptor) *acceptor {
	to := here
	switch ln.spread {
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

// spreading is what a listener knows for it.
type spreading struct {
	spread Spread
	turn   atomic.Uint32
}

package simulation

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/internal/timerheap"
	"github.com/goproactor/goproactor/ring"
)

// Network connects the sockets of its queues. Its methods may be called from any
// goroutine.
type Network struct {
	seed       uint64
	conditions Conditions

	mu      sync.Mutex
	begun   time.Time
	events  timerheap.Heap[*event]
	taken   map[time.Duration]bool // times at which something happens
	changed chan struct{}          // the first event is another one
	ended   chan struct{}          // closed with the last queue
	hooks   []func()               // to be called once the lock is free
	wake    []*Queue               // to be interrupted then

	open     int // queues
	opened   int // queues so far
	sockets  map[int]*socket
	all      []*socket // of them, in the order of their making
	incoming []*socket // ends of connections that nobody has accepted
	cut      map[[2]netip.Addr]bool
	stalled  []*pipe // whose packets wait for the end of a partition

	seen        int // completions
	moments     map[int]func()
	trace       []Step
	unsupported map[ring.Op]int
	violations  []string
}

// New makes a network, whose time begins now. In a bubble of testing/synctest it is for that
// bubble only.
func New(seed uint64, c Conditions) *Network {
	return &Network{
		seed: seed, conditions: c, begun: time.Now(),
		taken:   map[time.Duration]bool{},
		sockets: map[int]*socket{}, cut: map[[2]netip.Addr]bool{},
		moments: map[int]func(){}, unsupported: map[ring.Op]int{},
	}
}

// Hook puts a queue of the network under each loop, instead of the one it would have.
func (n *Network) Hook() queuehook.Hook {
	return func(int, func() (ring.Queue, error)) (ring.Queue, error) { return n.Open(), nil }
}

// Step is a completion that a program has seen.
type Step struct {
	Time   time.Duration // since the network began
	Queue  int           // by the order of their opening
	Op     ring.Op
	Socket int // by the order in which sockets of the queue were used first, 0 for none
	Result int32
	More   bool
}

func (s Step) String() string {
	more := ""
	if s.More {
		more = " (more)"
	}
	return fmt.Sprintf("%v queue %d socket %d %v = %d%s", s.Time, s.Queue, s.Socket, s.Op, s.Result, more)
}

// Trace is every completion so far. Results that are descriptors are 0 in it, for their
// numbers depend on the process.
func (n *Network) Trace() []Step {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Step(nil), n.trace...)
}

// Violations are the rules that a program, or the library, did not keep.
func (n *Network) Violations() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.violations...)
}

func (n *Network) violated(format string, args ...any) {
	n.violations = append(n.violations, fmt.Sprintf("%v: %s", n.now(), fmt.Sprintf(format, args...)))
}

// Unsupported are the operations that were refused, with how often.
func (n *Network) Unsupported() map[ring.Op]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := map[ring.Op]int{}
	for op, count := range n.unsupported {
		m[op] = count
	}
	return m
}

// AtCompletion has fn called when the k-th completion, from 1 on, is about to be seen.
// Call it before that.
func (n *Network) AtCompletion(k int, fn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.moments[k] = fn
}

// After has fn called after d. It is for what changes the network while programs run:
// nothing else happens at that time.
func (n *Network) After(d time.Duration, fn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.after(d, func() { n.hooks = append(n.hooks, fn) })
}

// SetConditions changes the conditions from now on. Window holds for new connections.
func (n *Network) SetConditions(c Conditions) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conditions = c
}

// Conditions are those in force.
func (n *Network) Conditions() Conditions {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conditions
}

// Partition keeps packets between two addresses from arriving. Those of streams arrive
// after Heal, datagrams are lost.
func (n *Network) Partition(a, b netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]netip.Addr{a, b}], n.cut[[2]netip.Addr{b, a}] = true, true
}

// Heal ends all partitions.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	stalled := n.stalled
	n.stalled = nil
	for _, p := range stalled {
		p.stalled = false
		p.expect()
	}
}

// Reset resets every connection between two addresses, as a router does that has lost
// its state: both ends get a reset.
func (n *Network) Reset(a, b netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range append([]*socket(nil), n.all...) {
		from, to := s.local.Addr(), s.remote.Addr()
		if s.in != nil && (from == a && to == b || from == b && to == a) {
			s.in.discard()
			s.gotReset()
		}
	}
}

func (n *Network) isCut(a, b netip.Addr) bool { return n.cut[[2]netip.Addr{a, b}] }

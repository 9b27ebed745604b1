package proactortest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/queuehook"
	"github.com/goproactor/goproactor/internal/simulation"
	"github.com/goproactor/goproactor/proactor"
)

// Simulation is a network that exists in memory only: runtimes that are started with its
// option exchange TCP and UDP through it instead of the kernel. Its seed decides how long
// each packet takes, how much a receive or a send moves at once, and in which order
// results come.
//
// In a bubble of testing/synctest its time is the fake time of the bubble, and so is that
// of the runtimes: timeouts of an hour take no time, and a seed that fails fails again in
// the same way. Outside of one, latencies take real time.
//
// Addresses are those of the loopback interface, 127.0.0.0/8, each of which may be
// another host: a Dialer with a LocalAddr of 127.0.0.2 calls from there. Both ends of a
// connection belong to runtimes of the Simulation; a client of package net does not reach
// it. Files, Unix sockets, pipes, raw descriptors (Detach, SyscallConn), and a Forward or
// SendFile that moves data inside the kernel are not simulated: what the queue sees of
// that ends with EOPNOTSUPP, and the test fails.
//
// The methods may be called from any goroutine of the bubble.
type Simulation struct{ network *simulation.Network }

// Conditions are those of a simulated network. Those of a seed are in
// Simulation.Conditions.
type Conditions = simulation.Conditions

// Simulate makes a Simulation. In a test of testing/synctest call it in the bubble.
//
// When the test ends, after its runtimes were closed, the test fails if memory of an
// operation was touched before its completion, if an operation completed more than once
// or was left, or if something was used that is not simulated. A test that fails says how
// to run it again.
func Simulate(t testing.TB, seed uint64) *Simulation {
	t.Helper()
	n := simulation.New(seed, simulation.ConditionsOf(seed))
	again := func() string {
		return fmt.Sprintf("simulated with seed %d under %+v; again: go test -run '%s'", seed, n.Conditions(), pattern(t.Name()))
	}
	stuck := time.AfterFunc(longest, func() {
		steps := n.Trace()
		t.Errorf("the test has not ended in %v; the last completions: %v; %s", longest, steps[max(0, len(steps)-20):], again())
	})
	t.Cleanup(func() {
		stuck.Stop()
		for op, count := range n.Unsupported() {
			t.Errorf("%v is not simulated, and was used %d times", op, count)
		}
		for _, violation := range n.Violations() {
			t.Error("simulation: ", violation)
		}
		if t.Failed() {
			t.Log(again())
		}
	})
	return &Simulation{n}
}

// longest is for how long a simulation may last. In a bubble a test that is stuck comes
// there at once.
const longest = 30 * 24 * time.Hour

// pattern is what runs the test of that name only.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// Option puts a runtime on the network, as a runtime of one loop without a watchdog for
// stalls: the fake clock stands still while a handler runs.
func (s *Simulation) Option() proactor.Option {
	return combined(proactor.WithLoops(1), proactor.WithStallLimit(0), queuehook.Option(proactor.Option(nil), s.network.Hook()))
}

// combined is an option that sets several.
func combined[O any](options ...func(O) error) func(O) error {
	return func(o O) error {
		for _, set := range options {
			if err := set(o); err != nil {
				return err
			}
		}
		return nil
	}
}

// Conditions are those in force.
func (s *Simulation) Conditions() Conditions { return s.network.Conditions() }

// SetConditions changes them. Window holds for new connections.
func (s *Simulation) SetConditions(c Conditions) { s.network.SetConditions(c) }

// Partition keeps packets between two hosts from arriving. Those of TCP arrive after Heal,
// those of UDP are lost.
func (s *Simulation) Partition(a, b netip.Addr) { s.network.Partition(a, b) }

// Heal ends all partitions.
func (s *Simulation) Heal() { s.network.Heal() }

// Reset resets all TCP connections between two hosts, at both ends.
func (s *Simulation) Reset(a, b netip.Addr) { s.network.Reset(a, b) }

// After has fn called after d. Nothing else happens on the network at that moment, so a
// Partition comes in the same place each time.
func (s *Simulation) After(d time.Duration, fn func()) { s.network.After(d, fn) }

// AtCompletion has fn called when the k-th completion of an operation, from 1 on, has
// come and the program does not know of it yet: for a cancel at every point of a program.
func (s *Simulation) AtCompletion(k int, fn func()) { s.network.AtCompletion(k, fn) }

// Completions is how many completions there were.
func (s *Simulation) Completions() int { return len(s.network.Trace()) }

// Trace is a line for each completion so far: when it came, on which runtime, which
// socket, the operation, and its result.
func (s *Simulation) Trace() string {
	var b strings.Builder
	for _, step := range s.network.Trace() {
		fmt.Fprintln(&b, step)
	}
	return b.String()
}

// Package contestant holds the servers that are compared, each in one file.
//
// The types to know:
//
//   - [Contestant], one server: a name, a family, and either a Serve function
//     that runs in a process of its own or a Build function that makes a
//     program;
//   - [Options], what every server is started with;
//   - [All], the registry that each file adds itself to.
package contestant

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Family groups contestants for the figures that are relative to a group.
type Family string

const (
	Ours     Family = "ours"     // this library
	Peer     Family = "peer"     // Go servers by others, standard net among them
	Textbook Family = "textbook" // the models of the history books
	Ceiling  Family = "ceiling"  // C, what the kernel lets one do
)

// Families in the order in which tables list them.
var Families = []Family{Ours, Peer, Textbook, Ceiling}

// Baseline is the contestant that every ratio within a round refers to.
const Baseline = "net"

// Options start a server.
type Options struct {
	Addr      string            // host:port, port 0 for a free one
	Broadcast bool              // send what comes in to every connection instead of back
	Listening func(addr string) // to be called once the address is bound
}

// Contestant is one server.
type Contestant struct {
	Name   string
	Family Family
	About  string // one line for the report

	// Serve serves until the process is killed or listening fails. It runs in
	// a process of its own.
	Serve func(Options) error

	// ServeMessages echoes UDP messages, likewise; nil if the server cannot.
	ServeMessages func(Options) error

	// Build, for a server that is a program, makes the program in dir and
	// returns the command line, to which "-addr host:port" (and "-broadcast")
	// is appended. The program prints a line on standard error:
	// "listening on tcp HOST:PORT". Where there is Serve too, the program
	// echoes and Serve broadcasts.
	Build func(ctx context.Context, dir string) (argv []string, err error)

	// MaxConns is the number of connections the server can hold, zero for no
	// limit of its own, and Limit says why.
	MaxConns int
	Limit    string

	// Against is the contestant of the ceiling that this one is held against,
	// empty for the one on epoll.
	Against string

	NoBroadcast string // why it cannot broadcast, empty if it can

	// DropsOnEOF marks a server that, when a client has shut down its sending
	// side, discards what it still owes that client.
	DropsOnEOF bool
}

var registered []Contestant

func register(c Contestant) struct{} {
	if c.Against == "" {
		c.Against = ceilingEpoll
	}
	registered = append(registered, c)
	return struct{}{}
}

// InGo reports whether the server is a Go program and answers to package
// heapstats.
func (c Contestant) InGo() bool { return c.Family != Ceiling }

// All returns the contestants by family, then by name.
func All() []Contestant {
	all := slices.Clone(registered)
	slices.SortFunc(all, func(a, b Contestant) int {
		if d := slices.Index(Families, a.Family) - slices.Index(Families, b.Family); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Find returns the contestant of that name.
func Find(name string) (Contestant, error) {
	for _, c := range registered {
		if c.Name == name {
			return c, nil
		}
	}
	return Contestant{}, fmt.Errorf("no contestant %q: see 'bench list'", name)
}

// Select returns the contestants that the patterns name: a name, a family, or
// a prefix ended by "*". No pattern selects all.
func Select(patterns []string) ([]Contestant, error) {
	all := All()
	if len(patterns) == 0 {
		return all, nil
	}
	var chosen []Contestant
	for _, p := range patterns {
		if !slices.ContainsFunc(all, func(c Contestant) bool { return c.matches(p) }) {
			return nil, fmt.Errorf("no contestant or family matches %q: see 'bench list'", p)
		}
	}
	for _, c := range all {
		if slices.ContainsFunc(patterns, c.matches) {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

func (c Contestant) matches(pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(c.Name, prefix)
	}
	return pattern == c.Name || pattern == string(c.Family)
}

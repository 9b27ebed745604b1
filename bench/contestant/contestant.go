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
	Peer     Family = "peer"     // servers by others, standard net among them
	Textbook Family = "textbook" // the models of the history books
	Ceiling  Family = "ceiling"  // C, what the kernel lets one do
)

// Families in the order in which tables list them.
var Families = []Family{Ours, Peer, Textbook, Ceiling}

// Baseline is the contestant that every ratio within a round refers to, unless a workload
// names another.
const Baseline = "net"

// Place is where a program's connections come from.
type Place string

// The places.
const (
	OnNet     Place = "net"      // package net
	Detached  Place = "detached" // this library, for goroutines
	OnIOUring Place = "io_uring" // this library, in coroutines
	OnEpoll   Place = "epoll"    // likewise
)

// Places in the order of tables. The first is what the others are compared with.
var Places = []Place{OnNet, Detached, OnIOUring, OnEpoll}

// Options start a server.
type Options struct {
	Addr      string            // host:port, port 0 for a free one
	Broadcast bool              // send what comes in to every connection instead of back
	Loops     int               // event loops, zero for one
	Dir       string            // folder with what the workload has prepared
	Upstream  string            // host:port of what a proxy is before
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

	// Program is the server and Place where its connections come from, for a
	// workload that compares programs on package net and on this library. The name
	// is made of both.
	Program string
	Place   Place

	// Build, for a server that is a program, makes the program in dir and
	// returns the command line, to which Args is appended. The program prints a line on standard error:
	// "listening on tcp HOST:PORT". Where there is Serve too, the program
	// echoes and Serve broadcasts.
	Build func(ctx context.Context, dir string) (argv []string, err error)

	// Args are the flags that tell the program its options, nil for -addr,
	// -broadcast and -loops.
	Args func(Options) []string

	// OnRequest keeps it out of every run that does not name it.
	OnRequest bool

	// Silent says that the program prints no such line, and cannot choose a port.
	Silent bool

	// MultiLoop says that the server can have several loops.
	MultiLoop bool

	// Foreign says that the program is not in Go.
	Foreign bool

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
func (c Contestant) InGo() bool { return c.Family != Ceiling && !c.Foreign }

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

// Select returns those that the patterns name: a name, a family, a place, a program, or
// a prefix ended by "*". No pattern selects all.
func Select(all []Contestant, patterns []string) ([]Contestant, error) {
	if len(patterns) == 0 {
		return slices.DeleteFunc(slices.Clone(all), func(c Contestant) bool { return c.OnRequest }), nil
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(all, func(c Contestant) bool { return c.matches(p) }) {
			return nil, fmt.Errorf("no contestant or family matches %q: see 'bench list'", p)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c Contestant) bool { return !c.Matches(patterns) }), nil
}

// Matches reports whether one of the patterns names it.
func (c Contestant) Matches(patterns []string) bool { return slices.ContainsFunc(patterns, c.matches) }

func (c Contestant) matches(pattern string) bool {
	if pattern == "" || c.OnRequest && pattern != c.Name {
		return false
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(c.Name, prefix)
	}
	return pattern == c.Name || pattern == string(c.Family) || pattern == string(c.Place) || pattern == c.Program
}

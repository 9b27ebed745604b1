// Package program holds servers that others have written libraries for: net/http,
// fasthttp, gRPC and so on, each in one file. Every one is run on package net and on
// this library, to see what it costs there.
//
//   - [Program], one server, and the load that is put on it;
//   - [Place], where its connections come from;
//   - [Serve] is the server's process, [Drive] the load generator's.
package program

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/goproactor/goproactor/bench/load"
)

// Program is one server.
type Program struct {
	Name  string
	About string // one line for the table
	Unit  string // what is counted: request, MiB
	Bulk  bool   // it moves bytes, rather than answers requests

	// Listen serves on goroutines what the listener accepts.
	Listen func(net.Listener, Options) error

	// Packets serves on goroutines, instead of Listen.
	Packets func(net.PacketConn, Options) error

	// Handler makes the function that serves one connection in a coroutine, nil if
	// the library cannot run there. NoCoroutine says why.
	Handler     func(Options) (Handler, error)
	NoCoroutine string

	// NeedsFile says that the file of Options is read.
	NeedsFile bool

	// Load is what the load generator does.
	Load load.Job

	drive func(load.Job) (load.Result, error)
}

// Handler serves one connection in a coroutine.
type Handler func(context.Context, net.Conn) error

// Options start a server.
type Options struct {
	Addr      string            // host:port, port 0 for a free one
	File      string            // a large file, for a program that needs one
	Listening func(addr string) // to be called once the address is bound
}

var registered []Program

func register(p Program) struct{} {
	registered = append(registered, p)
	return struct{}{}
}

// All returns the programs, those that answer requests first, then by name.
func All() []Program {
	all := slices.Clone(registered)
	slices.SortFunc(all, func(a, b Program) int {
		if a.Bulk != b.Bulk {
			if b.Bulk {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Find returns the program of that name.
func Find(name string) (Program, error) {
	for _, p := range registered {
		if p.Name == name {
			return p, nil
		}
	}
	return Program{}, fmt.Errorf("no program %q: see 'bench list'", name)
}

// Select returns the programs that the patterns name: a name, or a prefix ended by
// "*". No pattern selects all.
func Select(patterns []string) ([]Program, error) {
	all := All()
	if len(patterns) == 0 {
		return all, nil
	}
	var chosen []Program
	for _, pattern := range patterns {
		matches := func(p Program) bool {
			prefix, ok := strings.CutSuffix(pattern, "*")
			return p.Name == pattern || ok && strings.HasPrefix(p.Name, prefix)
		}
		if !slices.ContainsFunc(all, matches) {
			return nil, fmt.Errorf("no program matches %q: see 'bench list'", pattern)
		}
		for _, p := range all {
			if matches(p) {
				chosen = append(chosen, p)
			}
		}
	}
	return chosen, nil
}

// Drive does a job: it loads the server and measures it.
func Drive(job load.Job) (load.Result, error) {
	p, err := Find(job.Workload)
	if err != nil {
		return load.Result{}, err
	}
	return p.drive(job)
}

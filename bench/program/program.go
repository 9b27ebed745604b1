// Package program holds the workloads that have servers of their own: what people run
// (HTTP, a store, a proxy, files, TLS and so on), and what echo servers do not show. Each is
// in one file, with its servers, its cells and the load generator's side of it.
//
// Most servers are written once, on the interfaces of package net, and run in several
// places: on package net, and on this library for goroutines and in coroutines.
package program

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/proactor"
)

// server is a program that runs in several places.
type server struct {
	name  string // the names of its contestants begin with it
	about string

	// listen serves on goroutines what the listener accepts.
	listen func(net.Listener, contestant.Options) error

	// packets serves on goroutines, instead of listen.
	packets func(net.PacketConn, contestant.Options) error

	// handler makes the function that serves one connection in a coroutine; nil if
	// it cannot run there.
	handler func(contestant.Options) (handler, error)

	// onLoop makes such a function that uses the library itself, instead of handler.
	onLoop func(*proactor.Runtime, contestant.Options) (connHandler, error)

	// detached says that it runs on this library for goroutines, too.
	detached bool

	multiLoop bool
	options   []proactor.Option
	listening []proactor.ListenOption
}

// handler serves one connection in a coroutine.
type handler func(context.Context, net.Conn) error

// connHandler likewise.
type connHandler func(context.Context, *proactor.Conn) error

// contestants are the server in each place where it can run.
func (s server) contestants() (all []contestant.Contestant) {
	for _, at := range contestant.Places {
		serve, about := s.in(at)
		if serve == nil {
			continue
		}
		family := contestant.Ours
		if at == contestant.OnNet {
			family = contestant.Peer
		}
		all = append(all, contestant.Contestant{
			Name:      s.name + "-" + string(at),
			Family:    family,
			About:     s.about + about,
			Program:   s.name,
			Place:     at,
			Serve:     serve,
			MultiLoop: s.multiLoop && at != contestant.Detached,
		})
	}
	return all
}

// in is the server in a place, nil if it cannot run there.
func (s server) in(at contestant.Place) (serve func(contestant.Options) error, about string) {
	switch {
	case at == contestant.OnNet && (s.listen != nil || s.packets != nil):
		return s.onNet, " on package net"
	case at == contestant.Detached && s.detached:
		return s.onDetached, " on this library, for goroutines"
	case at == contestant.OnIOUring || at == contestant.OnEpoll:
		if s.handler == nil && s.onLoop == nil {
			return nil, ""
		}
		return func(o contestant.Options) error { return s.inCoroutines(at, o) }, " on this library, in coroutines on " + string(at)
	}
	return nil, ""
}

func (s server) onNet(o contestant.Options) error {
	if s.packets != nil {
		pc, err := net.ListenPacket("udp4", o.Addr)
		if err != nil {
			return err
		}
		o.Listening(pc.LocalAddr().String())
		return s.packets(pc, o)
	}
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return s.listen(ln, o)
}

// onDetached leaves the choice of the backend to the library: no loop takes part.
func (s server) onDetached(o contestant.Options) error {
	rt, err := proactor.New(proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	if s.packets != nil {
		pc, err := rt.ListenPacket("udp4", o.Addr)
		if err != nil {
			return err
		}
		std, err := pc.Detach()
		if err != nil {
			return err
		}
		o.Listening(std.LocalAddr().String())
		return s.packets(std, o)
	}
	ln, err := rt.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return s.listen(ln.NetListener(), o)
}

func (s server) inCoroutines(at contestant.Place, o contestant.Options) error {
	backend, err := proactor.ParseBackend(string(at))
	if err != nil {
		return err
	}
	options := append(slices.Clone(s.options), proactor.WithBackend(backend), proactor.WithLoops(max(o.Loops, 1)))
	rt, err := proactor.New(options...)
	if err != nil {
		return err
	}
	defer rt.Close()
	ln, err := rt.Listen("tcp", o.Addr, s.listening...)
	if err != nil {
		return err
	}
	handle, err := s.connHandler(rt, o)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return ln.Serve(context.Background(), handle)
}

func (s server) connHandler(rt *proactor.Runtime, o contestant.Options) (connHandler, error) {
	if s.onLoop != nil {
		return s.onLoop(rt, o)
	}
	handle, err := s.handler(o)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, c *proactor.Conn) error { return handle(ctx, c.NetConn(ctx)) }, nil
}

// serveEach serves each connection on a goroutine.
func serveEach(ln net.Listener, serve func(net.Conn) error) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// both makes a server of a function that serves one connection, wherever it runs.
func both(serve func(net.Conn) error) (func(net.Listener, contestant.Options) error, func(contestant.Options) (handler, error)) {
	listen := func(ln net.Listener, _ contestant.Options) error { return serveEach(ln, serve) }
	handle := func(contestant.Options) (handler, error) {
		return func(_ context.Context, c net.Conn) error { return serve(c) }, nil
	}
	return listen, handle
}

// example makes contestants of a program of examples/, on either backend; args are its flags.
func example(name, about string, args func(contestant.Options) []string) (all []contestant.Contestant) {
	for _, at := range []contestant.Place{contestant.OnIOUring, contestant.OnEpoll} {
		all = append(all, contestant.Contestant{
			Name:      name + "-" + string(at),
			Family:    contestant.Ours,
			About:     fmt.Sprintf("examples/%s: %s, on %s", name, about, at),
			Program:   name,
			Place:     at,
			MultiLoop: true,
			Build: func(ctx context.Context, dir string) ([]string, error) {
				program, err := contestant.BuildExample(ctx, dir, name)
				return []string{program, "-network", "tcp", "-backend", string(at)}, err
			},
			Args: func(o contestant.Options) []string {
				o.Loops = max(o.Loops, 1)
				return args(o)
			},
		})
	}
	return all
}

package program

import (
	"context"
	"fmt"
	"net"

	"github.com/goproactor/goproactor/proactor"
)

// Place is where a program's connections come from.
type Place string

// The places.
const (
	Net      Place = "net"      // package net
	Detached Place = "detached" // this library, for goroutines
	IOUring  Place = "io_uring" // this library, in coroutines
	Epoll    Place = "epoll"    // likewise
)

// Places in the order of the table's columns. The first is what the others are
// compared with.
var Places = []Place{Net, Detached, IOUring, Epoll}

// Runs says whether the program can run there, or else why not.
func (p Program) Runs(at Place) (why string, ok bool) {
	if (at == IOUring || at == Epoll) && p.Handler == nil {
		return p.NoCoroutine, false
	}
	return "", true
}

// Serve serves until the process is killed or listening fails. It runs in a process of
// its own.
func Serve(p Program, at Place, o Options) error {
	if why, ok := p.Runs(at); !ok {
		return fmt.Errorf("%s does not run in a coroutine: %s", p.Name, why)
	}
	switch at {
	case Net:
		return p.onNet(o)
	case Detached:
		return p.detached(o)
	case IOUring, Epoll:
		return p.inCoroutines(at, o)
	default:
		return fmt.Errorf("no place %q: want one of %v", at, Places)
	}
}

func (p Program) onNet(o Options) error {
	if p.Packets != nil {
		pc, err := net.ListenPacket("udp4", o.Addr)
		if err != nil {
			return err
		}
		o.Listening(pc.LocalAddr().String())
		return p.Packets(pc, o)
	}
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return p.Listen(ln, o)
}

// detached leaves the choice of the backend to the library: no loop takes part.
func (p Program) detached(o Options) error {
	rt, err := proactor.New(proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	if p.Packets != nil {
		pc, err := rt.ListenPacket("udp4", o.Addr)
		if err != nil {
			return err
		}
		std, err := pc.Detach()
		if err != nil {
			return err
		}
		o.Listening(std.LocalAddr().String())
		return p.Packets(std, o)
	}
	ln, err := rt.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return p.Listen(ln.NetListener(), o)
}

func (p Program) inCoroutines(at Place, o Options) error {
	backend, err := proactor.ParseBackend(string(at))
	if err != nil {
		return err
	}
	rt, err := proactor.New(proactor.WithBackend(backend), proactor.WithLoops(1))
	if err != nil {
		return err
	}
	defer rt.Close()
	ln, err := rt.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	handle, err := p.Handler(o)
	if err != nil {
		return err
	}
	o.Listening(ln.Addr().String())
	return ln.Serve(context.Background(), func(ctx context.Context, c *proactor.Conn) error {
		return handle(ctx, c.NetConn(ctx))
	})
}

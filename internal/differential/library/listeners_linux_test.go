package library

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"golang.org/x/sys/unix"
)

// listenerPlayer dials, listens and accepts: with calls of the library, or of package net.
type listenerPlayer struct {
	calls     listenerCalls
	ctx       context.Context
	dir       string
	abstract  string
	listeners [handles]accepting
	made      map[string]string // addresses of targets that are made before
	names     map[string]string // what stands for an address in outcomes
	cancels   map[int]func()
	closers   []func()
}

// listenerCalls are those of one player.
type listenerCalls interface {
	listen(network, address string) (accepting, error)
	dial(ctx context.Context, s *Step, d *proactor.Dialer, network, address string) func() (named, func(), error)
	shutdown() error
	end()
}

// accepting is a listener. The function that accept returns waits.
type accepting interface {
	accept(s *Step, p *planned) (await func() (named, func(), error), cancel func())
	setDeadline(t time.Time) error
	close() error
	addr() net.Addr
}

// named is what a net.Conn and a Conn say of themselves.
type named interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

var abstractNames atomic.Int64

func newListenerPlayer(ctx context.Context, dir string, calls listenerCalls) (*listenerPlayer, error) {
	l := &listenerPlayer{
		calls: calls, ctx: ctx, dir: dir, made: map[string]string{}, names: map[string]string{}, cancels: map[int]func(){},
		abstract: fmt.Sprintf("@listeners-%d-%d", os.Getpid(), abstractNames.Add(1)),
	}
	return l, l.makeSpecial()
}

// makeSpecial makes what is at the special targets.
func (l *listenerPlayer) makeSpecial() error {
	if err := os.WriteFile(filepath.Join(l.dir, "file"), nil, 0o600); err != nil {
		return err
	}
	for name, kind := range map[string]int{"stale": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		l.closers = append(l.closers, func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(l.dir, name)}); err != nil {
			return err
		}
	}
	for _, name := range []string{"bound", "full"} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		l.closers = append(l.closers, func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		address := fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
		l.made[name], l.names[address] = address, name
		if name == "full" {
			if err := l.fill(fd, address); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill has a socket listen, with its queue full.
func (l *listenerPlayer) fill(fd int, address string) error {
	if err := unix.Listen(fd, 0); err != nil {
		return err
	}
	c, err := net.Dial("tcp", address)
	if err == nil {
		l.closers = append(l.closers, func() { c.Close() })
	}
	return err
}

// address is that of a target.
func (l *listenerPlayer) address(s *Step) (network, address string) {
	if s.Name < 0 {
		a := l.listeners[s.To].addr()
		return a.Network(), a.String()
	}
	t := targets[s.Name]
	if made := l.made[t.special]; made != "" {
		return t.network, made
	}
	return t.network, strings.NewReplacer("DIR", l.dir, "@ABSTRACT", l.abstract, "LONG", strings.Repeat("x", 108)).Replace(t.address)
}

// name is what stands for an address.
func (l *listenerPlayer) name(a net.Addr) string {
	if a == nil {
		return "none"
	}
	s := a.Network() + " " + strings.NewReplacer(l.dir, "DIR", l.abstract, "@ABSTRACT").Replace(a.String())
	if name := l.names[a.String()]; name != "" {
		return a.Network() + " " + name
	}
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.Port > 1024 { // chosen by the kernel
		return a.Network() + " " + tcp.IP.String()
	}
	return s
}

func (l *listenerPlayer) begin(s *Step, p *planned) func() Outcome {
	switch s.Verb {
	case Listen:
		ln, err := l.calls.listen(l.address(s))
		if err == nil {
			l.listeners[s.On] = ln
			l.names[ln.addr().String()] = l.name(ln.addr()) + fmt.Sprint(" of listener ", s.On)
			l.closers = append(l.closers, func() { ln.close() })
		}
		return l.said(err)
	case Dial:
		return l.dial(s)
	case Accept:
		await, cancel := l.listeners[s.On].accept(s, p)
		l.cancels[s.ID] = cancel
		return l.connected(await)
	case Close:
		return l.said(l.listeners[s.On].close())
	case EndReads:
		return l.said(l.listeners[s.On].setDeadline(time.Unix(1, 0)))
	case MoveDeadlines:
		return l.said(l.listeners[s.On].setDeadline(time.Time{}))
	case Cancel:
		l.cancels[s.Target]()
		return at(nil)
	case Shutdown:
		return l.said(l.calls.shutdown())
	}
	panic("no verb of a listener")
}

func (l *listenerPlayer) dial(s *Step) func() Outcome {
	ctx, cancel := context.WithCancel(l.ctx)
	d := &proactor.Dialer{}
	switch s.Flags {
	case expiredContext:
		var stop func()
		ctx, stop = context.WithDeadline(ctx, time.Unix(1, 0))
		l.closers = append(l.closers, stop)
	case expiredTimeout:
		d.Timeout = -1
	case localInUse:
		d.LocalAddr = l.listeners[s.To].addr()
	case localOfAnother:
		d.LocalAddr = &net.UDPAddr{IP: net.IP{127, 0, 0, 1}}
	case localOfAnotherIP:
		d.LocalAddr = &net.TCPAddr{IP: net.IPv6loopback}
	case localNowhere:
		d.LocalAddr = &net.TCPAddr{IP: net.IP{192, 0, 2, 1}}
	}
	if s.Ended {
		cancel()
	}
	l.cancels[s.ID] = cancel
	l.closers = append(l.closers, cancel)
	network, address := l.address(s)
	return l.connected(l.calls.dial(ctx, s, d, network, address))
}

// connected is the outcome of a Dial or Accept.
func (l *listenerPlayer) connected(await func() (named, func(), error)) func() Outcome {
	return func() Outcome {
		c, end, err := await()
		if err != nil {
			return l.said(err)()
		}
		l.closers = append(l.closers, end)
		return Outcome{Text: fmt.Sprintf("from %s to %s", l.name(c.LocalAddr()), l.name(c.RemoteAddr()))}
	}
}

// said is an error by its class, and by what package net says of it.
func (l *listenerPlayer) said(err error) func() Outcome {
	o := outcome(0, err)
	if errors.Is(err, context.DeadlineExceeded) && o.Error != hangs {
		o.Error = expired
	}
	if err == nil || o.Error == hangs {
		return func() Outcome { return o }
	}
	o.Text = "no *net.OpError"
	if op, ok := err.(*net.OpError); ok {
		inner := fmt.Sprintf("%T", op.Err)
		switch e := op.Err.(type) {
		case *os.SyscallError:
			inner = e.Syscall
		case *net.AddrError, *net.DNSError, *net.ParseError, net.UnknownNetworkError:
		default:
			inner = "an error"
		}
		o.Text = fmt.Sprintf("%s, network %q, from %s to %s, timeout %v: %s", op.Op, op.Net, l.name(op.Source), l.name(op.Addr), op.Timeout(), inner)
	}
	return func() Outcome { return o }
}

func (l *listenerPlayer) end() string {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.calls.end()
	return l.left()
}

// left is what is in the directory: listeners remove their files.
func (l *listenerPlayer) left() string {
	list, err := os.ReadDir(l.dir)
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, f := range list {
		names = append(names, f.Name())
	}
	return strings.Join(names, " ")
}

// The library.

type libraryListeners struct {
	ctx   context.Context
	rt    *proactor.Runtime
	asNet bool
	own   bool // the runtime is the program's own
}

// listeners is a player for a program, with a runtime of its own if that is to end.
func (m *machine) listeners(ctx context.Context, p *Program, dir string) (*listenerPlayer, error) {
	l := &libraryListeners{ctx: ctx, rt: m.rt, asNet: p.asNet()}
	for _, s := range p.Steps {
		if s.Verb == Shutdown && !p.Task && !l.own {
			rt, err := proactor.New(proactor.WithBackend(m.backend), proactor.WithLoops(2))
			if err != nil {
				return nil, err
			}
			l.rt, l.own = rt, true
		}
	}
	return newListenerPlayer(ctx, dir, l)
}

func (l *libraryListeners) listen(network, address string) (accepting, error) {
	ln, err := l.rt.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if l.asNet {
		return &standardListener{ln: ln.NetListener()}, nil
	}
	return &libraryListener{l.ctx, ln}, nil
}

func (l *libraryListeners) dial(ctx context.Context, s *Step, d *proactor.Dialer, network, address string) func() (named, func(), error) {
	var f futures.Future[net.Conn]
	way := s.Way % 4
	if way == 2 && l.own { // DialContext of a goroutine is that of package net, which knows no Shutdown
		way = 0
	}
	switch way {
	case 0:
		return l.connected(d.Dial(ctx, l.rt, network, address))
	case 1:
		if *d == (proactor.Dialer{}) {
			return l.connected(l.rt.Dial(ctx, network, address))
		}
		return l.connected(d.Dial(ctx, l.rt, network, address))
	case 2:
		f = futures.Go(l.ctx, func(context.Context) (net.Conn, error) { return d.DialContext(ctx, l.rt, network, address) })
	case 3:
		d.Resolver = nameless{}
		f = futures.Go(l.ctx, func(context.Context) (net.Conn, error) { return d.DialContext(ctx, l.rt, network, address) })
	}
	return func() (named, func(), error) {
		c, err := patiently(l.ctx, f.Await)
		if err != nil {
			return nil, nil, err
		}
		return c, func() { c.Close() }, nil
	}
}

// nameless is a resolver that is not asked: no target has a name.
type nameless struct{ proactor.Resolver }

func (l *libraryListeners) connected(f futures.Future[*proactor.Conn]) func() (named, func(), error) {
	return func() (named, func(), error) { return l.conn(patiently(l.ctx, f.Await)) }
}

func (l *libraryListeners) conn(c *proactor.Conn, err error) (named, func(), error) {
	return connOf(l.ctx, c, err)
}

func connOf(ctx context.Context, c *proactor.Conn, err error) (named, func(), error) {
	if err != nil {
		return nil, nil, err
	}
	return c, func() {
		c.Abort()
		patiently(ctx, c.Closed().Await)
	}, nil
}

func (l *libraryListeners) shutdown() error {
	// Connections of Dial would go on: what is left is ended.
	ctx, cancel := context.WithTimeout(l.ctx, 20*time.Millisecond)
	defer cancel()
	if err := l.rt.Shutdown(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (l *libraryListeners) end() {
	if l.own {
		l.rt.Close()
	}
}

// libraryListener is a Listener.
type libraryListener struct {
	ctx context.Context
	ln  *proactor.Listener
}

func (l *libraryListener) accept(s *Step, p *planned) (await func() (named, func(), error), cancel func()) {
	f := l.ln.Accept()
	return func() (named, func(), error) {
		if !s.Ended {
			c, err := patiently(l.ctx, f.Await)
			return connOf(l.ctx, c, err)
		}
		c, err := f.Await(ended(l.ctx))
		if class(err) == canceled && !p.ended { // the connection had not come yet
			c, err = patiently(l.ctx, l.ln.Accept().Await)
		}
		return connOf(l.ctx, c, err)
	}, f.Cancel
}

func (l *libraryListener) setDeadline(time.Time) error { panic("a Listener has no deadline") }
func (l *libraryListener) close() error                { return l.ln.Close() }
func (l *libraryListener) addr() net.Addr              { return l.ln.Addr() }

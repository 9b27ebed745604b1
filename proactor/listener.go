package proactor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
)

// Listener accepts connections on every loop of its runtime: for TCP each loop
// has a socket of its own bound to the same port (SO_REUSEPORT), and the
// kernel spreads the connections.
//
// A listener is used in one of three ways: Serve, OnConn, or Accept and Conns.
type Listener struct {
	rt        *Runtime
	network   string
	address   net.Addr
	acceptors []*acceptor
	spreading
	limit  int64 // connections open at once, 0 for no limit
	open   atomic.Int64
	quotas quotas
	unlink atomic.Bool // Close removes the file of a Unix socket

	movable     bool      // rebalancing may move its connections
	arming      sync.Once // the first Accept arms the acceptors
	mu          sync.Mutex
	mode        string                     // how it accepts: the method first called
	line        []*futures.Promise[*Conn]  // Accepts that wait
	backlog     []*Conn                    // accepted connections that no Accept has taken
	backlogFull atomic.Bool                // backlog is so long that accepting pauses
	failure     error                      // why nothing is accepted any more
	closed      atomic.Bool                // the sockets refuse connections
	paused      atomic.Bool                // by Pause
	std         *netListener               // once NetListener was called
	shared      atomic.Int32               // not zero: others may have its sockets, which are not shut down, see polls
	done        *futures.Promise[struct{}] // resolves when the sockets are closed
}

// Listen opens a listener. The network is "tcp", "tcp4", "tcp6", "unix" or
// "unixpacket" (SOCK_SEQPACKET: each Recv is what one Send sent); the address is
// host:port with port 0 for any free one, or a path. Without a host or with a
// wildcard, "tcp" takes IPv6 and IPv4. A path that begins with "@" or a zero byte
// is a name in the abstract namespace (unix(7)), which needs no file and is shown
// with "@"; the kernel chooses one for the empty path.
//
// Connections have the options that package net sets: TCP_NODELAY, and keep-alive
// after 15 s, every 15 s, 9 times (tcp(7)).
//
// Errors are *net.OpError around the system's: errors.Is finds
// syscall.EADDRINUSE, syscall.EACCES and so on.
func (rt *Runtime) Listen(network, address string, opts ...ListenOption) (*Listener, error) {
	ln, err := rt.newListener(opts)
	if err != nil {
		return nil, err
	}
	if rt.isClosing() {
		return nil, sockets.ListenError(network, nil, errShutdownDone)
	}
	fds, addr, err := sockets.Listen(network, address, len(rt.loops), rt.options.listenBacklog)
	if err != nil {
		return nil, err
	}
	ln.unlink.Store(true)
	return ln, ln.begin(fds, network, addr)
}

// newListener is a listener without sockets.
func (rt *Runtime) newListener(opts []ListenOption) (*Listener, error) {
	ln := &Listener{rt: rt, limit: int64(rt.options.maxConns), done: futures.NewPromise[struct{}]()}
	ln.spread = spreadDefault
	for _, set := range opts {
		if err := set(ln); err != nil {
			return nil, err
		}
	}
	return ln, nil
}

// begin makes an acceptor for each socket, on a loop of its own.
func (ln *Listener) begin(fds []int, network string, addr net.Addr) error {
	rt := ln.rt
	ln.network, ln.address = network, addr
	if ln.spread == spreadDefault {
		ln.spread = SpreadByKernel
		if len(fds) < len(rt.loops) {
			ln.spread = SpreadRoundRobin
		}
	}
	for i, fd := range fds {
		ln.acceptors = append(ln.acceptors, newAcceptor(ln, rt.loops[i%len(rt.loops)], fd))
	}
	if (ln.spread != SpreadByKernel || rt.rebalancer != nil) && len(fds) < len(rt.loops) {
		for _, l := range rt.loops[len(fds):] { // they get connections that other loops accept
			ln.acceptors = append(ln.acceptors, newAcceptor(ln, l, -1))
		}
	}
	for _, a := range ln.acceptors {
		a.loop.engine.Do(a.open) // if the loop has ended, the close below notices
	}
	if rt.isClosing() {
		ln.stopAccepting(errShutdownDone)
		if rt.currentLoop() == nil { // a loop must not wait for another: that may be waiting for this one
			ln.awaitClosed()
		}
		return sockets.ListenError(network, addr, errShutdownDone)
	}
	return nil
}

// acceptedAhead is how many connections wait for an Accept before accepting
// pauses. More wait in the kernel's queue, and are refused when that is full, too.
// Those that a canceled accept still brings come on top.
const acceptedAhead = 128

// Addr is the address it listens on, with the real port.
func (ln *Listener) Addr() net.Addr { return ln.address }

// limited reports whether connections may be taken from the kernel only one by one.
func (ln *Listener) limited() bool { return ln.limit > 0 || ln.quotas.rate.interval > 0 }

// polls reports whether acceptors wait by a poll, and then accept one connection. Of the
// accepts that wait, in all processes, the kernel wakes one alone (EPOLLEXCLUSIVE, on
// io_uring); of polls, each. So a listener of a socket that others have, too, does not
// keep a client to itself when it closes or its process ends.
func (ln *Listener) polls() bool { return ln.limited() || ln.shared.Load() != 0 }

// admit takes a place for a connection, unless the listener is at its limit.
func (ln *Listener) admit() bool {
	for {
		n := ln.open.Load()
		if ln.limit > 0 && n >= ln.limit {
			return false
		}
		if ln.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave frees the place of a connection. Acceptors of all loops may wait for it. They run
// later: the caller may be one of them, in the middle of admitting others.
func (ln *Listener) leave() {
	if ln.open.Add(-1) != ln.limit-1 || ln.limit == 0 {
		return // nobody waits
	}
	for _, a := range ln.acceptors {
		a.loop.engine.Do(a.arm)
	}
}

// use notes in which way the listener accepts; another way is refused from then on.
func (ln *Listener) use(mode string) error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.failure != nil && len(ln.backlog) == 0 {
		return ln.failure
	}
	if ln.mode != "" && ln.mode != mode {
		return fmt.Errorf("proactor: %s on a listener that is used by %s: a listener has one way of accepting", mode, ln.mode)
	}
	ln.mode = mode
	return nil
}

var errNoHandler = fmt.Errorf("proactor: a listener needs a function that is called with its connections, got nil: %w", syscall.EINVAL)

// OnConn calls fn with each connection, on the connection's own loop.
func (ln *Listener) OnConn(fn func(*Conn)) error {
	if fn == nil {
		return errNoHandler
	}
	if err := ln.use("OnConn"); err != nil {
		return err
	}
	ln.accept(func(c *Conn) {
		if ln.movable {
			c.setMovable(&movable{})
		}
		fn(c)
	})
	return nil
}

func (ln *Listener) accept(fn func(*Conn)) {
	// Each acceptor has its handler before any can accept: they give each other
	// connections.
	for _, a := range ln.acceptors {
		a.loop.engine.Perform(func() { a.handler = fn })
	}
	for _, a := range ln.acceptors {
		a.loop.engine.Perform(a.arm)
	}
}

// Serve runs handler for each connection, as a task on the connection's loop,
// until ctx ends or the listener is closed. The handler's ctx is the task: with
// it, Await waits without holding up the loop. When the handler returns, its
// connection is closed, after what it queued has been sent; its error goes to
// the runtime's logger. A panic ends that handler only.
//
// Serve returns when all handlers have: with ctx's error, else with why the
// listener accepts no more, which is ErrClosed for errors.Is.
// When ctx ends, the handlers' contexts do too.
func (ln *Listener) Serve(ctx context.Context, handler func(context.Context, *Conn) error) error {
	switch {
	case ln.rt.currentLoop() != nil:
		return ErrOnLoop
	case handler == nil:
		return errNoHandler
	}
	if err := ln.use("Serve"); err != nil {
		return err
	}
	s := &server{listener: ln, ctx: ctx, handler: handler}
	ln.accept(s.serve)
	stop := context.AfterFunc(ctx, func() { // also when the listener is closed, and handlers go on
		ln.stopAccepting(context.Cause(ctx))
		s.cancel(context.Cause(ctx))
	})
	<-ln.done.Future().Done() // no handler starts any more
	s.running.Wait()
	stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.failure
}

// server is a Serve under way.
type server struct {
	listener *Listener
	ctx      context.Context
	handler  func(context.Context, *Conn) error
	running  sync.WaitGroup
}

// serve starts the handler of one connection, on its loop.
func (s *server) serve(c *Conn) { s.start(c, s.handler) }

func (s *server) start(c *Conn, handler func(context.Context, *Conn) error) *futures.Task {
	s.running.Add(1)
	v := &service{server: s, handler: handler, conn: c, acceptor: c.acceptor}
	v.task = c.loop.engine.Tasks().StartJob(s.ctx, v)
	v.acceptor.services.Add(v, &v.listed)
	if s.listener.movable {
		c.setMovable(&movable{service: v, resume: s.handler})
	}
	return v.task
}

// service is the handler of one connection. It implements futures.Job.
type service struct {
	listed   engine.RosterPlace // among the acceptor's services
	server   *server
	handler  func(context.Context, *Conn) error
	conn     *Conn
	acceptor *acceptor
	task     *futures.Task
}

func (v *service) Run(ctx context.Context) error {
	if trace.IsEnabled() {
		trace.Log(ctx, "peer", v.conn.RemoteAddr().String())
		trace.Log(ctx, "listener", v.server.listener.Addr().String())
	}
	return v.handler(ctx, v.conn)
}

// TraceName implements futures.NamedJob.
func (v *service) TraceName() string { return futures.FunctionName(v.handler) }

func (v *service) Done(err error) {
	v.acceptor.services.Remove(&v.listed)
	v.conn.handlerEnded(err)
	if r := v.conn.relocation(); r != nil && r.there != nil {
		r.handlerEnded(err)
		return
	}
	v.conn.beginClose()
	v.server.running.Done()
}

// cancel ends the contexts of all handlers.
func (s *server) cancel(cause error) {
	for _, a := range s.listener.acceptors {
		a.loop.engine.Perform(func() {
			a.services.Each(func(v *service) { v.task.Cancel(cause) })
		})
	}
}

// Accept resolves with a connection, of whichever loop it came to.
func (ln *Listener) Accept() futures.Future[*Conn] {
	if err := ln.use("Accept"); err != nil {
		return futures.Failed[*Conn](err)
	}
	p := futures.NewPromise[*Conn]()
	p.SetCanceler(&acceptance{ln, p})
	ln.mu.Lock()
	switch {
	case len(ln.backlog) > 0:
		c := ln.backlog[0]
		ln.backlog[0], ln.backlog = nil, ln.backlog[1:]
		hasRoom := len(ln.backlog) <= acceptedAhead/2 && ln.backlogFull.CompareAndSwap(true, false)
		ln.mu.Unlock()
		if hasRoom {
			for _, a := range ln.acceptors {
				a.loop.engine.Do(a.arm)
			}
		}
		p.Resolve(c)
	case ln.failure != nil:
		err := ln.failure
		ln.mu.Unlock()
		p.Fail(err)
	default:
		ln.line = append(ln.line, p)
		ln.mu.Unlock()
		ln.arming.Do(func() { ln.accept(ln.arrived) })
	}
	return p.Future()
}

// acceptance cancels an Accept.
type acceptance struct {
	listener *Listener
	promise  *futures.Promise[*Conn]
}

func (a *acceptance) Cancel() {
	ln := a.listener
	ln.mu.Lock()
	for i, p := range ln.line {
		if p == a.promise {
			ln.line = append(ln.line[:i], ln.line[i+1:]...)
			break
		}
	}
	ln.mu.Unlock()
	a.promise.Fail(futures.ErrCanceled)
}

// arrived gives a connection to the Accept that waits longest.
func (ln *Listener) arrived(c *Conn) {
	ln.mu.Lock()
	for len(ln.line) > 0 {
		p := ln.line[0]
		ln.line = ln.line[1:]
		ln.mu.Unlock()
		if p.Resolve(c) {
			return
		}
		ln.mu.Lock()
	}
	if ln.failure != nil {
		ln.mu.Unlock()
		c.beginClose()
		return
	}
	ln.backlog = append(ln.backlog, c)
	if len(ln.backlog) >= acceptedAhead {
		ln.backlogFull.Store(true)
	}
	ln.mu.Unlock()
}

// Conns ranges over accepted connections until ctx ends, which is yielded as an error,
// or the listener is closed, which is not.
func (ln *Listener) Conns(ctx context.Context) iter.Seq2[*Conn, error] {
	return func(yield func(*Conn, error) bool) {
		for {
			c, err := ln.Accept().Await(ctx)
			if errors.Is(err, ErrClosed) {
				return
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// Close stops accepting and closes the sockets. Connections go on; those that
// no Accept has taken are closed, but after a Pause they stay for Accept and Conns, until
// Shutdown. When Close returns, the kernel refuses
// connections and the address is free for another Listen. Any goroutine, handler or callback may call it; closing
// again does nothing.
//
// A name in the abstract namespace, and the address of sockets that were adopted or
// passed on (AdoptListener, FileListener, Files), is free once the sockets are closed, the
// latter by whoever else has them, too. Close waits for the loops to close them, except in
// a callback, which cannot wait. A loop does not come to it while a callback holds it up,
// and if that waits for the goroutine that calls Close, they would wait for each other: so
// after 5 seconds Close waits no longer. The error is a *net.OpError, os.ErrDeadlineExceeded
// for errors.Is; the loop closes its socket when the callback has returned. There are no
// other errors.
func (ln *Listener) Close() error {
	_, err := ln.end()
	return err
}

// end is Close. It reports false when accepting had stopped before.
func (ln *Listener) end() (first bool, err error) {
	first = ln.stopAccepting(ErrClosed)
	if ln.shared.Load() != 0 || ln.local() && sockets.IsAbstract(ln.address.String()) {
		err = ln.awaitClosed()
	}
	return first, err
}

// awaitClosed waits for the loops to close the sockets. In a callback it does not.
func (ln *Listener) awaitClosed() error {
	ctx, cancel := context.WithTimeout(context.Background(), ln.rt.options.closePatience)
	defer cancel()
	if _, err := ln.done.Future().Await(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // ErrNoTask: it is a callback
	}
	return &net.OpError{Op: "close", Net: ln.network, Addr: ln.address, Err: errLoopHeldUp}
}

// errLoopHeldUp is why Close does not wait any longer.
var errLoopHeldUp = fmt.Errorf("a callback holds up a loop, which closes its socket when that has returned: %w", os.ErrDeadlineExceeded)

// local reports whether it is a Unix socket.
func (ln *Listener) local() bool { return ln.network == "unix" || ln.network == "unixpacket" }

// stopAccepting has every Accept fail with cause, in the form of package net. It reports false
// when that was done before.
func (ln *Listener) stopAccepting(cause error) (first bool) {
	ln.mu.Lock()
	if ln.failure != nil {
		ln.mu.Unlock()
		return false
	}
	cause = &net.OpError{Op: "accept", Net: ln.network, Addr: ln.address, Err: cause}
	ln.failure = cause
	line, backlog := ln.line, ln.backlog
	ln.line = nil
	if errors.Is(cause, ErrClosed) && ln.paused.Load() && !ln.rt.isClosing() {
		backlog = nil
	} else {
		ln.backlog = nil
	}
	ln.refuse() // before a Close at the same time returns
	std := ln.std
	ln.mu.Unlock()
	for _, p := range line {
		p.Fail(cause)
	}
	if std != nil {
		std.stop()
	}
	for _, c := range backlog {
		c.Close()
	}
	var left atomic.Int32
	left.Store(int32(len(ln.acceptors)))
	for _, a := range ln.acceptors {
		a.closed = func() {
			if left.Add(-1) == 0 {
				ln.done.Resolve(struct{}{})
			}
		}
		if !a.loop.engine.Perform(a.close) {
			a.closeWithoutLoop()
		}
	}
	return true
}

// dropUntaken closes the connections that no Accept has taken before the runtime is shut
// down.
func (ln *Listener) dropUntaken() {
	ln.mu.Lock()
	backlog := ln.backlog
	ln.backlog = nil
	ln.mu.Unlock()
	for _, c := range backlog {
		c.Close()
	}
}

// refuse has the kernel refuse connections. The loops close the descriptors once
// nothing is in flight on them.
func (ln *Listener) refuse() {
	ln.closed.Store(true)
	if ln.local() && ln.unlink.Load() {
		sockets.RemoveFile(ln.address.String())
	}
	if ln.shared.Load() != 0 {
		return
	}
	for _, a := range ln.acceptors {
		if !a.socketless {
			sockets.StopListening(a.fd)
		}
	}
}

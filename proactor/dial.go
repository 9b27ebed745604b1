package proactor

import (
	"context"
	"net"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
)

// dial is a Dial under way: first a name look-up, then attempts to connect, of which the
// first to succeed is used. All but the look-up runs on the loop.
type dial struct {
	residence engine.RosterPlace
	Dialer
	loop             *Loop
	ctx              context.Context
	network, address string
	host, service    string
	starter          starter
	promise          *futures.Promise[*Conn]

	lookup     context.CancelFunc // ends the look-up, nil if none is under way
	unwatch    func() bool        // stop watching the context
	candidates []net.Addr         // not tried yet
	attempts   []*attempt         // under way, or their sockets being closed
	next       engine.Timer       // starts the next attempt
	limit      engine.Timer
	connecting int   // attempts that may still succeed
	repeats    int   // attempts made a second time
	reason     error // why it is being ended
	failure    error // of the first attempt that failed
	won        bool
}

// attempt is one connect.
type attempt struct {
	dial     *dial
	fd       int
	to       net.Addr
	address  sockets.Address
	userData uint64
	closing  bool
}

func (t *dial) drain()           { t.end(ErrClosed) }
func (t *dial) end(reason error) { t.giveUp(t.opError(nil, reason)) }

func (t *dial) begin() {
	l := t.loop
	if l.stopping() || len(l.draining) > 0 {
		t.refuse(errShutdownDone)
		return
	}
	l.residents.Add(t, &t.residence)
	if t.ctx.Done() != nil {
		t.unwatch = context.AfterFunc(t.ctx, func() {
			l.engine.Do(func() { t.end(contextEnded(t.ctx)) })
		})
	}
	if t.Timeout > 0 {
		t.limit.Expired = func(error) { t.end(errDialTimeout) }
		l.engine.SetTimer(&t.limit, l.engine.After(t.Timeout))
	}
	t.next.Expired = func(err error) {
		if err == nil {
			t.try()
		}
	}
	if len(t.candidates) > 0 {
		t.try()
		return
	}
	t.startLookup()
}

// startLookup resolves the name on a goroutine, which posts the addresses to the loop.
func (t *dial) startLookup() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.ctx))
	t.lookup = cancel
	go func() {
		list, err := t.resolve(ctx)
		t.loop.engine.Do(func() { t.resolved(list, err) })
	}()
}

func (t *dial) resolved(list []net.Addr, err error) {
	if t.reason != nil {
		return // it was ended meanwhile, and has its error
	}
	t.lookup()
	t.lookup = nil
	if err != nil {
		t.failure = t.addressError(err)
	}
	t.candidates = list
	t.try()
}

// try starts the next attempt. If there is none it settles the dial.
func (t *dial) try() {
	for len(t.candidates) > 0 && !t.won && t.reason == nil {
		to := t.candidates[0]
		t.candidates = t.candidates[1:]
		if err := t.connect(to); err != nil {
			t.note(t.opError(to, err))
			continue
		}
		if len(t.candidates) > 0 && t.FallbackDelay > 0 {
			t.loop.engine.SetTimer(&t.next, t.loop.engine.After(t.FallbackDelay))
		}
		return
	}
	t.settle()
}

func (t *dial) connect(to net.Addr) error {
	a := &attempt{dial: t, to: to}
	var err error
	if a.fd, err = sockets.PrepareDial(to, t.LocalAddr, &a.address); err != nil {
		return err
	}
	t.attempts = append(t.attempts, a)
	t.connecting++
	sqe := t.loop.engine.Next()
	sqe.PrepConnect(a.fd, a.address.Bytes())
	a.userData = t.loop.engine.Submit(sqe, a)
	return nil
}

// Complete implements engine.Operation: the connect has ended, or the closing of its
// socket has.
func (a *attempt) Complete(result int32, _ uint32) {
	t := a.dial
	if a.closing {
		t.forget(a)
		t.settle()
		return
	}
	t.connecting--
	if t.won || t.reason != nil {
		a.close()
		return
	}
	errno := syscall.Errno(-result)
	again := errno == syscall.EADDRNOTAVAIL
	if result >= 0 {
		// A connect to a port of this machine where nobody listens can connect the
		// socket to itself, when the kernel gives it that port.
		if again = sockets.ConnectedToItself(a.fd, a.to); !again {
			t.win(a)
			return
		}
		errno = syscall.ECONNREFUSED
	}
	if again && t.LocalAddr == nil && t.repeats < 2 {
		t.repeats++
		t.candidates = append([]net.Addr{a.to}, t.candidates...)
	} else {
		t.note(t.opError(a.to, os.NewSyscallError("connect", errno)))
	}
	a.close()
	t.loop.engine.StopTimer(&t.next)
	t.try()
}

// win makes the connection from a socket, and ends the other attempts.
func (t *dial) win(a *attempt) {
	t.won = true
	t.forget(a)
	t.loop.engine.StopTimer(&t.next)
	t.loop.engine.StopTimer(&t.limit)
	t.cancelAttempts()
	c := t.loop.adopt(a.fd, t.network)
	c.recv.dialed = true
	t.loop.engine.Later(func() { t.promise.Resolve(c) })
	t.settle()
}

// note keeps the failure of the first address.
func (t *dial) note(err error) {
	if t.failure == nil {
		t.failure = err
	}
}

// giveUp ends the look-up and the attempts, for that reason.
func (t *dial) giveUp(reason error) {
	if t.won || t.reason != nil || t.over() {
		return
	}
	t.reason = reason
	t.candidates = nil
	t.loop.engine.StopTimer(&t.next)
	t.loop.engine.StopTimer(&t.limit)
	t.cancelAttempts()
	t.settle()
}

// refuse implements startable.
func (t *dial) refuse(err error) { t.promise.Fail(t.opError(nil, err)) }

// cancel implements startable.
func (t *dial) cancel() { t.end(futures.ErrCanceled) }

func (t *dial) cancelAttempts() {
	for _, a := range t.attempts {
		if !a.closing {
			t.loop.engine.Cancel(a.userData)
		}
	}
}

// close closes the socket through the queue, which may know the descriptor.
func (a *attempt) close() {
	a.closing = true
	sqe := a.dial.loop.engine.Next()
	sqe.PrepClose(a.fd)
	a.dial.loop.engine.Submit(sqe, a)
}

func (t *dial) forget(gone *attempt) {
	for i, a := range t.attempts {
		if a == gone {
			t.attempts = append(t.attempts[:i], t.attempts[i+1:]...)
			return
		}
	}
}

// over reports whether it was settled.
func (t *dial) over() bool { return !t.residence.Listed() }

// settle ends the dial once nothing of it is in flight.
func (t *dial) settle() {
	undecided := !t.won && t.reason == nil && (t.lookup != nil || len(t.candidates) > 0 || t.connecting > 0)
	if undecided || len(t.attempts) > 0 || t.over() {
		return
	}
	t.depart()
	if t.won {
		return
	}
	err := t.reason
	if err == nil {
		err = t.failure
	}
	t.loop.engine.Later(func() { t.promise.Fail(err) })
}

// depart leaves the loop.
func (t *dial) depart() {
	if t.lookup != nil {
		t.lookup()
	}
	if t.unwatch != nil {
		t.unwatch()
	}
	t.loop.engine.StopTimer(&t.next)
	t.loop.engine.StopTimer(&t.limit)
	t.loop.residents.Remove(&t.residence)
}

// addressError is the error of an address that nothing can be connected to. As with
// package net it names no addresses.
func (t *dial) addressError(cause error) error {
	return &net.OpError{Op: "dial", Net: t.network, Err: cause}
}

func (t *dial) opError(to net.Addr, cause error) error {
	e := &net.OpError{Op: "dial", Net: t.network, Source: t.LocalAddr, Addr: to, Err: cause}
	switch {
	case to != nil:
	case len(t.attempts) > 0:
		e.Addr = t.attempts[0].to
	case len(t.candidates) > 0:
		e.Addr = t.candidates[0]
	}
	return e
}

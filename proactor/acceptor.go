package proactor

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/fifo"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// acceptor is a listener's socket on one loop: a multishot accept that stays
// armed while connections are wanted.
type acceptor struct {
	engine.RosterPlace
	listener   *Listener
	loop       *Loop
	holding    sync.Mutex // keeps fd ours while it is duplicated
	fd         int
	userData   uint64
	armed      bool
	stopping   bool // a cancel for it is on its way
	closing    bool
	gone       bool // the socket is closed
	handler    func(*Conn)
	services   engine.Roster[*service] // the handlers of Serve
	conns      atomic.Int64            // placed on this loop and open
	socketless bool                    // the connections are accepted by others
	closed     func()                  // called once the socket is closed
	onQuiet    []func()                // called once no accept is under way

	resting engine.Timer // until the next try after a shortage
	rest    time.Duration
	over    fifo.Queue[int] // accepted beyond a limit, waiting for their turn
}

// How long accepting rests when the process or the system has run out of
// something: twice as long each time, until an accept succeeds.
const (
	shortestRest = 5 * time.Millisecond
	longestRest  = time.Second
)

func newAcceptor(ln *Listener, l *Loop, fd int) *acceptor {
	return &acceptor{listener: ln, loop: l, fd: fd, socketless: fd < 0}
}

// open makes the acceptor known to its loop, which closes it when it stops. A
// handler may have closed the listener before its own loop got here.
func (a *acceptor) open() {
	if a.gone {
		return
	}
	a.loop.residents.Add(a)
	if a.loop.stopping() {
		a.listener.stopAccepting(a.loop.closed())
	}
}

// drain implements resident.
func (a *acceptor) drain() { a.listener.stopAccepting(ErrClosed) }

// end implements resident.
func (a *acceptor) end(reason error) { a.listener.stopAccepting(reason) }

func (a *acceptor) wanted() bool {
	return a.handler != nil && !a.socketless && !a.ended() && !a.resting.Armed() && !a.full()
}

// ended says that the listener is closed: nothing more is accepted.
func (a *acceptor) ended() bool { return a.closing || a.listener.closed.Load() }

// full says that no more connections are wanted for now.
func (a *acceptor) full() bool {
	return a.atLimit() || a.listener.crowded.Load() || a.listener.paused.Load()
}

func (a *acceptor) atLimit() bool {
	limit := a.listener.limit
	return limit > 0 && a.listener.open.Load() >= limit
}

func (a *acceptor) arm() {
	if a.armed || !a.wanted() {
		return
	}
	sqe := a.loop.engine.Next()
	sqe.PrepMultishotAccept(a.fd, sockets.AcceptFlags)
	a.userData = a.loop.engine.Submit(sqe, a)
	a.armed = true
}

// complete implements engine.Operation.
func (a *acceptor) Complete(result int32, flags uint32) {
	if flags&ring.CQEFMore == 0 {
		a.armed, a.stopping = false, false
	}
	switch {
	case result < 0:
		a.refused(syscall.Errno(-result))
	case a.ended():
		sockets.Close(int(result)) // the last completions of a canceled accept can bring some
	case a.over.Len() == 0 && !a.resting.Armed() && a.listener.admit():
		a.admitted(int(result))
	default:
		a.over.Push(int(result))
	}
	if a.full() && a.armed {
		a.pause()
	}
	if !a.armed && a.onQuiet != nil {
		a.quieted()
	}
	a.arm()
	a.settled()
}

// admitted goes on with a connection that was counted in.
func (a *acceptor) admitted(fd int) {
	a.rest = 0
	a.restFor(a.listener.quotas.rate.take())
	a.hand(fd)
}

// restFor stops accepting for a while.
func (a *acceptor) restFor(d time.Duration) {
	if d <= 0 {
		return
	}
	a.resting.Expired = func(error) { a.refill() }
	a.loop.engine.SetTimer(&a.resting, a.loop.engine.After(d))
	if a.armed {
		a.pause()
	}
}

// hand gives a connection to the loop it is for.
func (a *acceptor) hand(fd int) {
	if !a.listener.quotas.perAddress.admit(fd) {
		sockets.Reset(fd)
		sockets.Close(fd)
		a.listener.open.Add(-1)
		return
	}
	to := a.listener.place(a)
	if to == a {
		a.accepted(fd)
		return
	}
	if !to.loop.engine.Do(func() { to.accepted(fd) }) {
		to.dropped(fd)
	}
}

// dropped closes a connection that came too late.
func (a *acceptor) dropped(fd int) {
	if q := &a.listener.quotas.perAddress; q.limit > 0 {
		q.left(sockets.NamesOf(fd).RemoteIP())
	}
	sockets.Close(fd)
	a.conns.Add(-1)
	a.listener.open.Add(-1)
}

func (a *acceptor) accepted(fd int) {
	if a.ended() {
		a.dropped(fd)
		return
	}
	a.loop.counts.accepted++
	c := a.loop.adopt(fd, a.listener.network)
	c.acceptor = a
	started := false
	defer func() {
		if !started { // the handler panicked or called Goexit
			c.abort(c.closedError("accept"))
		}
	}()
	a.handler(c)
	started = true
	if len(a.loop.draining) > 0 {
		c.stopReceiving() // it came in while the listener was being closed
	}
}

// pause cancels the accept until a connection has left, or was taken.
func (a *acceptor) pause() {
	if a.stopping {
		return
	}
	a.stopping = true
	a.loop.counts.acceptsPaused++
	a.loop.engine.Cancel(a.userData)
}

// left is called when one of its connections is closed.
func (a *acceptor) left(c *Conn) {
	if q := &a.listener.quotas.perAddress; q.limit > 0 {
		q.left(c.names().RemoteIP())
	}
	a.conns.Add(-1)
	a.listener.open.Add(-1)
	if a.listener.limit == 0 {
		return
	}
	// The place is anybody's: other loops may be the ones that wait.
	for _, other := range a.listener.acceptors {
		other.loop.engine.Perform(other.refill)
	}
}

// refill takes what waits, up to the limit, and accepts again.
func (a *acceptor) refill() {
	for a.over.Len() > 0 && !a.resting.Armed() && a.listener.admit() {
		a.admitted(a.over.Pop())
	}
	a.arm()
}

// refused handles a failed accept.
func (a *acceptor) refused(e syscall.Errno) {
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		// Out of descriptors or memory: the connection stays in the kernel's
		// queue. Trying at once would spin.
		a.rest = min(max(2*a.rest, shortestRest), longestRest)
		a.loop.ranShort(a.listener, e, a.rest)
		a.restFor(a.rest)
	case syscall.EAGAIN:
		// A listening socket that another process, or package net, has made
		// non-blocking: a queue does not wait for it, so a poll does.
		if !a.closing {
			sqe := a.loop.engine.Next()
			sqe.PrepPoll(a.fd, ring.PollIn)
			a.userData = a.loop.engine.Submit(sqe, (*acceptable)(a))
			a.armed = true
		}
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL, syscall.EOPNOTSUPP:
		// The socket is not one that accepts any more.
		if !a.closing {
			a.listener.stopAccepting(&net.OpError{Op: "accept", Net: a.listener.network, Addr: a.listener.address, Err: os.NewSyscallError("accept", e)})
		}
	}
	// Anything else concerns the one connection that was being accepted
	// (accept(2), "Error handling"), or is our own cancel.
}

// acceptable is the acceptor while it waits for connections at a non-blocking socket.
type acceptable acceptor

func (w *acceptable) Complete(int32, uint32) {
	a := (*acceptor)(w)
	a.armed, a.stopping = false, false
	a.quieted()
	a.arm()
	a.settled()
}

// close stops accepting and closes the socket.
func (a *acceptor) close() {
	if a.closing {
		return
	}
	a.closing = true
	a.loop.engine.StopTimer(&a.resting)
	for a.over.Len() > 0 {
		sockets.Close(a.over.Pop())
	}
	if a.armed && !a.stopping {
		a.stopping = true
		a.loop.engine.Cancel(a.userData)
	}
	a.settled()
}

// closeWithoutLoop closes the socket of an acceptor whose loop has ended.
func (a *acceptor) closeWithoutLoop() {
	<-a.loop.engine.Stopped()
	a.closeSocket()
	a.closed()
}

func (a *acceptor) closeSocket() {
	a.holding.Lock()
	defer a.holding.Unlock()
	if a.fd >= 0 {
		sockets.Close(a.fd)
		a.fd = -1
	}
}

func (a *acceptor) settled() {
	if !a.closing || a.armed || a.gone {
		return
	}
	a.gone = true
	a.closeSocket()
	a.loop.residents.Remove(a)
	if a.closed != nil {
		a.closed()
	}
}

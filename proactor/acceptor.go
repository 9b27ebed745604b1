package proactor

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/internal/engine"
	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// acceptor is a listener's socket on one loop: a multishot accept that stays
// armed while connections are wanted, or a poll and then one accept at a time, see
// Listener.polls and oneAccept.
type acceptor struct {
	residence  engine.RosterPlace
	listener   *Listener
	loop       *Loop
	holding    sync.Mutex // fd is not closed while it is held
	fd         int
	userData   uint64
	armed      bool
	stopping   bool // a cancel for it is on its way
	closing    bool
	gone       bool // the socket is closed
	handler    func(*Conn)
	services   engine.Roster[*service] // the handlers of Serve
	conns      atomic.Int64            // open on this loop
	socketless bool                    // its connections are accepted by other acceptors
	closed     func()                  // called once the socket is closed
	onStopped  []func()                // of Pause, see acceptingStopped

	backoffTimer engine.Timer  // until the next try after a shortage
	backoff      time.Duration // the last wait after a shortage
}

// How long accepting pauses when the process or the system is out of descriptors or
// memory, or refuses to accept: twice as long each time, until an accept succeeds.
const (
	shortestBackoff = 5 * time.Millisecond
	longestBackoff  = time.Second
)

func newAcceptor(ln *Listener, l *Loop, fd int) *acceptor {
	return &acceptor{listener: ln, loop: l, fd: fd, socketless: fd < 0}
}

// open registers the acceptor with its loop, which closes it when it stops. A
// handler may have closed the listener before this runs.
func (a *acceptor) open() {
	if a.gone {
		return
	}
	a.loop.residents.Add(a, &a.residence)
	if a.loop.stopping() {
		a.listener.stopAccepting(a.loop.closed())
	}
}

// drain implements resident.
func (a *acceptor) drain() { a.listener.stopAccepting(ErrClosed) }

// end implements resident.
func (a *acceptor) end(reason error) { a.listener.stopAccepting(reason) }

func (a *acceptor) wanted() bool {
	return a.handler != nil && !a.socketless && !a.ended() && !a.backoffTimer.Armed() && !a.full()
}

// ended reports whether the listener is closed.
func (a *acceptor) ended() bool { return a.closing || a.listener.closed.Load() }

// full reports whether accepting pauses.
func (a *acceptor) full() bool {
	return a.atLimit() || a.listener.backlogFull.Load() || a.listener.paused.Load()
}

func (a *acceptor) atLimit() bool {
	limit := a.listener.limit
	return limit > 0 && a.listener.open.Load() >= limit
}

func (a *acceptor) arm() {
	switch {
	case a.armed || !a.wanted():
		return
	case a.listener.polls():
		a.poll()
		return
	}
	sqe := a.loop.engine.Next()
	sqe.PrepMultishotAccept(a.fd, sockets.AcceptFlags)
	a.userData = a.loop.engine.Submit(sqe, a)
	a.armed = true
}

// Complete implements engine.Operation.
func (a *acceptor) Complete(result int32, flags uint32) {
	wasStopping := a.stopping
	if flags&ring.CQEFMore == 0 {
		a.armed, a.stopping = false, false
	}
	switch {
	case result < 0:
		a.refused(syscall.Errno(-result))
	case a.ended():
		sockets.Close(int(result)) // a canceled accept can still bring connections
	default:
		a.listener.admit()
		a.admitted(int(result))
	}
	if result >= 0 && !wasStopping && a.full() {
		a.pause()
	}
	a.rearm()
}

// rearm follows the end of an operation on the socket.
func (a *acceptor) rearm() {
	a.acceptingStopped()
	a.arm()
	a.settled()
}

// poll waits until somebody connects.
func (a *acceptor) poll() {
	sqe := a.loop.engine.Next()
	sqe.PrepPoll(a.fd, ring.PollIn)
	a.userData = a.loop.engine.Submit(sqe, (*acceptable)(a))
	a.armed = true
}

// acceptable is the acceptor while it polls.
type acceptable acceptor

func (w *acceptable) Complete(int32, uint32) {
	a := (*acceptor)(w)
	a.armed, a.stopping = false, false
	if a.listener.polls() {
		a.acceptOne()
	}
	a.rearm()
}

// pollFromNow ends an accept that waits for clients.
func (a *acceptor) pollFromNow() {
	if a.armed && !a.stopping {
		a.stopping = true
		a.loop.engine.Cancel(a.userData)
	}
}

// acceptOne accepts a connection that there is, after it has reserved a place for it.
func (a *acceptor) acceptOne() {
	switch {
	case a.ended() || a.listener.paused.Load() || a.backoffTimer.Armed():
		return
	case a.full() || !a.listener.admit():
		a.loop.counts.acceptsPaused++
		return
	}
	sqe := a.loop.engine.Next()
	sqe.PrepAccept(a.fd, sockets.AcceptFlags)
	a.userData = a.loop.engine.Submit(sqe, (*oneAccept)(a))
	a.armed, a.stopping = true, true
	a.loop.engine.Cancel(a.userData)
}

// oneAccept is the acceptor while it accepts one connection. Under a limit, a multishot
// would bring connections above it. An accept that waits would keep its place from
// the other sockets, where somebody may connect first: so it is canceled in the submission
// that begins it, and ends at once if another process has taken the connection.
type oneAccept acceptor

func (w *oneAccept) Complete(result int32, _ uint32) {
	a := (*acceptor)(w)
	a.armed, a.stopping = false, false
	switch {
	case result < 0:
		a.listener.leave()
		a.refused(syscall.Errno(-result))
	case a.ended():
		sockets.Close(int(result))
		a.listener.leave()
	default:
		a.admitted(int(result))
		if a.full() {
			a.loop.counts.acceptsPaused++
		}
	}
	a.rearm()
}

// admitted takes a connection that the limit allows.
func (a *acceptor) admitted(fd int) {
	a.backoff = 0
	a.backOff(a.listener.quotas.rate.take())
	a.hand(fd)
}

// backOff stops accepting for a while.
func (a *acceptor) backOff(d time.Duration) {
	if d <= 0 {
		return
	}
	a.backoffTimer.Expired = func(error) { a.arm() }
	a.loop.engine.SetTimer(&a.backoffTimer, a.loop.engine.After(d))
	if a.armed {
		a.pause()
	}
}

// hand gives a connection to the loop it is for.
func (a *acceptor) hand(fd int) {
	if !a.listener.quotas.perAddress.admit(fd) {
		sockets.Reset(fd)
		sockets.Close(fd)
		a.listener.leave()
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

// dropped closes a connection that comes after the end of its loop or listener.
func (a *acceptor) dropped(fd int) {
	if q := &a.listener.quotas.perAddress; q.limit > 0 {
		q.left(sockets.NamesOf(fd).RemoteIP())
	}
	sockets.Close(fd)
	a.conns.Add(-1)
	a.listener.leave()
}

func (a *acceptor) accepted(fd int) {
	if a.ended() {
		a.dropped(fd)
		return
	}
	a.loop.counts.accepted++
	c := a.loop.adopt(fd, a.listener.network)
	c.acceptor = a
	a.begin(c)
	if len(a.loop.draining) > 0 {
		c.stopReceiving() // it was accepted while the listener was being closed
	}
}

// begin calls the handler with a connection.
func (a *acceptor) begin(c *Conn) {
	started := false
	defer func() {
		if !started { // the handler panicked or called Goexit
			c.abort(c.closedError("accept"))
		}
	}()
	a.handler(c)
	started = true
}

// pause stops accepting until there is room for another connection. The accept may have
// ended by itself.
func (a *acceptor) pause() {
	if a.stopping {
		return
	}
	a.loop.counts.acceptsPaused++
	if a.armed {
		a.stopping = true
		a.loop.engine.Cancel(a.userData)
	}
}

// left is called when one of its connections is closed.
func (a *acceptor) left(c *Conn) {
	if q := &a.listener.quotas.perAddress; q.limit > 0 {
		q.left(c.names().RemoteIP())
	}
	a.conns.Add(-1)
	a.listener.leave()
}

// refused handles a failed accept.
func (a *acceptor) refused(e syscall.Errno) {
	if a.closing {
		return // it was canceled, or has nothing to try again for
	}
	switch e {
	case syscall.EAGAIN:
		// Another process, or package net, has made the socket non-blocking:
		// accept does not wait then, so wait by a poll.
		if a.wanted() {
			a.poll()
		}
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL, syscall.EOPNOTSUPP:
		// The socket accepts no more.
		a.listener.stopAccepting(os.NewSyscallError("accept", e))
	case syscall.ECANCELED, syscall.EINTR: // by us, or by a signal
	case syscall.ECONNABORTED, syscall.EPROTO, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH, syscall.ENOPROTOOPT, syscall.ETIMEDOUT:
		// It concerns the one connection that was being accepted (accept(2),
		// "Error handling").
	default:
		// Out of descriptors or memory, or a policy refuses it: the connection stays
		// in the kernel's queue. Trying at once would spin.
		a.backoff = min(max(2*a.backoff, shortestBackoff), longestBackoff)
		a.loop.noteAcceptShortage(a.listener, e, a.backoff)
		a.backOff(a.backoff)
	}
}

// close stops accepting and closes the socket.
func (a *acceptor) close() {
	if a.closing {
		return
	}
	a.closing = true
	a.loop.engine.StopTimer(&a.backoffTimer)
	a.acceptingStopped()
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
	a.loop.residents.Remove(&a.residence)
	if a.closed != nil {
		a.closed()
	}
}

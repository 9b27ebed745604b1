package proactor

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/internal/sockets"
)

// NetListener returns the listener as a net.Listener, for net/http and other libraries
// that serve on goroutines. It accepts a *net.TCPConn or *net.UnixConn of package net,
// which costs what it costs there and has nothing to do with the loops. With
// a limit (WithMaxConns, WithMaxConnsPerAddress) it is a type that embeds one of these and
// counts its Close. The connections can be used after the end of the runtime. Shutdown
// of the runtime does not wait for them: http.Server.Shutdown does.
//
// It has a SetDeadline method. A connection is taken from the kernel's queue when there is
// an Accept for it, and a place under the limit. With one socket (a Unix socket, or one
// loop) an Accept costs what it costs in package net. With several it asks epoll(7) first
// which has a connection.
//
// The first Accept decides that the listener is used in this way. To serve some
// connections of a port on loops and others by goroutines, use Serve and Conn.Detach.
// Accept is for goroutines: on a loop it fails with futures.ErrNoTask or blocks the loop.
func (ln *Listener) NetListener() net.Listener {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.std == nil {
		ln.std = &netListener{ln: ln, stopped: make(chan struct{})}
		if ln.failure != nil {
			ln.std.stop()
		}
		if ln.limit > 0 {
			ln.std.places = make(chan struct{}, ln.limit)
		}
		if ln.paused.Load() {
			ln.std.pause(func() {})
		}
	}
	return ln.std
}

// netListener is a listener whose sockets package net accepts from.
type netListener struct {
	ln       *Listener
	once     sync.Once
	failure  error         // of begin
	places   chan struct{} // one for each open connection, nil without a limit
	stopped  chan struct{} // closed with the listener
	deadline acceptDeadline

	mu        sync.Mutex
	sockets   net.Listener // nil before the first Accept
	ended     bool
	paused    chan struct{} // closed by Resume, nil if accepting is not paused
	waitUntil time.Time     // the rate allows no Accept before
	accepting int           // Accepts that have begun, see beginAccept
	onStopped []func()      // called when accepting is 0
}

// Accept implements net.Listener.
func (n *netListener) Accept() (net.Conn, error) {
	n.once.Do(n.begin)
	if n.failure != nil {
		return nil, n.failure
	}
	defer n.endAccept()
	return n.accept(n.deadline.wait())
}

// begin makes listeners of package net from the sockets.
func (n *netListener) begin() {
	if n.ln.rt.currentLoop() != nil {
		n.failure = futures.ErrNoTask
		return
	}
	if n.failure = n.ln.use("NetListener"); n.failure != nil {
		return
	}
	all, err := n.ln.netListeners()
	if err != nil {
		n.failure = n.opError(err)
		return
	}
	if !n.own(all) {
		all.Close()
		n.failure = n.closed()
	}
}

// own takes the sockets, unless the listener was closed meanwhile.
func (n *netListener) own(all net.Listener) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return false
	}
	n.sockets = all
	n.apply()
	return true
}

// netListeners makes a listener of package net from duplicates of the sockets.
func (ln *Listener) netListeners() (_ net.Listener, err error) {
	var all []net.Listener
	defer func() {
		if err != nil {
			for _, s := range all {
				s.Close()
			}
		}
	}()
	for _, a := range ln.acceptors {
		if a.socketless {
			continue
		}
		std, err := a.netListener()
		if err != nil {
			return nil, err
		}
		all = append(all, std)
	}
	return sockets.JoinListeners(all)
}

func (a *acceptor) netListener() (net.Listener, error) {
	a.holding.Lock()
	defer a.holding.Unlock()
	if a.fd < 0 {
		return nil, ErrClosed
	}
	return sockets.NetListener(a.fd)
}

// accept accepts what the listener's limits allow. The caller calls endAccept when it has
// dealt with it.
func (n *netListener) accept(expired <-chan struct{}) (_ net.Conn, err error) {
	if n.places != nil {
		if err := n.takePlace(expired); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				<-n.places
			}
		}()
	}
	for again := false; ; again = true {
		if again {
			n.endAccept()
		}
		if err := n.beginAccept(expired); err != nil {
			return nil, err
		}
		conn, err := n.sockets.Accept()
		switch {
		case err == nil:
			if conn = n.admit(conn); conn != nil {
				return conn, nil
			}
		case errors.Is(err, net.ErrClosed) || n.ln.closed.Load():
			// With EINVAL if the kernel has noticed first, see Listener.refuse.
			return nil, n.closed()
		case errors.Is(err, os.ErrDeadlineExceeded) && !n.deadline.passed():
			// The deadline is that of Pause.
		default:
			return nil, n.named(err)
		}
	}
}

// named gives an error of package net the network that Listen was called with. A listener that
// is made from a descriptor knows the family only.
func (n *netListener) named(err error) error {
	if op, ok := err.(*net.OpError); ok {
		op.Net = n.ln.network
	}
	return err
}

// takePlace waits for a place under the limit, before an accept: what has been accepted
// would have to be closed at a deadline. If takePlace fails endAccept must follow.
func (n *netListener) takePlace(expired <-chan struct{}) error {
	select {
	case n.places <- struct{}{}:
		return nil
	case <-n.stopped:
		n.startAccept()
		return n.closed()
	case <-expired:
		n.startAccept()
		return n.opError(os.ErrDeadlineExceeded)
	}
}

// beginAccept waits while accepting is paused, and for the rate. endAccept must follow
// even if it fails.
func (n *netListener) beginAccept(expired <-chan struct{}) error {
	for {
		paused, ended, wait := n.mayAccept()
		var waited <-chan time.Time
		switch {
		case ended:
			return n.closed()
		case paused != nil:
		case wait > 0:
			waited = time.After(wait)
		default:
			return nil
		}
		select {
		case <-paused:
		case <-waited:
		case <-n.stopped:
		case <-expired:
			n.startAccept()
			return n.opError(os.ErrDeadlineExceeded)
		}
	}
}

// mayAccept counts an Accept as begun, or says what it has to wait for. One of a
// listener that has ended counts, too.
func (n *netListener) mayAccept() (paused chan struct{}, ended bool, wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.waitUntil.IsZero() {
		wait = time.Until(n.waitUntil)
	}
	if n.ended || n.paused == nil && wait <= 0 {
		n.accepting++
	}
	return n.paused, n.ended, wait
}

func (n *netListener) startAccept() {
	n.mu.Lock()
	n.accepting++
	n.mu.Unlock()
}

// endAccept undoes beginAccept.
func (n *netListener) endAccept() {
	n.mu.Lock()
	n.accepting--
	stopped := n.takeOnStopped()
	n.mu.Unlock()
	for _, call := range stopped {
		call()
	}
}

// takeOnStopped returns the functions to call when no Accept is under way, none if one
// is. The caller holds mu.
func (n *netListener) takeOnStopped() (calls []func()) {
	if n.accepting == 0 {
		calls, n.onStopped = n.onStopped, nil
	}
	return calls
}

// admit applies the limits to a connection, which has its place already. It returns nil if
// it has closed it.
func (n *netListener) admit(conn net.Conn) net.Conn {
	q := &n.ln.quotas
	if wait := q.rate.take(); wait > 0 {
		n.mu.Lock()
		n.waitUntil = time.Now().Add(wait)
		n.mu.Unlock()
	}
	if n.places == nil && q.perAddress.limit == 0 {
		return conn
	}
	var ip netip.Addr
	if peer, ok := conn.RemoteAddr().(*net.TCPAddr); ok && q.perAddress.limit > 0 {
		ip = peer.AddrPort().Addr()
		if !q.perAddress.enter(ip) {
			conn.(*net.TCPConn).SetLinger(0) // a reset
			conn.Close()
			return nil
		}
	}
	leave := func() {
		q.perAddress.left(ip)
		if n.places != nil {
			<-n.places
		}
	}
	return countedConn(conn, leave)
}

// countedConn is a connection whose Close frees its place under the limits.
func countedConn(conn net.Conn, leave func()) net.Conn {
	switch conn := conn.(type) {
	case *net.TCPConn:
		return &countedTCPConn{TCPConn: conn, leave: sync.OnceFunc(leave)}
	case *net.UnixConn:
		return &countedUnixConn{UnixConn: conn, leave: sync.OnceFunc(leave)}
	}
	return conn
}

type countedTCPConn struct {
	*net.TCPConn
	leave func()
}

// Close implements net.Conn.
func (c *countedTCPConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

type countedUnixConn struct {
	*net.UnixConn
	leave func()
}

// Close implements net.Conn.
func (c *countedUnixConn) Close() error {
	defer c.leave()
	return c.UnixConn.Close()
}

// Addr implements net.Listener.
func (n *netListener) Addr() net.Addr { return n.ln.Addr() }

// Close implements net.Listener. Unlike Listener.Close it fails when there is nothing
// left to close, as with package net.
func (n *netListener) Close() error {
	first, err := n.ln.end()
	if !first {
		return &net.OpError{Op: "close", Net: n.ln.network, Addr: n.ln.address, Err: ErrClosed}
	}
	return err
}

// SetDeadline makes Accepts at t or later, those that wait included, fail with
// os.ErrDeadlineExceeded; the zero time means never.
func (n *netListener) SetDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return ErrClosed // by itself, as with package net
	}
	n.deadline.set(t)
	n.apply()
	return nil
}

// apply sets the deadline of the sockets. The caller holds mu.
func (n *netListener) apply() {
	if n.sockets == nil {
		return
	}
	t := n.deadline.time()
	if n.paused != nil {
		t = time.Unix(1, 0) // ends the Accepts under way
	}
	n.sockets.(interface{ SetDeadline(time.Time) error }).SetDeadline(t)
}

// pause stops accepting, and calls stopped when that is done. The caller holds the
// listener's mu.
func (n *netListener) pause(stopped func()) {
	n.mu.Lock()
	if n.paused == nil && !n.ended {
		n.paused = make(chan struct{})
		n.apply()
	}
	n.onStopped = append(n.onStopped, stopped)
	calls := n.takeOnStopped()
	n.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// resume is the opposite of pause.
func (n *netListener) resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.paused != nil {
		close(n.paused)
		n.paused = nil
		n.apply()
	}
}

// stop ends the Accepts under way. The listener is being closed.
func (n *netListener) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return
	}
	n.ended = true
	close(n.stopped)
	n.deadline.set(time.Time{})
	if n.sockets != nil {
		n.sockets.Close()
	}
}

// closed is the error of an Accept after the end of the listener.
func (n *netListener) closed() error {
	n.ln.mu.Lock()
	defer n.ln.mu.Unlock()
	if n.ln.failure != nil {
		return n.ln.failure
	}
	return n.opError(ErrClosed)
}

func (n *netListener) opError(cause error) error {
	return &net.OpError{Op: "accept", Net: n.ln.network, Addr: n.ln.address, Err: cause}
}

// acceptDeadline closes a channel when it has passed.
type acceptDeadline struct {
	mu      sync.Mutex
	at      time.Time
	timer   *time.Timer
	expired chan struct{} // closed when it has passed
}

func (d *acceptDeadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.channel() // the timer has run, or is about to
	}
	d.at, d.timer = t, nil
	if isClosed(d.channel()) {
		d.expired = make(chan struct{})
	}
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		close(d.expired)
	default:
		expired := d.expired
		d.timer = time.AfterFunc(left, func() { close(expired) })
	}
}

// wait is closed when the deadline has passed.
func (d *acceptDeadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *acceptDeadline) channel() chan struct{} {
	if d.expired == nil {
		d.expired = make(chan struct{})
	}
	return d.expired
}

func (d *acceptDeadline) time() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

func (d *acceptDeadline) passed() bool {
	t := d.time()
	return !t.IsZero() && !time.Now().Before(t)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

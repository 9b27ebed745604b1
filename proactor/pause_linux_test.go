package proactor_test

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPauseThenClose(t *testing.T) { conform(t, pausing) }

var pausing = []behaviour{
	{name: "what has woken the listener that pauses does not wait for another client", opts: []proactor.Option{proactor.WithLoops(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		first := listen(t, rt)
		both := adopted(t, rt, first, 2) // neither passes the socket on
		require.NoError(t, first.Close())
		ln, heir := both[0], both[1]
		count := func(n *atomic.Int64) func(*proactor.Conn) { return func(c *proactor.Conn) { n.Add(1); c.Close() } }
		var old, new atomic.Int64
		require.NoError(t, ln.OnConn(count(&old)))
		turned := dial(t, ln.Addr())
		io.ReadAll(turned) // the accept is armed
		require.NoError(t, heir.OnConn(count(&new)))
		stepped(t, rt.Loops()[0])
		before := old.Load()
		paused := make(chan futures.Future[struct{}], 1)
		clients := make([]*net.TCPConn, 8)
		require.True(t, rt.Loops()[0].Do(func() {
			paused <- ln.Pause()
			for i := range clients { // in the same turn
				clients[i] = dial(t, ln.Addr())
			}
		}))
		require.NoError(t, errorOf((<-paused).Await(t.Context())))
		require.NoError(t, ln.Close())
		for _, c := range clients {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
			_, err := c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "nobody has accepted it")
		}
		require.EqualValues(t, len(clients), old.Load()-before+new.Load())
	}},
	{name: "a listener that was passed on closes without Pause: no client waits for another", opts: []proactor.Option{proactor.WithLoops(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { c.Close() }))
		turned := dial(t, ln.Addr())
		io.ReadAll(turned) // the accept is armed
		heir := adopted(t, rt, ln, 1)[0]
		require.NoError(t, heir.OnConn(func(c *proactor.Conn) { c.Close() }))
		l := rt.Loops()[0]
		stepped(t, l)
		stepped(t, l) // both wait for clients
		client := make(chan *net.TCPConn, 1)
		require.True(t, l.Do(func() {
			ln.Close()
			client <- dial(t, ln.Addr()) // in the same turn
		}))
		c := <-client
		require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
		_, err := c.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err, "nobody has accepted it")
	}},
	{name: "a listener that has adopted its socket closes without Pause: no client waits for another", opts: []proactor.Option{proactor.WithLoops(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		first := listen(t, rt)
		both := adopted(t, rt, first, 2)
		require.NoError(t, first.Close())
		var dropped, served atomic.Int32
		require.NoError(t, both[0].OnConn(func(c *proactor.Conn) { dropped.Add(1); c.Close() }))
		require.NoError(t, both[1].OnConn(func(c *proactor.Conn) { served.Add(1); c.Close() }))
		l := rt.Loops()[0]
		stepped(t, l)
		stepped(t, l) // both wait for clients
		clients := make([]*net.TCPConn, 8)
		require.True(t, l.Do(func() {
			for i := range clients {
				clients[i] = dial(t, both[0].Addr())
			}
			both[0].Close() // in the same turn
		}))
		stepped(t, l)
		for _, c := range clients {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
			_, err := c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err, "nobody has accepted it")
		}
		require.Zero(t, dropped.Load(), "accepted after Close")
		eventually(t, func() bool { return served.Load() == int32(len(clients)) }, rt.Describe)
	}},
	{name: "what one loop hands to another is not lost", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			handOverWhilePausing(t, rt)
		}
	}},
	{name: "at the limit, one loop", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(1)}, show: pausedAtLimit},
	{name: "at the limit, a socket for each loop", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(3)}, show: pausedAtLimit},
	{name: "at the limit of a second", opts: []proactor.Option{proactor.WithLoops(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 5
		ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithAcceptRate(1e-3, 1))
		require.NoError(t, err)
		heir := heirOf(t, ln)
		served := make(chan *proactor.Conn, clients)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
		for range clients {
			dial(t, ln.Addr())
		}
		first := <-served
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		require.Equal(t, clients-1, heir.accepted(t, clients-1))
		first.Abort()
	}},
	{name: "Resume at the limit", opts: []proactor.Option{proactor.WithMaxConns(1)}, show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 5
		ln := listen(t, rt)
		served := make(chan *proactor.Conn, clients)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
		for range clients {
			dial(t, ln.Addr())
		}
		for range clients {
			c := <-served
			require.Empty(t, served, "above the limit")
			_, err := ln.Pause().Await(t.Context())
			require.NoError(t, err)
			c.Abort()
			_, err = c.Closed().Await(t.Context())
			require.NoError(t, err)
			for _, l := range rt.Loops() {
				stepped(t, l)
				stepped(t, l)
			}
			require.Empty(t, served, "while it is paused")
			ln.Resume()
		}
		require.NoError(t, ln.Close())
	}},
	{name: "a NetListener at its limit heeds deadlines", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(1)}, show: netListenerExpires},
	{name: "a NetListener of several sockets at its limit heeds deadlines", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(3)}, show: netListenerExpires},
	{name: "a NetListener at its limit heeds Pause", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(1)}, show: netListenerPaused},
	{name: "a NetListener of several sockets at its limit heeds Pause", opts: []proactor.Option{proactor.WithMaxConns(1)}, show: netListenerPaused},
	{name: "Pause of a NetListener waits for no Accept", show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 8 // each socket gets some
		ln := listen(t, rt)
		heir := heirOf(t, ln)
		std := ln.NetListener()
		for range clients {
			dial(t, ln.Addr())
		}
		first, err := std.Accept()
		require.NoError(t, err)
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, std.Close())
		require.Equal(t, clients-1, heir.accepted(t, clients-1))
		require.NoError(t, first.Close())
	}},
	{name: "what no Accept has taken stays for Accept", show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 10
		ln := listen(t, rt)
		for range clients {
			dial(t, ln.Addr())
		}
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		eventually(t, func() bool { return rt.Stats().Total().Accepted == clients }, rt.Describe)
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		got := 1
		for c, err := range ln.Conns(t.Context()) {
			require.NoError(t, err)
			_, err = c.CloseWrite().Await(t.Context())
			require.NoError(t, err, "it is open")
			c.Abort()
			got++
		}
		require.Equal(t, clients, got)
		_, err = ln.Accept().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
	{name: "Shutdown does not wait for what no Accept has taken", show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		for range 3 {
			dial(t, ln.Addr())
		}
		c, err := ln.Accept().Await(t.Context())
		require.NoError(t, err)
		c.Abort()
		eventually(t, func() bool { return rt.Stats().Total().Accepted == 3 }, rt.Describe)
		_, err = ln.Pause().Await(t.Context())
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		require.NoError(t, rt.Shutdown(t.Context()))
		_, err = ln.Accept().Await(t.Context())
		require.ErrorIs(t, err, proactor.ErrClosed)
	}},
}

func TestCloseOfSharedSockets(t *testing.T) { conform(t, closingShared) }

var closingShared = []behaviour{
	{name: "Close of what was adopted waits until the address is free", show: func(t *testing.T, rt *proactor.Runtime) {
		for range 10 {
			std, err := net.Listen("tcp", ownAddress())
			require.NoError(t, err)
			ln, err := rt.AdoptListener(std)
			require.NoError(t, err)
			require.NoError(t, ln.OnConn(func(c *proactor.Conn) { c.Abort() }))
			release := occupy(t, rt.Loops()[0])
			closed := make(chan error, 1)
			go func() { closed <- ln.Close() }()
			eventually(t, func() bool { return proactor.Posted(rt.Loops()[0]) > 0 }, rt.Describe)
			require.Empty(t, closed, "the loop has not closed its socket")
			release()
			require.NoError(t, <-closed)
			_, err = net.Dial("tcp", ln.Addr().String())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			again, err := rt.Listen("tcp", ln.Addr().String())
			require.NoError(t, err)
			require.NoError(t, again.Close())
		}
	}},
	{name: "a callback closes what was adopted", show: func(t *testing.T, rt *proactor.Runtime) {
		std, err := net.Listen("tcp", ownAddress())
		require.NoError(t, err)
		ln, err := rt.AdoptListener(std)
		require.NoError(t, err)
		closed := make(chan error)
		require.True(t, rt.Loops()[0].Do(func() { go func(err error) { closed <- err }(ln.Close()) }))
		require.NoError(t, <-closed)
		require.NoError(t, ln.Close()) // this one waits
		_, err = net.Dial("tcp", ln.Addr().String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}},
	{name: "a callback waits for a goroutine that closes what was adopted", opts: []proactor.Option{proactor.WithClosePatience(50 * time.Millisecond)}, show: func(t *testing.T, rt *proactor.Runtime) {
		for _, closing := range []func(*proactor.Listener) error{
			(*proactor.Listener).Close,
			func(ln *proactor.Listener) error { return ln.NetListener().Close() },
		} {
			std, err := net.Listen("tcp", ownAddress())
			require.NoError(t, err)
			ln, err := rt.AdoptListener(std)
			require.NoError(t, err)
			goesOn := make(chan error)
			require.True(t, rt.Loops()[0].Do(func() {
				closed := make(chan error)
				go func() { closed <- closing(ln) }()
				err := <-closed
				go func() { goesOn <- err }()
			}))
			err = <-goesOn
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.ErrorContains(t, err, "close tcp "+ln.Addr().String()+": a callback holds up a loop")
			// The socket is closed soon. How long a Close waits for that is what the option says.
			eventually(t, func() bool { return ln.Close() == nil }, func() string { return "it stays open" })
			_, err = net.Dial("tcp", ln.Addr().String())
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
	}},
	{name: "a task closes what was adopted while all places of Blocking are taken", show: func(t *testing.T, rt *proactor.Runtime) {
		std, err := net.Listen("tcp", ownAddress())
		require.NoError(t, err)
		ln, err := rt.AdoptListener(std)
		require.NoError(t, err)
		over := make(chan struct{})
		defer close(over)
		loop := rt.Loops()[0]
		for range 64 {
			loop.Go(t.Context(), func(ctx context.Context) error {
				_, err := futures.Blocking(ctx, func() (struct{}, error) { <-over; return struct{}{}, nil })
				return err
			})
		}
		_, err = loop.Go(t.Context(), func(context.Context) error { return ln.Close() }).Await(t.Context())
		require.NoError(t, err)
		_, err = net.Dial("tcp", ln.Addr().String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}},
	{name: "Files that fail leave the sockets to Close", show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", ownAddress())
		require.NoError(t, err)
		for { // one number is free, or more: the garbage collector closes some
			var files []*os.File
			if files, err = filesWithOneFree(t, ln); err != nil {
				break
			}
			for _, f := range files {
				f.Close()
			}
			require.NoError(t, ln.Close())
			ln, err = rt.Listen("tcp", ownAddress())
			require.NoError(t, err)
		}
		require.ErrorIs(t, err, syscall.EMFILE)
		for _, l := range rt.Loops() {
			defer occupy(t, l)()
		}
		require.NoError(t, ln.Close(), "without the loops")
		_, err = net.Dial("tcp", ln.Addr().String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}},
	{name: "a connection refused for its address frees its place for all loops", opts: []proactor.Option{proactor.WithMaxConns(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln, err := rt.Listen("tcp", "127.0.0.1:0", proactor.WithMaxConnsPerAddress(1))
		require.NoError(t, err)
		accepted := make(chan *proactor.Conn, 2)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { accepted <- c }))
		first := dial(t, ln.Addr())
		c := <-accepted
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		for range 10 {
			var refused sync.WaitGroup
			for range 4 {
				refused.Go(func() {
					for range 20 {
						if peer, err := net.Dial("tcp", ln.Addr().String()); err == nil {
							peer.Read(make([]byte, 1))
							peer.Close()
						}
					}
				})
			}
			other, err := from.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			o := <-accepted
			o.Abort() // those to be refused wait for its place, too
			refused.Wait()
			_, err = o.Closed().Await(t.Context())
			require.NoError(t, err)
			other.Close()
		}
		c.Abort()
		first.Close()
		require.NoError(t, ln.Close())
	}},
}

// pausedAtLimit pauses a listener whose only place is taken, and closes it.
func pausedAtLimit(t *testing.T, rt *proactor.Runtime) {
	const clients = 12 // each socket gets some
	ln := listen(t, rt)
	heir := heirOf(t, ln)
	served := make(chan *proactor.Conn, clients)
	require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
	for range clients {
		dial(t, ln.Addr())
	}
	first := <-served
	_, err := ln.Pause().Await(t.Context())
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.Equal(t, clients-1, heir.accepted(t, clients-1))
	require.Empty(t, served, "above the limit")
	first.Abort()
}

func TestPlaces(t *testing.T) { conform(t, limitPlaces) }

var limitPlaces = []behaviour{
	{name: "no socket keeps the last place from the others", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(4)}, show: func(t *testing.T, rt *proactor.Runtime) {
		addr := serve(t, rt, echo)
		for range 40 { // each socket gets some
			c := dial(t, addr)
			require.NoError(t, hello(c))
			require.NoError(t, c.Close())
		}
	}},
	{name: "what waits for a place is left in the kernel", opts: []proactor.Option{proactor.WithMaxConns(2), proactor.WithLoops(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 10
		ln := listen(t, rt)
		heir := heirOf(t, ln)
		served := make(chan *proactor.Conn, clients)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
		for range clients {
			dial(t, ln.Addr())
		}
		first, second := <-served, <-served
		require.Equal(t, clients-2, heir.accepted(t, clients-2))
		first.Abort()
		second.Abort()
		require.NoError(t, ln.Close())
	}},
	{name: "no socket of a NetListener keeps the last place from the others", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(4)}, show: func(t *testing.T, rt *proactor.Runtime) {
		ln := listen(t, rt)
		heir := heirOf(t, ln)
		std := ln.NetListener()
		came := make(chan net.Conn)
		ended := make(chan error)
		for range 3 {
			go func() {
				for {
					conn, err := std.Accept()
					if err != nil {
						ended <- err
						return
					}
					came <- conn
				}
			}()
		}
		for range 10 {
			for range 4 {
				dial(t, ln.Addr())
				require.NoError(t, (<-came).Close())
			}
			dial(t, ln.Addr())
			dial(t, ln.Addr())
			conn := <-came
			require.Equal(t, 1, heir.accepted(t, 1), "above the limit")
			require.NoError(t, conn.Close())
		}
		require.NoError(t, std.Close())
		for range 3 {
			require.ErrorIs(t, <-ended, net.ErrClosed)
		}
	}},
	{name: "a connection that another process takes leaves the place free", opts: []proactor.Option{proactor.WithMaxConns(1), proactor.WithLoops(2)}, show: func(t *testing.T, rt *proactor.Runtime) {
		const clients = 8 // each socket gets some
		ln := listen(t, rt)
		heir := heirOf(t, ln)
		served := make(chan *proactor.Conn, 1)
		require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
		for range 5 {
			var release []func()
			for _, l := range rt.Loops() {
				stepped(t, l)
				release = append(release, occupy(t, l))
			}
			for range clients { // they end the polls
				dial(t, ln.Addr())
			}
			require.Equal(t, clients, heir.accepted(t, clients))
			for i, l := range rt.Loops() {
				release[i]()
				stepped(t, l)
			}
			for range clients {
				dial(t, ln.Addr())
				c := <-served
				c.Abort()
				_, err := c.Closed().Await(t.Context())
				require.NoError(t, err)
			}
		}
		require.NoError(t, ln.Close())
	}},
}

// netListenerExpires lets deadlines pass at the limit.
func netListenerExpires(t *testing.T, rt *proactor.Runtime) {
	ln := listen(t, rt)
	heir := heirOf(t, ln)
	std := ln.NetListener()
	dial(t, ln.Addr())
	first, err := std.Accept()
	require.NoError(t, err)
	dial(t, ln.Addr())
	for range 2 {
		require.NoError(t, std.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(20*time.Millisecond)))
		_, err := std.Accept()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, std.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Time{}))
	}
	require.NoError(t, std.Close())
	require.Equal(t, 1, heir.accepted(t, 1), "the second was not accepted and closed")
	require.NoError(t, first.Close())
}

// netListenerPaused pauses a listener whose place is taken, and closes it.
func netListenerPaused(t *testing.T, rt *proactor.Runtime) {
	const clients = 8 // each socket gets some
	ln := listen(t, rt)
	heir := heirOf(t, ln)
	std := ln.NetListener()
	for range clients {
		dial(t, ln.Addr())
	}
	first, err := std.Accept()
	require.NoError(t, err)
	ended := make(chan error)
	for range 3 {
		go func() {
			conn, err := std.Accept()
			if conn != nil {
				conn.Close()
			}
			ended <- err
		}()
	}
	for range 100 { // most often the Accepts wait for a place by then
		runtime.Gosched()
	}
	_, err = ln.Pause().Await(t.Context())
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	for range 3 {
		require.ErrorIs(t, <-ended, net.ErrClosed)
	}
	require.Equal(t, clients-1, heir.accepted(t, clients-1))
	require.NoError(t, first.Close())
}

// handOverWhilePausing has one loop accept connections for another that is busy, which has
// told Pause before that it accepts none.
func handOverWhilePausing(t *testing.T, rt *proactor.Runtime) {
	const clients = 4
	std, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln, err := rt.AdoptListener(std)
	require.NoError(t, err)
	heir := heirOf(t, ln)
	served := make(chan *proactor.Conn, clients)
	require.NoError(t, ln.OnConn(func(c *proactor.Conn) { served <- c }))
	accepts, gets := rt.Loops()[0], rt.Loops()[1]
	stepped(t, accepts)
	stepped(t, gets)
	goOnAccepting := occupy(t, accepts)
	var peers []*net.TCPConn
	for range clients {
		peers = append(peers, dial(t, ln.Addr()))
	}
	paused := ln.Pause()
	stepped(t, gets)
	goOn := occupy(t, gets)
	goOnAccepting()
	for range 4 {
		stepped(t, accepts)
	}
	if paused.Ready() { // nothing was accepted, or the handing over was not waited for
		require.NoError(t, ln.Close())
	}
	goOn()
	_, err = paused.Await(t.Context())
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	stepped(t, gets)
	inherited := heir.accepted(t, clients-len(served))
	require.Equal(t, clients, len(served)+inherited)
	close(served)
	for c := range served {
		c.Abort()
	}
	for _, p := range peers {
		p.Close()
	}
}

// occupy keeps a loop busy until release is called.
func occupy(t *testing.T, l *proactor.Loop) (release func()) {
	t.Helper()
	busy, over := make(chan struct{}), make(chan struct{})
	require.True(t, l.Do(func() { close(busy); <-over }))
	<-busy
	return func() { close(over) }
}

// stepped returns when the loop has run what was posted before.
func stepped(t *testing.T, l *proactor.Loop) {
	t.Helper()
	_, err := l.Go(context.Background(), func(context.Context) error { return nil }).Await(t.Context())
	require.NoError(t, err)
}

// adopted makes n listeners of the socket of one, as other processes do.
func adopted(t *testing.T, rt *proactor.Runtime, ln *proactor.Listener, n int) (all []*proactor.Listener) {
	t.Helper()
	files, err := ln.Files()
	require.NoError(t, err)
	for range n {
		made, err := rt.FileListeners(files)
		require.NoError(t, err)
		t.Cleanup(func() { made[0].Close() })
		all = append(all, made...)
	}
	for _, f := range files {
		f.Close()
	}
	return all
}

// heir is the process that has the sockets of a listener, too, and accepts when that has
// been closed.
type heir struct{ sockets []net.Listener }

func heirOf(t *testing.T, ln *proactor.Listener) *heir {
	t.Helper()
	files, err := ln.Files()
	require.NoError(t, err)
	h := &heir{}
	for _, f := range files {
		s, err := net.FileListener(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		t.Cleanup(func() { s.Close() })
		h.sockets = append(h.sockets, s)
	}
	return h
}

// accepted accepts n connections, or as many as come within a while.
func (h *heir) accepted(t *testing.T, n int) (came int) {
	t.Helper()
	end := func(at time.Time) {
		for _, s := range h.sockets {
			require.NoError(t, s.(*net.TCPListener).SetDeadline(at))
		}
	}
	end(time.Now().Add(30 * time.Second))
	var mu sync.Mutex
	var accepting sync.WaitGroup
	for _, s := range h.sockets {
		accepting.Go(func() {
			for c, err := s.Accept(); err == nil; c, err = s.Accept() {
				c.Close()
				mu.Lock()
				if came++; came >= n {
					end(time.Unix(1, 0))
				}
				mu.Unlock()
			}
		})
	}
	if n == 0 {
		end(time.Unix(1, 0))
	}
	accepting.Wait()
	return came
}

// filesWithOneFree calls Files while the process can open one descriptor more.
func filesWithOneFree(t *testing.T, ln *proactor.Listener) ([]*os.File, error) {
	t.Helper()
	free, err := unix.Dup(0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(free))
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free) + 1, Max: before.Max}))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	return ln.Files()
}

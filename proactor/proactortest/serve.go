package proactortest

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"testing"
	"time"

	"github.com/goproactor/goproactor/proactor"
)

// Handler serves one connection, as proactor.Listener.Serve has it.
type Handler = func(ctx context.Context, c *proactor.Conn) error

// PacketHandler serves one socket for messages.
type PacketHandler = func(ctx context.Context, pc *proactor.PacketConn) error

// Serve runs handler on a runtime of its own, connects to it over loopback (TCP), and
// returns the client's end: a *net.TCPConn. opts are as for Start.
//
// The handler runs as a task, as by proactor.Listener.Serve. What it returns is logged;
// when it panics the test fails. In it require and FailNow end the handler only: the
// test fails, and goes on.
//
// When the test ends, the client's end is closed, if the test has not done so. The
// handler then has to return: at the latest when its context ends, which is some
// seconds later. Start has what else is looked at.
//
// The client's end has a deadline shortly before that of the whole test (go test
// -timeout), so that a Read that waits for ever fails where it is. SetDeadline moves
// it.
func Serve(t testing.TB, handler Handler, opts ...proactor.Option) net.Conn {
	t.Helper()
	started := make(chan struct{}) // a test that ends sooner would not have run the handler
	address := Listen(t, func(ctx context.Context, c *proactor.Conn) error {
		close(started)
		return handler(ctx, c)
	}, opts...)
	conn, err := net.DialTimeout(address.Network(), address.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, conn)
	if !within(patience, func() { <-started }) {
		t.Fatal("the handler has not started")
	}
	return conn
}

// Listen is Serve for clients of the test's own: it returns the address that they
// connect to. They have to be closed when the test ends; the contexts of handlers that
// still run end some seconds later.
func Listen(t testing.TB, handler Handler, opts ...proactor.Option) net.Addr {
	t.Helper()
	ln, err := Start(t, opts...).Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		ln.Serve(ctx, checked(t, handler))
	}()
	t.Cleanup(func() {
		defer cancel()
		ln.Pause().Await(context.Background()) // else it drops what it is accepting
		ln.Close()
		stop(t, cancel, served)
	})
	return ln.Addr()
}

// ServePacket runs handler with a socket of its own (UDP, over loopback), and returns
// the client's end, which is connected to it. When the test ends the socket is closed,
// and the handler has to return. For the rest it is like Serve.
func ServePacket(t testing.TB, handler PacketHandler, opts ...proactor.Option) *net.UDPConn {
	t.Helper()
	pc, err := Start(t, opts...).ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	task := pc.Loop().Go(ctx, func(ctx context.Context) error { return checked(t, handler)(ctx, pc) })
	t.Cleanup(func() {
		defer cancel()
		pc.Close()
		stop(t, cancel, task.Done())
	})
	conn, err := net.DialUDP("udp", nil, pc.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	keep(t, conn)
	return conn
}

// grace is for how long handlers may go on, once their connections are closed, before
// their contexts end.
const grace = 2 * time.Second

// stop waits until handlers have returned, of their own accord or, if they do not, when
// their contexts end.
func stop(t testing.TB, cancel func(), returned <-chan struct{}) {
	t.Helper()
	if within(grace, func() { <-returned }) {
		return
	}
	cancel()
	end(t, "a handler has not returned, although its connection was closed and its context has ended", func() { <-returned })
}

// keep closes the client's end when the test ends.
func keep(t testing.TB, conn net.Conn) {
	limited, ok := t.(interface{ Deadline() (time.Time, bool) })
	if ok {
		if deadline, ok := limited.Deadline(); ok {
			conn.SetDeadline(deadline.Add(-2 * patience))
		}
	}
	t.Cleanup(func() { conn.Close() })
}

// served is what a handler is given.
type served interface {
	RemoteAddr() net.Addr
	LocalAddr() net.Addr
}

// checked is the handler, whose panic fails the test and whose error is logged.
func checked[C served](t testing.TB, handler func(context.Context, C) error) func(context.Context, C) error {
	return func(ctx context.Context, c C) error {
		defer func() {
			if value := recover(); value != nil {
				t.Errorf("the handler panicked: %v\n%s", value, debug.Stack())
				panic(value) // it ends as it does outside of tests
			}
		}()
		err := handler(ctx, c)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Logf("the handler at %v returned: %v", c.LocalAddr(), err)
		}
		return err
	}
}

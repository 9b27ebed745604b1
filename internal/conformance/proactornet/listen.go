package proactornet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/goproactor/goproactor/futures"
	"github.com/goproactor/goproactor/proactor"
)

// Listen is net.Listen.
func Listen(network, address string) (net.Listener, error) {
	if onNet() {
		return net.Listen(network, address)
	}
	ln, err := Runtime().Listen(network, address)
	if err != nil {
		return nil, err
	}
	if !onLoop() {
		return ln.NetListener(), nil
	}
	return &loopListener{ln, ln.NetListener()}, nil
}

// loopListener accepts connections that stay on their loop.
type loopListener struct {
	ln  *proactor.Listener
	std net.Listener // for its Close and Addr
}

func (l *loopListener) Addr() net.Addr { return l.std.Addr() }
func (l *loopListener) Close() error   { return l.std.Close() }

// Accept implements net.Listener.
func (l *loopListener) Accept() (net.Conn, error) {
	c, err := l.ln.Accept().Await(context.Background())
	if err != nil {
		var known *net.OpError
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: err}
	}
	return c.NetConn(context.Background()), nil
}

// TCPListener is what ListenTCP returns.
type TCPListener struct{ net.Listener }

// ListenTCP is net.ListenTCP.
func ListenTCP(network string, address *net.TCPAddr) (*TCPListener, error) {
	where := ":0"
	if address != nil {
		where = address.String()
	}
	ln, err := Listen(network, where)
	if err != nil {
		return nil, err
	}
	return &TCPListener{ln}, nil
}

// AcceptTCP is (*net.TCPListener).AcceptTCP, but for the type.
func (l *TCPListener) AcceptTCP() (net.Conn, error) { return l.Accept() }

// SetDeadline is (*net.TCPListener).SetDeadline.
func (l *TCPListener) SetDeadline(t time.Time) error {
	return l.Listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(t)
}

// NewServer is httptest.NewServer.
func NewServer(handler http.Handler) *httptest.Server {
	s := NewUnstartedServer(handler)
	s.Start()
	return s
}

// NewTLSServer is httptest.NewTLSServer.
func NewTLSServer(handler http.Handler) *httptest.Server {
	s := NewUnstartedServer(handler)
	s.StartTLS()
	return s
}

// NewUnstartedServer is httptest.NewUnstartedServer.
func NewUnstartedServer(handler http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	ln, err := Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s.Listener = ln
	return s
}

// Run runs serve with a connection that was accepted or dialed here, and waits for it.
// Where tasks are asked for it is one, on the connection's loop.
func Run(conn net.Conn, serve func(net.Conn) error) error {
	c := taken(conn)
	if c == nil {
		return serve(conn)
	}
	_, err := start(c, func(_ context.Context, conn net.Conn) error { return serve(conn) }).Await(context.Background())
	return err
}

// Go is Run without waiting. The task lasts as long as the connection, which serve may
// have handed on.
func Go(conn net.Conn, serve func(net.Conn)) {
	c := taken(conn)
	if c == nil {
		go serve(conn)
		return
	}
	start(c, func(ctx context.Context, conn net.Conn) error {
		serve(conn)
		_, err := c.Closed().Await(ctx)
		return err
	})
}

// taken is the connection that conn stands for, nil if tasks are not asked for or it is
// none of ours.
func taken(conn net.Conn) *proactor.Conn {
	if !inTask() || !strings.HasPrefix(typeName(conn), "*proactor.") {
		return nil
	}
	c, err := Runtime().Adopt(conn)
	if err != nil {
		return nil
	}
	return c
}

// start starts serve as a task on the connection's loop.
func start(c *proactor.Conn, serve func(context.Context, net.Conn) error) futures.Future[struct{}] {
	return c.Loop().Go(context.Background(), func(ctx context.Context) error {
		return serve(ctx, c.NetConn(ctx))
	})
}

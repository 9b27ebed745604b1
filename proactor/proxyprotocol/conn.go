package proxyprotocol

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/goproactor/goproactor/proactor"
)

// Conn is a connection that began with a header: RemoteAddr is the client, LocalAddr what
// the client connected to. If the header does not tell, they are the socket's.
type Conn struct {
	conn
	header *proxyproto.Header
}

// conn is what Conn.NetConn of package proactor returns.
type conn interface {
	net.Conn
	io.ReaderFrom
	io.WriterTo
	syscall.Conn
	CloseRead() error
	CloseWrite() error
	File() (*os.File, error)
}

// Option changes how Accept goes about it.
type Option func(*options)

type options struct {
	optional bool
	timeout  time.Duration
}

// DefaultTimeout is how long Accept waits for the header.
const DefaultTimeout = 10 * time.Second

// Timeout is how long to wait for the header instead. Zero or less means for as long as
// ctx lasts.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Optional takes connections without a header, too, with their own addresses. Whoever
// connects then chooses: use it only where nobody decides by the address.
func Optional() Option { return func(o *options) { o.optional = true } }

// Accept reads the header, see ReadHeader, and returns the connection with the addresses
// that it tells, as by proactor's Conn.NetConn with ctx. A header that does not come in
// time is context.DeadlineExceeded. The connection is the caller's to close in any case.
func Accept(ctx context.Context, c *proactor.Conn, opts ...Option) (*Conn, error) {
	o := options{timeout: DefaultTimeout}
	for _, set := range opts {
		set(&o)
	}
	limited := ctx
	if o.timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	h, err := ReadHeader(limited, c)
	if err != nil && !(o.optional && errors.Is(err, ErrNoHeader)) {
		return nil, err
	}
	return &Conn{c.NetConn(ctx).(conn), h}, nil
}

// Header is the header, with its TLVs; nil if there was none.
func (c *Conn) Header() *proxyproto.Header { return c.header }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.header != nil && c.header.SourceAddr != nil {
		return c.header.SourceAddr
	}
	return c.conn.RemoteAddr()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.header != nil && c.header.DestinationAddr != nil {
		return c.header.DestinationAddr
	}
	return c.conn.LocalAddr()
}

// Socket is the connection with its own addresses, which are the load balancer's.
func (c *Conn) Socket() net.Conn { return c.conn }

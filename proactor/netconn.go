package proactor

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// NetConn presents the connection as a net.Conn. Its Read and Write await with
// ctx: with a handler's context they belong to that handler and run on the
// loop, so that crypto/tls or a protocol library works inside the coroutine;
// with any other, they may be called from any goroutine and block it.
//
// The connection's data is then received through the net.Conn only.
func (c *Conn) NetConn(ctx context.Context) net.Conn { return &netConn{conn: c, ctx: ctx} }

type netConn struct {
	conn    *Conn
	ctx     context.Context
	reading sync.Mutex // one Read at a time has the connection's
	writing sync.Mutex // keeps a Write's bytes together
}

// Read implements net.Conn.
func (n *netConn) Read(p []byte) (int, error) {
	n.reading.Lock()
	defer n.reading.Unlock()
	k, err := n.conn.RecvInto(p).Await(n.ctx)
	if err != nil {
		err = n.conn.asOpError("read", err)
	}
	return k, err
}

// Write implements net.Conn.
func (n *netConn) Write(p []byte) (int, error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	k, err := n.conn.SendBytes(p).Await(n.ctx)
	if err != nil {
		err = n.conn.asOpError("write", err)
	}
	return k, err
}

// Close implements net.Conn. Like that of a socket it returns at once, and
// what was written is still sent.
func (n *netConn) Close() error { return n.conn.Close() }

// CloseWrite ends the writing side, as (*net.TCPConn).CloseWrite does.
func (n *netConn) CloseWrite() error {
	_, err := n.conn.CloseWrite().Await(n.ctx)
	return err
}

func (n *netConn) LocalAddr() net.Addr                { return n.conn.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr               { return n.conn.RemoteAddr() }
func (n *netConn) SetDeadline(t time.Time) error      { return n.conn.SetDeadline(t) }
func (n *netConn) SetReadDeadline(t time.Time) error  { return n.conn.SetReadDeadline(t) }
func (n *netConn) SetWriteDeadline(t time.Time) error { return n.conn.SetWriteDeadline(t) }

// asOpError gives an error the form that users of net.Conn know.
func (c *Conn) asOpError(op string, err error) error {
	var known *net.OpError
	if err == io.EOF || errors.As(err, &known) {
		return err
	}
	return c.opError(op, err)
}

package proactor

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/goproactor/goproactor/futures"
)

// NetConn returns the connection as a net.Conn, which any number of goroutines
// and tasks may use at once: Reads are answered in their order, and the bytes of one
// Write stay together.
//
// A task that calls NetConn with its context, or one derived from it, gets a net.Conn
// that belongs to the task: Read and Write give way to the loop while they wait, so that
// crypto/tls or a protocol library works inside the coroutine, and they fail when that
// context ends. For a goroutine the end of ctx has no effect, as with package net's
// Dialer.DialContext; deadlines limit its Reads and Writes.
//
// The first Write of a task after a Read returns when the kernel has its bytes. Small
// ones that follow it are copied and return at once, as from a socket's buffer; they go
// out together as soon as the task waits for something or returns. A task that computes
// for long between Writes calls futures.Yield.
//
// The connection's data must then be received through the net.Conn only. Its Close
// differs from Conn.Close: see there.
func (c *Conn) NetConn(ctx context.Context) net.Conn { return &netConn{c, waitingWith(ctx)} }

// waitingWith is the context that an adapter awaits with, see NetConn.
func waitingWith(ctx context.Context) context.Context {
	if futures.InTask(ctx) {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

type netConn struct {
	conn *Conn
	ctx  context.Context
}

// Read implements net.Conn. Of a message what does not fit p is lost, as package net
// has it.
func (n *netConn) Read(p []byte) (int, error) {
	if n.conn.shut.Load() {
		return 0, n.conn.closedError("read")
	}
	k, err := n.conn.RecvInto(p).Await(n.ctx)
	if k > 0 && errors.Is(err, syscall.EMSGSIZE) {
		return k, nil
	}
	if err != nil {
		err = n.conn.asOpError("read", err)
	}
	return k, err
}

// Write implements net.Conn.
func (n *netConn) Write(p []byte) (int, error) {
	if n.conn.shut.Load() {
		return 0, n.conn.closedError("write")
	}
	var k int
	var err error
	if n.conn.send.copies(len(p)) && n.ctx.Err() == nil {
		k, err = n.conn.send.writeCopy(p)
	} else {
		k, err = n.conn.sendSegment(segment{data: p, write: true}).Await(n.ctx)
	}
	if err != nil {
		err = n.conn.asOpError("write", err)
	}
	return k, err
}

// Close implements net.Conn. As with a socket it returns at once and ends
// the Reads and Writes under way. The data of Writes that have returned is still sent,
// and so is what was given to Send and Queue before the first Write that Close ends.
func (n *netConn) Close() error {
	again := n.conn.shut.close()
	n.conn.loop.engine.Perform(n.conn.cut)
	if again {
		return n.conn.closedError("close")
	}
	return nil
}

// cut is Close of a net.Conn.
func (c *Conn) cut() {
	if c.state >= connEnding {
		return
	}
	if c.send.cut(c.closedError("write")) {
		c.beginEnd() // nothing is queued before the Write that was cut
		return
	}
	c.beginClose()
	if c.state == connDraining {
		c.recv.drop()
		c.recv.finish(c.closedError("read"))
		c.recv.disarm()
	}
}

// CloseWrite ends the writing side, as (*net.TCPConn).CloseWrite does, and the Writes under
// way, but for those without copying. For what was queued before it waits as a Write does.
func (n *netConn) CloseWrite() error {
	c := n.conn
	if c.shut.Load() {
		return c.closedError("close")
	}
	p := futures.NewPromise[struct{}]()
	ok := c.loop.engine.Perform(func() {
		if c.send.over() == nil {
			c.send.endWrites(c.failed("write", syscall.EPIPE))
		}
		c.beginHalfClose(p)
	})
	if !ok {
		p.Fail(c.closedError("shutdown"))
	}
	_, err := p.Future().Await(n.ctx)
	var known *net.OpError
	if errors.As(err, &known) {
		err = known.Err
	}
	if err != nil {
		err = c.opError("close", err)
	}
	return err
}

func (n *netConn) LocalAddr() net.Addr                { return n.conn.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr               { return n.conn.RemoteAddr() }
func (n *netConn) SetDeadline(t time.Time) error      { return n.conn.SetDeadline(t) }
func (n *netConn) SetReadDeadline(t time.Time) error  { return n.conn.SetReadDeadline(t) }
func (n *netConn) SetWriteDeadline(t time.Time) error { return n.conn.SetWriteDeadline(t) }

// asOpError makes a *net.OpError of an error that is none.
func (c *Conn) asOpError(op string, err error) error {
	var known *net.OpError
	if err == io.EOF || errors.As(err, &known) {
		return err
	}
	return c.opError(op, err)
}

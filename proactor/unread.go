package proactor

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/goproactor/goproactor/ring"
)

// unreadData is data that was received and nobody has taken.
type unreadData struct {
	data  []byte
	whole int // length of the message of which data is only a part, else 0
}

// withUnread wraps a connection of package net: Read returns the unread data first, then
// the failure of receiving, if any. Without either it returns the connection itself.
func withUnread(conn net.Conn, unread []unreadData, failure error) net.Conn {
	if failure == io.EOF {
		failure = nil // a Read of the socket reports it
	}
	if len(unread) == 0 && failure == nil {
		return conn
	}
	switch conn := conn.(type) {
	case *net.TCPConn:
		u := &unreadTCPConn{TCPConn: conn}
		u.unread.put(unread, failure, false)
		return u
	case *net.UnixConn:
		u := &unreadUnixConn{UnixConn: conn}
		u.unread.put(unread, failure, conn.LocalAddr().Network() == "unixpacket")
		return u
	}
	return conn
}

// unreadConn is a connection with unread data, which Adopt moves with it.
type unreadConn interface {
	net.Conn
	syscall.Conn
	takeUnread() []unreadData
}

// unread is data that Reads of a connection return first. Reads are serialized, as those
// of package net are.
type unread struct {
	reading  sync.Mutex
	pieces   []unreadData
	messages bool // each piece is a message
	failure  error
	over     atomic.Bool // nothing is left
}

func (u *unread) put(pieces []unreadData, failure error, messages bool) {
	u.pieces, u.failure, u.messages = pieces, failure, messages
}

// refused is the error with which package net refuses to read from a connection now, because
// it is closed or its deadline has passed, else nil. It reads nothing.
func refused(conn syscall.Conn) error {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Read(func(uintptr) bool { return true })
	}
	if failure := (*net.OpError)(nil); errors.As(err, &failure) {
		failure.Op = "read" // of raw.Read it is the only difference
	}
	return err
}

// read copies what fits into p; false if conn is to be asked: nothing is left, or nothing
// is wanted.
func (u *unread) read(conn syscall.Conn, p []byte) (n int, err error, ok bool) {
	if u.over.Load() || len(p) == 0 && !u.messages {
		return 0, nil, false
	}
	u.reading.Lock()
	defer u.reading.Unlock()
	if len(u.pieces) == 0 && u.failure == nil {
		return 0, nil, false
	}
	if err := refused(conn); err != nil {
		return 0, err, true
	}
	switch {
	case len(u.pieces) > 0:
		first := &u.pieces[0]
		n = copy(p, first.data)
		if n < first.whole && n == len(first.data) { // p may have had room for more
			err = syscall.EMSGSIZE
		}
		if first.data = first.data[n:]; len(first.data) == 0 || u.messages {
			u.pieces = u.pieces[1:]
		}
		if len(u.pieces) == 0 && u.failure == nil {
			u.over.Store(true)
		}
		return n, err, true
	case u.failure != nil:
		return 0, u.failure, true
	}
	return 0, nil, false
}

// writeTo writes all of it.
func (u *unread) writeTo(conn syscall.Conn, w io.Writer) (n int64, err error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	for len(u.pieces) > 0 {
		if err := refused(conn); err != nil {
			return n, err
		}
		first := &u.pieces[0]
		k, err := w.Write(first.data)
		n += int64(k)
		if first.data = first.data[k:]; err != nil {
			return n, err
		}
		u.pieces = u.pieces[1:]
	}
	if u.failure == nil {
		u.over.Store(true)
		return n, nil
	}
	if err := refused(conn); err != nil {
		return n, err
	}
	return n, u.failure
}

func (u *unread) takeUnread() []unreadData {
	u.reading.Lock()
	defer u.reading.Unlock()
	pieces := u.pieces
	u.pieces = nil
	return pieces
}

// unreadTCPConn is a *net.TCPConn with unread data.
type unreadTCPConn struct {
	*net.TCPConn
	unread
}

// Read implements net.Conn.
func (c *unreadTCPConn) Read(p []byte) (int, error) {
	if n, err, ok := c.unread.read(c.TCPConn, p); ok {
		return n, err
	}
	return c.TCPConn.Read(p)
}

// WriteTo implements io.WriterTo.
func (c *unreadTCPConn) WriteTo(w io.Writer) (int64, error) {
	n, err := c.unread.writeTo(c.TCPConn, w)
	if err != nil {
		return n, err
	}
	rest, err := c.TCPConn.WriteTo(w)
	return n + rest, err
}

// unreadUnixConn is a *net.UnixConn with unread data.
type unreadUnixConn struct {
	*net.UnixConn
	unread
}

// cut makes the error of package net of a message that did not fit the buffer that it was
// received in.
func (c *unreadUnixConn) cut(err error) error {
	if err != syscall.EMSGSIZE {
		return err
	}
	local := c.LocalAddr()
	return &net.OpError{Op: "read", Net: local.Network(), Source: local, Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", err)}
}

// Read implements net.Conn.
func (c *unreadUnixConn) Read(p []byte) (int, error) {
	if n, err, ok := c.unread.read(c.UnixConn, p); ok {
		return n, c.cut(err)
	}
	return c.UnixConn.Read(p)
}

// ReadFromUnix is that of *net.UnixConn.
func (c *unreadUnixConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	if n, err, ok := c.unread.read(c.UnixConn, p); ok {
		peer, _ := c.RemoteAddr().(*net.UnixAddr)
		return n, peer, c.cut(err)
	}
	return c.UnixConn.ReadFromUnix(p)
}

// ReadFrom implements net.PacketConn.
func (c *unreadUnixConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUnix(p)
	if from == nil {
		return n, nil, err
	}
	return n, from, err
}

// ReadMsgUnix is that of *net.UnixConn. Unread data has no control messages. A message that
// did not fit the buffer that it was received in is reported by MSG_TRUNC.
func (c *unreadUnixConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if n, err, ok := c.unread.read(c.UnixConn, p); ok {
		peer, _ := c.RemoteAddr().(*net.UnixAddr)
		if err == syscall.EMSGSIZE {
			flags, err = int(ring.MsgTrunc), nil
		}
		return n, 0, flags, peer, err
	}
	return c.UnixConn.ReadMsgUnix(p, oob)
}

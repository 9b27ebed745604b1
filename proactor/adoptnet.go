package proactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/goproactor/goproactor/internal/sockets"
)

var errNoSocket = fmt.Errorf("want a connection with a socket of its own, such as a *net.TCPConn: %w", syscall.ENOTSUP)

// Adopt takes a connection of package net onto a loop: a *net.TCPConn, a *net.UnixConn,
// what Detach returned, or anything else that is a syscall.Conn of a stream socket. The
// connection belongs to the caller's loop, or to the next in turn. Adopt closes conn and
// goes on with a duplicate of its socket; nothing may be reading or writing on conn. Data
// that a type around conn has read ahead, such as a bufio.Reader, is not adopted, nor are
// deadlines.
//
// If conn was made by Conn.NetConn, the result is that Conn.
//
// An Adopt that fails leaves conn as it was. Errors are *net.OpError with Op "adopt":
// errors.Is finds syscall.ENOTSUP if conn has no socket, like a *tls.Conn, or one of
// another kind (see AdoptPacket), net.ErrClosed if it is closed, syscall.EMFILE, and
// ErrClosed when the runtime is shutting down.
func (rt *Runtime) Adopt(conn net.Conn) (*Conn, error) {
	if n, ok := conn.(*netConn); ok {
		return n.conn, nil
	}
	if rt.isClosing() {
		return nil, adoptError(conn, errShutdownDone)
	}
	fd, err := duplicateOf(conn)
	if err != nil {
		return nil, adoptError(conn, err)
	}
	network, err := sockets.Adopt(fd)
	if err == nil && mediumOf(network) == file {
		err = errNoSocket
	}
	if err != nil {
		sockets.Close(fd)
		return nil, adoptError(conn, err)
	}
	var unread []unreadData
	if u, ok := conn.(unreadConn); ok {
		unread = u.takeUnread()
	}
	conn.Close() // the duplicate keeps the socket open
	return rt.someLoop().take(fd, network, false, unread)
}

// AdoptPacket takes a socket of package net for messages onto a loop: a *net.UDPConn, a
// *net.UnixConn of "unixgram", a *net.IPConn. Otherwise it is like Adopt. WithLocalAddr
// has no effect. Socket options that were set before stay, but control messages that they
// bring are dropped unless they are asked for by opts.
func (rt *Runtime) AdoptPacket(conn net.PacketConn, opts ...PacketOption) (*PacketConn, error) {
	if n, ok := conn.(*netPacketConn); ok {
		return n.conn, nil
	}
	fd, err := duplicateOf(conn)
	if err != nil {
		return nil, adoptError(conn, err)
	}
	c, err := rt.packetConnOf(fd, opts)
	if err != nil {
		return nil, adoptError(conn, err)
	}
	conn.Close()
	return c, nil
}

// FilePacketConn makes a PacketConn from a duplicate of f's descriptor, as net.FilePacketConn
// does: see FileConn, and AdoptPacket for the options.
func (rt *Runtime) FilePacketConn(f *os.File, opts ...PacketOption) (*PacketConn, error) {
	fd, err := duplicateOfFile(f)
	if err != nil {
		return nil, fileError(f, err)
	}
	c, err := rt.packetConnOf(fd, opts)
	if err != nil {
		return nil, fileError(f, err)
	}
	return c, nil
}

// packetConnOf makes a PacketConn from a descriptor. It closes that if it fails.
func (rt *Runtime) packetConnOf(fd int, opts []PacketOption) (*PacketConn, error) {
	o, err := packetOptionsOf(opts)
	if err != nil {
		sockets.Close(fd)
		return nil, err
	}
	socket, err := sockets.AdoptPacket(fd, &o)
	if err != nil {
		sockets.Close(fd)
		return nil, err
	}
	c := newPacketConn(rt.someLoop(), socket.Network(), socket)
	return c, c.start(&o)
}

// AdoptListener takes a listener of package net onto the loops: a *net.TCPListener, a
// *net.UnixListener, or anything else that is a syscall.Conn of a listening socket. ln
// is closed; its socket goes on listening without a gap. Close of the result removes the
// file of a Unix socket, see Listener.SetUnlinkOnClose. Connections are spread as
// WithSpread says, by default one to each loop in turn.
//
// Errors are those of Adopt.
func (rt *Runtime) AdoptListener(ln net.Listener, opts ...ListenOption) (*Listener, error) {
	if n, ok := ln.(*netListener); ok {
		return n.ln, nil
	}
	fd, err := duplicateOf(ln)
	if err == nil {
		sockets.SetBlocking(fd, true)
	}
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: ln.Addr().Network(), Addr: ln.Addr(), Err: err}
	}
	adopted, err := rt.listenerOf([]int{fd}, opts)
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: ln.Addr().Network(), Addr: ln.Addr(), Err: err}
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		adopted.SetUnlinkOnClose(true)
	}
	ln.Close()
	return adopted, nil
}

// duplicateOf duplicates the descriptor of a connection or listener of package net.
func duplicateOf(conn any) (fd int, err error) {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return -1, errNoSocket
	}
	fd, err = sockets.Duplicate(s)
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	return fd, err
}

// addressed is what a net.Conn and a net.PacketConn have in common.
type addressed interface{ LocalAddr() net.Addr }

func adoptError(conn addressed, err error) error {
	e := &net.OpError{Op: "adopt", Err: err}
	if conn != nil {
		if e.Source = conn.LocalAddr(); e.Source != nil {
			e.Net = e.Source.Network()
		}
	}
	return e
}

func duplicateOfFile(f *os.File) (int, error) {
	if f == nil {
		return -1, os.ErrInvalid
	}
	return sockets.Duplicate(f)
}

func fileError(f *os.File, err error) error {
	e := &net.OpError{Op: "file", Net: "file", Err: err}
	if f != nil {
		e.Addr = fileAddr(f.Name())
	}
	return e
}

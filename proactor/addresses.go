package proactor

import (
	"net"

	"github.com/goproactor/goproactor/internal/sockets"
)

// addresses are those of both ends of a connection.
//
// The kernel is asked when somebody wants to know, an error included, or at the
// last moment when it can tell: before the connection is reset or closed. That
// costs a connection nobody asked about two system calls that never wait and one
// allocation: less than could be measured of connections that carry one byte
// (16 rounds each way by turns, Linux 6.18, two busy processors, 70 µs of processor
// time a connection, both ends). Asking when it is accepted would cost the same and
// hold memory while the connection is idle. The accept itself cannot tell: a
// multishot accept has one buffer for the addresses of all that it brings
// (io_uring_prep_multishot_accept(3)). What the peer does meanwhile does not matter,
// not even a reset: see sockets.NamesOf.
//
// The forms of package net are made when they are asked for.
type addresses struct {
	names         sockets.Names
	local, remote net.Addr
}

// endpoints are the addresses of both ends.
func (c *Conn) endpoints() (local, remote net.Addr) {
	c.naming.Lock()
	defer c.naming.Unlock()
	a := c.lookUp()
	if a.local == nil {
		a.local, a.remote = a.names.Local(c.network), a.names.Remote(c.network)
		if c.medium == file {
			a.local, a.remote = fileAddr(c.network), fileAddr(c.network)
		}
	}
	return a.local, a.remote
}

// lookUp asks the kernel unless that is done. What it tells of a connection that
// is yet to be connected does not last. The caller holds naming.
func (c *Conn) lookUp() *addresses {
	if c.addresses != nil {
		return c.addresses
	}
	a := new(addresses)
	if !c.gone && c.medium != file {
		a.names = sockets.NamesOf(c.fd)
	}
	if c.gone || c.medium == file || a.names.Connected() {
		c.addresses = a
	}
	return a
}

// remember looks up what the kernel will soon have forgotten.
func (c *Conn) remember() {
	c.naming.Lock()
	c.lookUp()
	c.naming.Unlock()
}

// leave gives the descriptor up.
func (c *Conn) leave() {
	c.naming.Lock()
	a := c.lookUp()
	c.addresses, c.gone = a, true
	c.naming.Unlock()
}

// names are those of both ends, asked for at the latest before the descriptor is given
// up.
func (c *Conn) names() sockets.Names {
	c.naming.Lock()
	defer c.naming.Unlock()
	return c.lookUp().names
}

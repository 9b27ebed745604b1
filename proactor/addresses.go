package proactor

import (
	"net"

	"github.com/goproactor/goproactor/internal/sockets"
)

// addresses are those of both ends of a connection.
//
// They are looked up when they are first needed, by an error for example, and at the
// latest before the connection is reset or closed. That is two system calls that do not
// wait, and one allocation. It was too little to measure with connections that carry one
// byte (16 rounds each way by turns, Linux 6.18, two busy processors, 70 µs of processor
// time a connection, both ends). A look-up at the accept would cost the same and
// hold memory while the connection is idle. The accept itself cannot return them: a
// multishot accept has one buffer for the addresses of all its connections
// (io_uring_prep_multishot_accept(3)). A reset by the peer does not change the answer,
// see sockets.NamesOf.
//
// The types of package net are made when they are asked for.
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
		a.local, a.remote = a.names.Local(c.network()), a.names.Remote(c.network())
		if c.medium == file {
			a.local, a.remote = fileAddr(c.network()), fileAddr(c.network())
		}
	}
	return a.local, a.remote
}

// lookUp asks the kernel, once. The addresses of a connection that is not connected yet
// are not kept. The caller holds naming.
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

// remember looks the addresses up before the connection is reset or closed.
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

// names are those of both ends.
func (c *Conn) names() sockets.Names {
	c.naming.Lock()
	defer c.naming.Unlock()
	return c.lookUp().names
}

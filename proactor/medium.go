package proactor

import (
	"slices"

	"github.com/goproactor/goproactor/internal/sockets"
)

// medium is the kind of a connection's descriptor: they are received and sent on
// differently.
type medium uint8

const (
	stream  medium = iota // a byte stream that is a socket
	packets               // a SOCK_SEQPACKET socket: what one Send sends, one Recv receives
	file                  // no socket: a pipe, a terminal, an eventfd; it reads and writes
)

// endsHere reports whether a receive of 0 bytes is the end of the stream, and not an
// empty message.
func (c *Conn) endsHere() bool { return c.medium != packets || sockets.MessagesEnded(c.fd) }

func mediumOf(network string) medium {
	switch network {
	case "unixpacket":
		return packets
	case "pipe", "file":
		return file
	}
	return stream
}

// networkName is the name of a connection's network, which a connection keeps in one
// byte: its place in networkNames.
type networkName uint8

var networkNames = [...]string{"tcp", "tcp4", "tcp6", "unix", "unixpacket", "pipe", "file"}

// nameOf finds the name of a network that there is.
func nameOf(network string) networkName {
	return networkName(max(slices.Index(networkNames[:], network), 0))
}

func (n networkName) String() string { return networkNames[n] }

// network is the name of the connection's network.
func (c *Conn) network() string { return c.named.String() }

// fileAddr is the address of a connection that is no socket.
type fileAddr string

func (a fileAddr) Network() string { return string(a) }
func (a fileAddr) String() string  { return string(a) }

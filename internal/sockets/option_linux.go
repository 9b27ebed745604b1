package sockets

import (
	"os"

	"golang.org/x/sys/unix"
)

// option is a socket option with its value.
type option struct {
	name        string
	level, code int
	value       int
}

var (
	reuseAddress = option{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}
	reusePort    = option{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}
)

// tcpOptions are what package net sets on every TCP connection (net.KeepAliveConfig
// has the figures). A listener has them too: accepted sockets inherit them, which
// saves five calls a connection.
var tcpOptions = []option{
	{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},   // seconds
	{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, // seconds
	{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

func (o option) set(fd int) error {
	return os.NewSyscallError("setsockopt "+o.name, unix.SetsockoptInt(fd, o.level, o.code, o.value))
}

func setAll(fd int, options ...option) error {
	for _, o := range options {
		if err := o.set(fd); err != nil {
			return err
		}
	}
	return nil
}

// number is an on-off value as options take it.
func number(on bool) int {
	if on {
		return 1
	}
	return 0
}

// ShareBound lets sockets that have SO_REUSEPORT share the port of one that is
// bound already.
func ShareBound(fd int) error { return reusePort.set(fd) }

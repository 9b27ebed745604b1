package sockets

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// PipeFlags is what pipe2(2) takes.
const PipeFlags = unix.O_CLOEXEC

// Pipe opens a pipe (pipe2(2)): what is written to the second end, the first
// reads.
func Pipe() (ends [2]int, err error) {
	err = unix.Pipe2(ends[:], PipeFlags)
	return ends, os.NewSyscallError("pipe2", err)
}

// Pair opens two Unix sockets that are connected to each other (socketpair(2)),
// "unix" or "unixpacket".
func Pair(network string) (ends [2]int, err error) {
	kind := unix.SOCK_STREAM
	switch network {
	case "unix":
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
	default:
		return ends, net.UnknownNetworkError(network)
	}
	ends, err = unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	return ends, os.NewSyscallError("socketpair", err)
}

package sockets

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NetConn makes a connection of package net of a copy of a socket. The socket becomes
// non-blocking.
func NetConn(fd int) (conn net.Conn, err error) {
	err = lend(fd, func(f *os.File) error {
		conn, err = net.FileConn(f)
		return cause(err)
	})
	return conn, err
}

// NetPacketConn makes a net.PacketConn of a copy of a socket, see NetConn.
func NetPacketConn(fd int) (conn net.PacketConn, err error) {
	err = lend(fd, func(f *os.File) error {
		conn, err = net.FilePacketConn(f)
		return cause(err)
	})
	return conn, err
}

// NetListener makes a net.Listener of a copy of a socket, see NetConn.
func NetListener(fd int) (ln net.Listener, err error) {
	err = lend(fd, func(f *os.File) error {
		ln, err = net.FileListener(f)
		return cause(err)
	})
	return ln, err
}

// lend shows use a file of a copy of the descriptor: an *os.File closes what it has.
func lend(fd int, use func(*os.File) error) error {
	f, err := File(fd, "socket")
	if err != nil {
		return err
	}
	defer f.Close()
	return use(f)
}

// File is a copy of a descriptor.
func File(fd int, name string) (*os.File, error) {
	dup, err := DuplicateNumber(fd)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), name), nil
}

// cause is what an error of package net is about.
func cause(err error) error {
	if op, ok := err.(*net.OpError); ok {
		return op.Err
	}
	return err
}

// WithoutBlocking runs use while the descriptor is non-blocking, and makes it blocking
// again if it was.
func WithoutBlocking(fd int, use func()) {
	flags, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	if errno == 0 && flags&unix.O_NONBLOCK == 0 {
		syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags|unix.O_NONBLOCK)
		defer syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags)
	}
	use()
}

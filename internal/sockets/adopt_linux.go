package sockets

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Adopt names the network of a descriptor that is to be a connection, "pipe" or
// "file" for what is no socket, and makes it blocking.
func Adopt(fd int) (network string, err error) {
	if network, err = networkOf(fd); err != nil {
		return "", err
	}
	return network, os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
}

func networkOf(fd int) (network string, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return "", os.NewSyscallError("fstat", err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return socketNetwork(fd)
	case unix.S_IFIFO:
		return "pipe", nil
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK, unix.S_IFLNK:
		return "", fmt.Errorf("a regular file, directory or block device has no stream to wait for: use Open: %w", syscall.ENOTSUP)
	}
	return "file", nil
}

func socketNetwork(fd int) (string, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", os.NewSyscallError("getsockopt", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return "", os.NewSyscallError("getsockopt", err)
	}
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
		return "", fmt.Errorf("the socket listens: %w", syscall.ENOTSUP)
	}
	switch {
	case kind == unix.SOCK_STREAM && domain == unix.AF_UNIX:
		return "unix", nil
	case kind == unix.SOCK_STREAM:
		return "tcp", nil
	case kind == unix.SOCK_SEQPACKET && domain == unix.AF_UNIX:
		return "unixpacket", nil
	}
	return "", fmt.Errorf("a socket of type %d and domain %d is no stream: %w", kind, domain, syscall.ENOTSUP)
}

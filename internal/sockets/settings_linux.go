package sockets

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What a program may set for a connection, as package net names it and does it.

// SetNoDelay sets TCP_NODELAY.
func SetNoDelay(fd int, on bool) error {
	return setNumber(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, number(on))
}

// SetReadBuffer sets SO_RCVBUF.
func SetReadBuffer(fd, bytes int) error {
	return setNumber(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
}

// SetWriteBuffer sets SO_SNDBUF.
func SetWriteBuffer(fd, bytes int) error {
	return setNumber(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
}

// SetLinger sets SO_LINGER; a negative number of seconds switches it off.
func SetLinger(fd, seconds int) error {
	l := unix.Linger{}
	if seconds >= 0 {
		l = unix.Linger{Onoff: 1, Linger: int32(seconds)}
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
}

// The figures of package net for what a net.KeepAliveConfig leaves at zero.
const (
	defaultKeepAliveTime  = 15 * time.Second
	defaultKeepAliveCount = 9
)

// SetKeepAlive sets SO_KEEPALIVE and, if it is on, the options of tcp(7) that say how
// often a probe goes out. What is negative stays as it is.
func SetKeepAlive(fd int, c net.KeepAliveConfig) error {
	if err := setNumber(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, number(c.Enable)); err != nil {
		return err
	}
	for _, o := range []struct{ name, value int }{
		{unix.TCP_KEEPIDLE, keepAliveSeconds(c.Idle)},
		{unix.TCP_KEEPINTVL, keepAliveSeconds(c.Interval)},
		{unix.TCP_KEEPCNT, keepAliveCount(c.Count)},
	} {
		if o.value < 0 {
			continue
		}
		if err := setNumber(fd, unix.IPPROTO_TCP, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// SetKeepAliveIdle sets TCP_KEEPIDLE, with zero to the figure of package net. A negative
// duration changes nothing.
func SetKeepAliveIdle(fd int, d time.Duration) error {
	seconds := keepAliveSeconds(d)
	if seconds < 0 {
		return nil
	}
	return setNumber(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
}

// keepAliveSeconds rounds up.
func keepAliveSeconds(d time.Duration) int {
	switch {
	case d < 0:
		return -1
	case d == 0:
		d = defaultKeepAliveTime
	}
	return int((d-1)/time.Second) + 1
}

func keepAliveCount(n int) int {
	if n == 0 {
		return defaultKeepAliveCount
	}
	return n
}

func setNumber(fd, level, name, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
}

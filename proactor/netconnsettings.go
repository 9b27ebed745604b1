package proactor

import (
	"net"
	"time"

	"github.com/goproactor/goproactor/internal/sockets"
)

// The settings of *net.TCPConn and *net.UDPConn, for those that ask for them by an
// interface. What the socket has none of is syscall.EOPNOTSUPP.

// SetNoDelay is that of *net.TCPConn.
func (n *netConn) SetNoDelay(noDelay bool) error {
	return n.set(func(fd int) error { return sockets.SetNoDelay(fd, noDelay) })
}

// SetKeepAlive is that of *net.TCPConn.
func (n *netConn) SetKeepAlive(keepAlive bool) error {
	return n.SetKeepAliveConfig(net.KeepAliveConfig{Enable: keepAlive, Idle: -1, Interval: -1, Count: -1})
}

// SetKeepAlivePeriod is that of *net.TCPConn: how long the peer is silent before it is
// probed.
func (n *netConn) SetKeepAlivePeriod(d time.Duration) error {
	return n.set(func(fd int) error { return sockets.SetKeepAliveIdle(fd, d) })
}

// SetKeepAliveConfig is that of *net.TCPConn.
func (n *netConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	return n.set(func(fd int) error { return sockets.SetKeepAlive(fd, config) })
}

// SetLinger is that of *net.TCPConn.
func (n *netConn) SetLinger(sec int) error {
	return n.set(func(fd int) error { return sockets.SetLinger(fd, sec) })
}

// SetReadBuffer is that of *net.TCPConn and *net.UnixConn.
func (n *netConn) SetReadBuffer(bytes int) error {
	return n.setBuffer(func(fd int) error { return sockets.SetReadBuffer(fd, bytes) })
}

// SetWriteBuffer is that of *net.TCPConn and *net.UnixConn.
func (n *netConn) SetWriteBuffer(bytes int) error {
	return n.setBuffer(func(fd int) error { return sockets.SetWriteBuffer(fd, bytes) })
}

func (n *netConn) set(option func(fd int) error) error {
	return n.conn.set(option)
}

// setBuffer names in its error, as package net does, this end only.
func (n *netConn) setBuffer(option func(fd int) error) error {
	err := n.conn.useDescriptor(option)
	if err != nil {
		err = &net.OpError{Op: "set", Net: n.conn.network(), Addr: n.conn.LocalAddr(), Err: err}
	}
	return err
}

// SetReadBuffer is that of *net.UDPConn.
func (n *netPacketConn) SetReadBuffer(bytes int) error {
	return n.set(func(fd int) error { return sockets.SetReadBuffer(fd, bytes) })
}

// SetWriteBuffer is that of *net.UDPConn.
func (n *netPacketConn) SetWriteBuffer(bytes int) error {
	return n.set(func(fd int) error { return sockets.SetWriteBuffer(fd, bytes) })
}

func (n *netPacketConn) set(option func(fd int) error) error {
	c := n.conn
	c.using.Lock()
	var err error = ErrClosed
	if !c.gone && !c.shut.Load() {
		err = option(c.fd)
	}
	c.using.Unlock()
	if err != nil {
		err = &net.OpError{Op: "set", Net: c.network, Addr: c.local, Err: err}
	}
	return err
}

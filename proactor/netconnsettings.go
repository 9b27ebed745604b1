package proactor

import (
	"net"
	"time"

	"github.com/goproactor/goproactor/internal/sockets"
)

// The settings that other libraries ask of a *net.TCPConn: the connection has them.

// SetNoDelay is Conn.SetNoDelay.
func (n *netConn) SetNoDelay(noDelay bool) error { return n.conn.SetNoDelay(noDelay) }

// SetKeepAliveConfig is Conn.SetKeepAliveConfig.
func (n *netConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	return n.conn.SetKeepAliveConfig(config)
}

// SetKeepAlive turns keep-alive on or off, as (*net.TCPConn).SetKeepAlive does, and
// leaves its times as they are.
func (n *netConn) SetKeepAlive(keepAlive bool) error {
	return n.conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: keepAlive, Idle: -1, Interval: -1, Count: -1})
}

// SetKeepAlivePeriod sets after how long a silent peer is probed, as
// (*net.TCPConn).SetKeepAlivePeriod does.
func (n *netConn) SetKeepAlivePeriod(d time.Duration) error {
	return n.conn.set(func(fd int) error { return sockets.SetKeepAliveIdle(fd, d) })
}

// SetReadBuffer is Conn.SetReadBuffer.
func (n *netConn) SetReadBuffer(bytes int) error { return n.conn.SetReadBuffer(bytes) }

// SetWriteBuffer is Conn.SetWriteBuffer.
func (n *netConn) SetWriteBuffer(bytes int) error { return n.conn.SetWriteBuffer(bytes) }

// SetLinger is Conn.SetLinger.
func (n *netConn) SetLinger(sec int) error { return n.conn.SetLinger(sec) }

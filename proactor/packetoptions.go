package proactor

import (
	"fmt"
	"net"

	"github.com/goproactor/goproactor/internal/sockets"
)

// PacketOption changes how a PacketConn is opened.
type PacketOption func(*packetOptions) error

type packetOptions = sockets.PacketOptions

// WithPacketInfo has the kernel report where each message was received, see
// Message.PacketInfo (ip(7), IP_PKTINFO).
func WithPacketInfo() PacketOption {
	return func(o *packetOptions) error { o.PacketInfo = true; return nil }
}

// WithTimestamps has the kernel report when it received each message, see
// Message.Timestamp (socket(7), SO_TIMESTAMPNS).
func WithTimestamps() PacketOption {
	return func(o *packetOptions) error { o.Timestamps = true; return nil }
}

// WithECN has the kernel report the ECN codepoint of each message, see Message.ECN.
func WithECN() PacketOption {
	return func(o *packetOptions) error { o.ECN = true; return nil }
}

// WithHopLimit has the kernel report the remaining time to live of each message, see
// Message.HopLimit.
func WithHopLimit() PacketOption {
	return func(o *packetOptions) error { o.HopLimit = true; return nil }
}

// WithGRO lets the kernel join messages of one sender into one, see
// Message.Segments (udp(7), UDP_GRO, Linux 5.0). Opening fails with
// syscall.ENOPROTOOPT on kernels without it.
func WithGRO() PacketOption {
	return func(o *packetOptions) error { o.GRO = true; return nil }
}

// WithReusePort shares the port with other sockets that have this option, too
// (socket(7), SO_REUSEPORT): the kernel spreads the senders over them.
func WithReusePort() PacketOption {
	return func(o *packetOptions) error { o.ReusePort = true; return nil }
}

// WithSocketBuffers sets how many bytes the kernel holds of messages that were received
// and not read (SO_RCVBUF), and of those that were sent and are not transmitted yet
// (SO_SNDBUF); zero leaves the default of the system.
func WithSocketBuffers(read, write int) PacketOption {
	return func(o *packetOptions) error {
		if read < 0 || write < 0 {
			return fmt.Errorf("proactor: socket buffers of %d and %d bytes: want zero (the system's) or more", read, write)
		}
		o.ReadBuffer, o.WriteBuffer = read, write
		return nil
	}
}

// WithLocalAddr is the address that DialPacket sends from.
func WithLocalAddr(a net.Addr) PacketOption {
	return func(o *packetOptions) error { o.Local = a; return nil }
}

package proactor

import (
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/internal/sockets"
	"github.com/goproactor/goproactor/ring"
)

// Message is a message that a PacketConn received: a lease on its bytes, and the
// sender and control messages that came with it. All of it is in one receive buffer, and
// is valid as long as the lease: its methods panic after Release. Methods that allocate
// say so.
type Message struct {
	Buffer
	head    []byte // of the receive buffer: ring.RecvmsgOut, sender, control messages
	name    uint16 // room for the sender
	network *string
}

func (m Message) out() *ring.RecvmsgOut {
	if m.lease == nil {
		return new(ring.RecvmsgOut)
	}
	m.lease.Bytes(m.generation, "Message")
	return (*ring.RecvmsgOut)(unsafe.Pointer(unsafe.SliceData(m.head)))
}

// sender is the raw address of the sender.
func (m Message) sender() []byte {
	n := min(m.out().Namelen, uint32(m.name))
	if n == 0 {
		return nil
	}
	return m.head[ring.SizeofRecvmsgOut:][:n]
}

// From is the address of the sender on an IP network; on "ip4:…" and "ip6:…"
// its port is zero. An IPv4 sender is an IPv4 address on every socket. A zone is
// the number of an interface. Of a unix socket it is the zero AddrPort.
func (m Message) From() netip.AddrPort {
	from := sockets.IP(m.sender())
	if m.network != nil && strings.HasPrefix(*m.network, "ip") {
		return netip.AddrPortFrom(from.Addr(), 0) // the field is not a port there
	}
	return from
}

// FromName is the name of the unix socket it came from, "" if that has none;
// an abstract name begins with "@". It allocates.
func (m Message) FromName() string {
	if raw := m.sender(); len(raw) > 2 && binary.NativeEndian.Uint16(raw) == syscall.AF_UNIX {
		return sockets.UnixName(raw)
	}
	return ""
}

// FromAddr is the sender as package net has it: a *net.UDPAddr, *net.IPAddr or
// *net.UnixAddr; nil if it is not known. It allocates.
func (m Message) FromAddr() net.Addr {
	raw := m.sender()
	if len(raw) < 2 || m.network == nil {
		return nil
	}
	return sockets.NetAddr(raw, *m.network)
}

// Size is the length of the message as it was sent, in bytes. It is more than
// Len if the message was truncated.
func (m Message) Size() int {
	if m.lease == nil {
		return 0
	}
	return max(int(m.out().Payloadlen), m.Len())
}

// Truncated reports whether the message did not fit the receive buffer. Every UDP
// message fits; those of a unix socket can be larger.
func (m Message) Truncated() bool { return m.out().Flags&ring.MsgTrunc != 0 }

// control is the control messages that came with the message.
func (m Message) control() sockets.Received {
	n := m.out().Controllen
	if n == 0 {
		return nil
	}
	return m.head[ring.SizeofRecvmsgOut+int(m.name):][:n]
}

// PacketInfo is where a message was received.
type PacketInfo struct {
	Addr      netip.Addr // the destination of the message
	Interface int        // number of the interface
}

// PacketInfo needs WithPacketInfo; false if the message came without.
func (m Message) PacketInfo() (PacketInfo, bool) {
	to, index, ok := m.control().PacketInfo()
	return PacketInfo{Addr: to, Interface: index}, ok
}

// Timestamp is when the kernel received the message. It needs WithTimestamps;
// false if the message came without.
func (m Message) Timestamp() (time.Time, bool) { return m.control().Timestamp() }

// ECN is a codepoint of explicit congestion notification (RFC 3168).
type ECN uint8

// The codepoints.
const (
	NotECT ECN = 0 // the sender does not take part
	ECT1   ECN = 1
	ECT0   ECN = 2
	CE     ECN = 3 // congestion was experienced on the way
)

// ECN needs WithECN; false if the message came without.
func (m Message) ECN() (ECN, bool) {
	tos, ok := m.control().TrafficClass()
	return ECN(tos & 3), ok
}

// HopLimit is the remaining time to live, in hops. It needs WithHopLimit;
// false if the message came without.
func (m Message) HopLimit() (int, bool) { return m.control().HopLimit() }

// SegmentSize is the size in bytes of each of the messages that the kernel has joined
// into this one; the last may be smaller. It is zero if this is one message. It needs
// WithGRO.
func (m Message) SegmentSize() int { return m.control().SegmentSize() }

// Segments ranges over the messages that the kernel has joined into this one. If it has
// joined none, the range has one element.
func (m Message) Segments() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		size, rest := m.SegmentSize(), m.Bytes()
		for size > 0 && len(rest) > size {
			if !yield(rest[:size:size]) {
				return
			}
			rest = rest[size:]
		}
		yield(rest)
	}
}

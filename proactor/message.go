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

// Message is a message that a PacketConn received: a lease on its bytes, and
// what came with it. All of it lives in the one receive buffer, and is over
// with the lease: its methods panic after Release. No method but those that
// say so allocates.
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
		return netip.AddrPortFrom(from.Addr(), 0) // the field holds something else there
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

// Truncated says that the message did not fit the receive buffer, which takes
// everything that UDP can carry; a unix socket carries more.
func (m Message) Truncated() bool { return m.out().Flags&ring.MsgTrunc != 0 }

// control is the control messages that came with it.
func (m Message) control() sockets.Received {
	n := m.out().Controllen
	if n == 0 {
		return nil
	}
	return m.head[ring.SizeofRecvmsgOut+int(m.name):][:n]
}

// PacketInfo is where a message came in.
type PacketInfo struct {
	Addr      netip.Addr // that it was sent to
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

// HopLimit is what is left of the time to live, in hops. It needs WithHopLimit;
// false if the message came without.
func (m Message) HopLimit() (int, bool) { return m.control().HopLimit() }

// SegmentSize is the size in bytes of the messages, all but the last of one
// size, that the kernel joined to this one; zero if it is one message. It needs
// WithGRO.
func (m Message) SegmentSize() int { return m.control().SegmentSize() }

// Segments are the messages that the kernel joined to this one, or this one.
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

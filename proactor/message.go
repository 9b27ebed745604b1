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
	from := ipAt(m.sender())
	if m.network != nil && strings.HasPrefix(*m.network, "ip") {
		return netip.AddrPortFrom(from.Addr(), 0) // the field holds something else there
	}
	return from
}

// FromName is the name of the unix socket it came from, "" if that has none;
// an abstract name begins with "@". It allocates.
func (m Message) FromName() string {
	if raw := m.sender(); len(raw) > 2 && binary.NativeEndian.Uint16(raw) == syscall.AF_UNIX {
		return unixAt(raw)
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
	if binary.NativeEndian.Uint16(raw) == syscall.AF_UNIX {
		return &net.UnixAddr{Name: unixAt(raw), Net: *m.network}
	}
	return packetAddr(m.From(), *m.network)
}

// packetAddr is an address in the type of its network.
func packetAddr(a netip.AddrPort, network string) net.Addr {
	if strings.HasPrefix(network, "ip") {
		return &net.IPAddr{IP: a.Addr().AsSlice(), Zone: a.Addr().Zone()}
	}
	return net.UDPAddrFromAddrPort(a)
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

// control finds a control message (cmsg(3)).
func (m Message) control(level, kind int32) []byte {
	n := m.out().Controllen
	if n == 0 {
		return nil
	}
	return findControl(m.head[ring.SizeofRecvmsgOut+int(m.name):][:n], level, kind)
}

// findControl is the data of the first control message of that kind in a list,
// nil if there is none.
func findControl(list []byte, level, kind int32) []byte {
	for len(list) >= sizeofCmsghdr {
		h := (*cmsghdr)(unsafe.Pointer(unsafe.SliceData(list)))
		size := int(h.len)
		if size < sizeofCmsghdr || size > len(list) {
			return nil
		}
		if h.level == level && h.kind == kind {
			return list[sizeofCmsghdr:size]
		}
		list = list[min(aligned(size), len(list)):]
	}
	return nil
}

// cmsghdr is struct cmsghdr.
type cmsghdr struct {
	len         uintptr
	level, kind int32
}

const sizeofCmsghdr = int(unsafe.Sizeof(cmsghdr{}))

// aligned is CMSG_ALIGN.
func aligned(n int) int {
	const word = int(unsafe.Sizeof(uintptr(0)))
	return (n + word - 1) &^ (word - 1)
}

// Control messages and the options that ask for them, as Linux numbers them.
const (
	solSocket = 1
	solIP     = 0
	solIPv6   = 41
	solUDP    = 17

	soTimestampNS    = 35 // also the control message
	ipPacketInfo     = 8  // also the control message
	ipTOS            = 1  // control message
	ipRecvTOS        = 13
	ipTTL            = 2 // control message
	ipRecvTTL        = 12
	ipv6PacketInfo   = 50 // control message
	ipv6RecvInfo     = 49
	ipv6TrafficClass = 67 // control message
	ipv6RecvClass    = 66
	ipv6HopLimit     = 52 // control message
	ipv6RecvHopLimit = 51
	udpSegment       = 103 // UDP_SEGMENT, Linux 4.18
	udpGRO           = 104 // UDP_GRO, Linux 5.0; also the control message
)

// PacketInfo is where a message came in.
type PacketInfo struct {
	Addr      netip.Addr // that it was sent to
	Interface int        // number of the interface
}

// PacketInfo needs WithPacketInfo; false if the message came without.
func (m Message) PacketInfo() (PacketInfo, bool) {
	if p := m.control(solIP, ipPacketInfo); len(p) >= 12 {
		return PacketInfo{netip.AddrFrom4([4]byte(p[8:12])), int(binary.NativeEndian.Uint32(p))}, true
	}
	if p := m.control(solIPv6, ipv6PacketInfo); len(p) >= 20 {
		return PacketInfo{netip.AddrFrom16([16]byte(p[:16])).Unmap(), int(binary.NativeEndian.Uint32(p[16:]))}, true
	}
	return PacketInfo{}, false
}

// Timestamp is when the kernel received the message. It needs WithTimestamps;
// false if the message came without.
func (m Message) Timestamp() (time.Time, bool) {
	switch p := m.control(solSocket, soTimestampNS); len(p) {
	case 16:
		return time.Unix(int64(binary.NativeEndian.Uint64(p)), int64(binary.NativeEndian.Uint64(p[8:]))), true
	case 8: // a 32-bit system
		return time.Unix(int64(int32(binary.NativeEndian.Uint32(p))), int64(binary.NativeEndian.Uint32(p[4:]))), true
	}
	return time.Time{}, false
}

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
	tos, ok := m.number(ipTOS, ipv6TrafficClass)
	return ECN(tos & 3), ok
}

// HopLimit is what is left of the time to live, in hops. It needs WithHopLimit;
// false if the message came without.
func (m Message) HopLimit() (int, bool) { return m.number(ipTTL, ipv6HopLimit) }

// number is a control message of one byte or one int.
func (m Message) number(ip, ipv6 int32) (int, bool) {
	p := m.control(solIP, ip)
	if p == nil {
		p = m.control(solIPv6, ipv6)
	}
	switch {
	case len(p) >= 4:
		return int(int32(binary.NativeEndian.Uint32(p))), true
	case len(p) >= 1:
		return int(p[0]), true
	}
	return 0, false
}

// SegmentSize is the size in bytes of the messages, all but the last of one
// size, that the kernel joined to this one; zero if it is one message. It needs
// WithGRO.
func (m Message) SegmentSize() int {
	p := m.control(solUDP, udpGRO)
	if len(p) < 4 {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(p)))
}

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

// controlBuffer is room for the control messages of one that is sent.
type controlBuffer struct {
	raw [3 * 64]byte
	len int
}

func (b *controlBuffer) add(level, kind int32, size int) (data []byte) {
	at := b.len
	b.len += aligned(sizeofCmsghdr + size)
	h := (*cmsghdr)(unsafe.Pointer(&b.raw[at]))
	*h = cmsghdr{uintptr(sizeofCmsghdr + size), level, kind}
	data = b.raw[at+sizeofCmsghdr:][:size]
	clear(data)
	return data
}

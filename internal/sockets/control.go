package sockets

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"
)

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

// Received is a list of control messages that came with a message (cmsg(3)).
// Reading it allocates nothing.
type Received []byte

// find is the data of the first control message of that kind, nil if there is
// none.
func (r Received) find(level, kind int32) []byte {
	list := []byte(r)
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

// PacketInfo is the address that the message was sent to and the number of the
// interface that it came in on (IP_PKTINFO, IPV6_PKTINFO); false if the message
// came without.
func (r Received) PacketInfo() (to netip.Addr, index int, ok bool) {
	if p := r.find(solIP, ipPacketInfo); len(p) >= 12 {
		return netip.AddrFrom4([4]byte(p[8:12])), int(binary.NativeEndian.Uint32(p)), true
	}
	if p := r.find(solIPv6, ipv6PacketInfo); len(p) >= 20 {
		return netip.AddrFrom16([16]byte(p[:16])).Unmap(), int(binary.NativeEndian.Uint32(p[16:])), true
	}
	return netip.Addr{}, 0, false
}

// Timestamp is when the kernel received the message (SO_TIMESTAMPNS); false if
// the message came without.
func (r Received) Timestamp() (time.Time, bool) {
	switch p := r.find(solSocket, soTimestampNS); len(p) {
	case 16:
		return time.Unix(int64(binary.NativeEndian.Uint64(p)), int64(binary.NativeEndian.Uint64(p[8:]))), true
	case 8: // a 32-bit system
		return time.Unix(int64(int32(binary.NativeEndian.Uint32(p))), int64(binary.NativeEndian.Uint32(p[4:]))), true
	}
	return time.Time{}, false
}

// TrafficClass is the IPv4 type of service or the IPv6 traffic class (IP_TOS,
// IPV6_TCLASS); false if the message came without.
func (r Received) TrafficClass() (int, bool) { return r.number(ipTOS, ipv6TrafficClass) }

// HopLimit is what is left of the time to live, in hops (IP_TTL,
// IPV6_HOPLIMIT); false if the message came without.
func (r Received) HopLimit() (int, bool) { return r.number(ipTTL, ipv6HopLimit) }

// number is a control message of one byte or one int.
func (r Received) number(ip, ipv6 int32) (int, bool) {
	p := r.find(solIP, ip)
	if p == nil {
		p = r.find(solIPv6, ipv6)
	}
	switch {
	case len(p) >= 4:
		return int(int32(binary.NativeEndian.Uint32(p))), true
	case len(p) >= 1:
		return int(p[0]), true
	}
	return 0, false
}

// SegmentSize is the size in bytes of the messages that the kernel joined to
// this one (UDP_GRO), zero if it is one message.
func (r Received) SegmentSize() int {
	p := r.find(solUDP, udpGRO)
	if len(p) < 4 {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(p)))
}

// Control is the control messages of a message that is sent. The zero Control
// has none.
type Control struct {
	raw [3 * 64]byte
	len int
}

// Bytes is the list as the kernel takes it. It is part of c.
func (c *Control) Bytes() []byte { return c.raw[:c.len] }

// Clear removes all.
func (c *Control) Clear() { c.len = 0 }

func (c *Control) add(level, kind int32, size int) (data []byte) {
	at := c.len
	c.len += aligned(sizeofCmsghdr + size)
	h := (*cmsghdr)(unsafe.Pointer(&c.raw[at]))
	*h = cmsghdr{uintptr(sizeofCmsghdr + size), level, kind}
	data = c.raw[at+sizeofCmsghdr:][:size]
	clear(data)
	return data
}

// AddSegmentSize has the kernel cut the message into some of that many bytes
// (udp(7), UDP_SEGMENT, Linux 4.18).
func (c *Control) AddSegmentSize(bytes uint16) {
	binary.NativeEndian.PutUint16(c.add(solUDP, udpSegment, 2), bytes)
}

// AddSource is the address of this machine to send from.
func (c *Control) AddSource(ip netip.Addr) {
	if ip = ip.Unmap(); ip.Is4() {
		b := ip.As4()
		copy(c.add(solIP, ipPacketInfo, 12)[4:], b[:])
		return
	}
	b := ip.As16()
	p := c.add(solIPv6, ipv6PacketInfo, 20)
	copy(p, b[:])
	binary.NativeEndian.PutUint32(p[16:], ZoneIndex(ip.Zone()))
}

// AddTrafficClass is the IPv4 type of service or the IPv6 traffic class to send
// with.
func (c *Control) AddTrafficClass(class uint8, inet4 bool) {
	level, kind := int32(solIP), int32(ipTOS)
	if !inet4 {
		level, kind = solIPv6, ipv6TrafficClass
	}
	binary.NativeEndian.PutUint32(c.add(level, kind, 4), uint32(class))
}

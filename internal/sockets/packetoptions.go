package sockets

import "net"

// PacketOptions is how a Packet is opened.
type PacketOptions struct {
	PacketInfo, Timestamps, ECN, HopLimit, GRO bool // what messages come with
	ReusePort                                  bool
	ReadBuffer, WriteBuffer                    int      // bytes, zero for what the system has
	Local                                      net.Addr // to send from, for DialPacket
}

// ControlRoom is how many bytes the control messages asked for need at most.
func (o *PacketOptions) ControlRoom() int {
	n := 0
	for _, wanted := range []struct {
		on   bool
		size int
	}{{o.PacketInfo, 20 + 12}, {o.Timestamps, 16}, {o.ECN, 4}, {o.HopLimit, 4}, {o.GRO, 4}} {
		if wanted.on {
			n += aligned(sizeofCmsghdr+wanted.size) + aligned(sizeofCmsghdr)
		}
	}
	return n
}

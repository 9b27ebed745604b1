package proactor

import (
	"net"
	"net/netip"

	"github.com/goproactor/goproactor/ring"
)

// The methods that *net.UDPConn, *net.UnixConn and *net.IPConn have and net.PacketConn
// has not, for libraries that look for them.

// ReadFromUDP is that of *net.UDPConn.
func (n *netPacketConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	k, from, err := n.ReadFrom(p)
	udp, _ := from.(*net.UDPAddr)
	return k, udp, err
}

// ReadFromUDPAddrPort is that of *net.UDPConn. It does not allocate. A zone is the number
// of an interface.
func (n *netPacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	m, err := n.next("recvfrom")
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	defer m.Release()
	return copy(p, m.Bytes()), m.From(), nil
}

// WriteToUDP is that of *net.UDPConn.
func (n *netPacketConn) WriteToUDP(p []byte, to *net.UDPAddr) (int, error) { return n.WriteTo(p, to) }

// WriteToUDPAddrPort is that of *net.UDPConn.
func (n *netPacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return n.send("sendto", Datagram{Data: p, To: n.conn.destination(to)})
}

// ReadMsgUDP is that of *net.UDPConn: oob gets the control messages in the form of
// recvmsg(2). There is room for those of the PacketOptions, and for a few more whose
// options were set through SyscallConn before the first receive.
func (n *netPacketConn) ReadMsgUDP(p, oob []byte) (k, oobn, flags int, from *net.UDPAddr, err error) {
	k, oobn, flags, addr, err := n.readMessage(p, oob)
	from, _ = addr.(*net.UDPAddr)
	return k, oobn, flags, from, err
}

// ReadMsgUDPAddrPort is that of *net.UDPConn.
func (n *netPacketConn) ReadMsgUDPAddrPort(p, oob []byte) (k, oobn, flags int, from netip.AddrPort, err error) {
	m, err := n.next("recvmsg")
	if err != nil {
		return 0, 0, 0, from, err
	}
	defer m.Release()
	k, oobn, flags = m.copyTo(p, oob)
	return k, oobn, flags, m.From(), nil
}

// ReadMsgIP is that of *net.IPConn.
func (n *netPacketConn) ReadMsgIP(p, oob []byte) (k, oobn, flags int, from *net.IPAddr, err error) {
	k, oobn, flags, addr, err := n.readMessage(p, oob)
	from, _ = addr.(*net.IPAddr)
	return k, oobn, flags, from, err
}

// ReadMsgUnix is that of *net.UnixConn: descriptors in oob are the caller's. Messages that
// are received before the first ReadMsgUnix with room in oob, and those that another
// method reads, come without theirs, which are closed. There is room for 28 of a message,
// less if an option has other control messages come (SO_PASSCRED, SO_PASSPIDFD).
func (n *netPacketConn) ReadMsgUnix(p, oob []byte) (k, oobn, flags int, from *net.UnixAddr, err error) {
	if len(oob) > 0 {
		n.conn.loop.engine.Perform(n.conn.recv.roomForRights)
	}
	k, oobn, flags, addr, err := n.readMessage(p, oob)
	from, _ = addr.(*net.UnixAddr)
	return k, oobn, flags, from, err
}

func (n *netPacketConn) readMessage(p, oob []byte) (k, oobn, flags int, from net.Addr, err error) {
	m, err := n.next("recvmsg")
	if err != nil {
		return 0, 0, 0, nil, err
	}
	defer m.Release()
	k, oobn, flags = m.copyTo(p, oob)
	return k, oobn, flags, m.FromAddr(), nil
}

// copyTo copies the message, with the results of a recvmsg(2).
func (m Message) copyTo(p, oob []byte) (n, oobn, flags int) {
	n, oobn = copy(p, m.Bytes()), copy(oob, m.control())
	if m.Truncated() || n < m.Len() {
		flags |= int(ring.MsgTrunc)
	}
	if oobn < len(m.control()) {
		flags |= int(ring.MsgCTrunc)
	}
	oobn, cut := m.giveRights(oob, oobn)
	if cut || m.out().Flags&ring.MsgCTrunc != 0 {
		flags |= int(ring.MsgCTrunc)
	}
	return n, oobn, flags
}

// WriteMsgUDP is that of *net.UDPConn: oob has control messages in the form of
// sendmsg(2).
func (n *netPacketConn) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (k, oobn int, err error) {
	return n.writeMessage(p, oob, to)
}

// WriteMsgUDPAddrPort is that of *net.UDPConn.
func (n *netPacketConn) WriteMsgUDPAddrPort(p, oob []byte, to netip.AddrPort) (k, oobn int, err error) {
	d := Datagram{Data: p, control: oob}
	if to.IsValid() {
		d.To = n.conn.destination(to)
	}
	k, err = n.send("sendmsg", d)
	return k, sentControl(oob, err), err
}

// WriteMsgIP is that of *net.IPConn.
func (n *netPacketConn) WriteMsgIP(p, oob []byte, to *net.IPAddr) (k, oobn int, err error) {
	return n.writeMessage(p, oob, to)
}

// WriteMsgUnix is that of *net.UnixConn. Descriptors in oob must stay open until it
// returns; the caller closes them.
func (n *netPacketConn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (k, oobn int, err error) {
	return n.writeMessage(p, oob, to)
}

func (n *netPacketConn) writeMessage(p, oob []byte, to net.Addr) (k, oobn int, err error) {
	d := Datagram{Data: p, control: oob}
	n.conn.direct(&d, to)
	k, err = n.send("sendmsg", d)
	return k, sentControl(oob, err), err
}

func sentControl(oob []byte, err error) int {
	if err != nil {
		return 0
	}
	return len(oob)
}

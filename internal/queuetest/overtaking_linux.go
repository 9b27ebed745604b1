package queuetest

import (
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// silent is an address that answers nobody: its backlog is full.
func (h *harness) silent() *unix.SockaddrInet4 {
	fd := h.socket()
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(h, unix.Listen(fd, 0))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	h.dial(sa.(*unix.SockaddrInet4))
	return sa.(*unix.SockaddrInet4)
}

// unixDatagrams is a Unix datagram socket, and its address.
func (h *harness) unixDatagrams() (fd int, raw []byte, address unix.Sockaddr) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(fd)
	require.NoError(h, unix.Bind(fd, &unix.SockaddrUnix{})) // the kernel chooses one
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	raw = append([]byte{unix.AF_UNIX, 0}, sa.(*unix.SockaddrUnix).Name...)
	raw[2] = 0 // abstract
	h.kept = append(h.kept, raw)
	return fd, raw, sa
}

func (h *harness) message(name []byte, s string) *ring.Msghdr {
	m := ring.Msghdr{Iov: &h.vector(h.text(s))[0], Iovlen: 1}
	if name != nil {
		m.Name, m.Namelen = &name[0], uint32(len(name))
	}
	return h.header(m)
}

// overtaking is about entries that do not wait behind others on the same descriptor.
var overtaking = []testCase{
	{"a connect whose error a receive takes tries again", func(h *harness) {
		for range 4 {
			fd, at := h.socket(), h.refusing()
			h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
			h.entry(2, func(e *ring.SQE) { e.PrepRecv(fd, h.memory(8), 0) })
			h.fails(2, unix.ECONNREFUSED)
			h.fails(1, unix.ECONNREFUSED)
			require.Zero(h, h.InFlight())
		}
	}},
	{"a connect while another is under way is told so", func(h *harness) {
		fd, at := h.socket(), h.silent()
		h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(at)) })
		h.fails(2, unix.EALREADY)
		h.quiet(1)
		h.entry(3, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(3, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"a receive of errors does not wait behind one of messages", func(h *harness) {
		for _, flags := range []uint32{unix.MSG_ERRQUEUE | ring.MsgDontWait, unix.MSG_ERRQUEUE} {
			fd, own := h.udp()
			require.NoError(h, unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1))
			gone, at := h.udp()
			h.close(gone)
			h.sendTo(fd, "who", at)
			h.entry(1, func(e *ring.SQE) { e.PrepRecvmsg(fd, h.message(nil, "........"), 0) })
			h.fails(1, unix.ECONNREFUSED)
			h.entry(2, func(e *ring.SQE) { e.PrepRecvmsg(fd, h.message(nil, "........"), 0) })
			h.quiet(2)
			h.entry(3, func(e *ring.SQE) { e.PrepRecvmsg(fd, h.message(nil, "........"), flags) })
			h.final(3, 3)
			from, _ := h.udp()
			h.sendTo(from, "message", own)
			h.final(2, 7)
		}
	}},
	{"a receive of urgent data does not wait behind one of others", func(h *harness) {
		fd, _ := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(fd, h.memory(8), 0) })
		h.quiet(1)
		for _, flags := range []uint32{unix.MSG_OOB | ring.MsgDontWait, unix.MSG_OOB} {
			h.entry(2, func(e *ring.SQE) { e.PrepRecv(fd, h.memory(8), flags) })
			h.fails(2, unix.EINVAL) // there is none
		}
		h.quiet(1)
	}},
	{"a message that does not wait goes where there is room", func(h *harness) {
		from, _, _ := h.unixDatagrams()
		full, fullName, address := h.unixDatagrams()
		to, name, _ := h.unixDatagrams()
		n := 0
		for ; unix.Sendto(from, []byte("x"), unix.MSG_DONTWAIT, address) == nil; n++ {
		}
		h.entry(1, func(e *ring.SQE) { e.PrepSendmsg(from, h.message(fullName, "last"), 0) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepSendmsg(from, h.message(name, "other"), ring.MsgDontWait) })
		h.final(2, 5)
		require.Equal(h, "other", string(h.read(to, 5)))
		for range n {
			h.read(full, 1)
		}
		h.result(1) // of the kernel's ring see PrepSendmsg
	}},
}

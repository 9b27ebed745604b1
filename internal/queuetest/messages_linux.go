package queuetest

import (
	"bytes"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// udp is a socket on loopback.
func (h *harness) udp() (fd int, addr *unix.SockaddrInet4) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(fd)
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	return fd, sa.(*unix.SockaddrInet4)
}

func (h *harness) sendTo(fd int, p string, to unix.Sockaddr) {
	h.Helper()
	require.NoError(h, unix.Sendto(fd, []byte(p), 0, to))
}

// message takes a buffer of a multishot receive of messages apart.
func (g *group) message(h *harness, c ring.CQE, m ring.Msghdr) (out ring.RecvmsgOut, name, control, payload []byte) {
	h.Helper()
	all := []byte(g.bytes(h, c))
	require.GreaterOrEqual(h, len(all), ring.SizeofRecvmsgOut+int(m.Namelen)+int(m.Controllen))
	out = *(*ring.RecvmsgOut)(unsafe.Pointer(&all[0]))
	all = all[ring.SizeofRecvmsgOut:]
	name, all = all[:m.Namelen], all[m.Namelen:]
	control, payload = all[:m.Controllen], all[m.Controllen:]
	return out, name[:min(out.Namelen, m.Namelen)], control[:out.Controllen], payload
}

var messages = []testCase{
	{"an empty message and the end are received alike", func(h *harness) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[0])
		ours, peer := p[0], p[1]
		g := h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		h.quiet(1)
		for _, s := range []string{"", "", "next", ""} {
			h.sendTo(peer, s, nil)
		}
		c := h.final(1, 0)
		require.Zero(h, c.Flags()&ring.CQEFBuffer, "no buffer was taken")
		h.entry(2, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(8), 0) })
		h.final(2, 0)
		h.entry(3, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		require.Equal(h, "next", g.bytes(h, h.final(3, 4)))
		require.NoError(h, unix.Close(peer))
		for range 3 {
			h.entry(4, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(8), 0) })
			h.final(4, 0)
		}
	}},
	{"an empty message is sent, one that is too large leaves the next", func(h *harness) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[0], p[1])
		h.entry(1, func(e *ring.SQE) { e.PrepSend(p[0], nil, ring.MsgWaitAll|ring.MsgNoSignal) })
		h.final(1, 0)
		h.entry(2, func(e *ring.SQE) { e.PrepSend(p[0], h.memory(16<<20), ring.MsgWaitAll|ring.MsgNoSignal) })
		h.fails(2, unix.EMSGSIZE)
		h.entry(3, func(e *ring.SQE) { e.PrepSend(p[0], h.text("next"), ring.MsgWaitAll|ring.MsgNoSignal) })
		h.final(3, 4)
		got := make([]byte, 8)
		n, err := unix.Read(p[1], got)
		require.NoError(h, err)
		require.Zero(h, n)
		n, err = unix.Read(p[1], got)
		require.NoError(h, err)
		require.Equal(h, "next", string(got[:n]))
	}},
	{"receive a message", func(h *harness) {
		ours, at := h.udp()
		peer, from := h.udp()
		p, name := make([]byte, 8), make([]byte, 32)
		v := &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}
		m := &ring.Msghdr{Iov: v, Iovlen: 1, Name: &name[0], Namelen: uint32(len(name))}
		h.entry(1, func(e *ring.SQE) { e.PrepRecvmsg(ours, m, 0) })
		h.quiet(1)
		h.sendTo(peer, "more than there is room for", at)
		h.final(1, 8)
		require.Equal(h, "more tha", string(p))
		require.Equal(h, rawAddress(from), name[:m.Namelen])
		require.NotZero(h, uint32(m.Flags)&ring.MsgTrunc)
	}},
	{"send a message to an address", func(h *harness) {
		ours, from := h.udp()
		peer, at := h.udp()
		p, name := []byte("to whom it may concern"), rawAddress(at)
		v := &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}
		m := &ring.Msghdr{Iov: v, Iovlen: 1, Name: &name[0], Namelen: uint32(len(name))}
		h.entry(1, func(e *ring.SQE) { e.PrepSendmsg(ours, m, ring.MsgDontWait) })
		h.final(1, len(p))
		got := make([]byte, 64)
		n, sender, err := unix.Recvfrom(peer, got, 0)
		require.NoError(h, err)
		require.Equal(h, string(p), string(got[:n]))
		require.Equal(h, from.Port, sender.(*unix.SockaddrInet4).Port)
	}},
	{"a multishot receives message after message, each with its sender", func(h *harness) {
		ours, at := h.udp()
		g := h.group(8, 128, false)
		m := ring.Msghdr{Namelen: 28}
		given := m
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, &given, groupID, 0) })
		require.NoError(h, h.Enter(0))
		given = ring.Msghdr{} // what it describes was copied
		for _, s := range []string{"one", "two", "three"} {
			peer, from := h.udp()
			h.sendTo(peer, s, at)
			c := h.result(1)
			require.True(h, c.More())
			out, name, _, payload := g.message(h, c, m)
			require.Equal(h, ring.RecvmsgOut{Namelen: 16, Payloadlen: uint32(len(s))}, out)
			require.Equal(h, rawAddress(from), name)
			require.Equal(h, s, string(payload))
		}
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"many messages at once come in their order", func(h *harness) {
		const n = 100
		g := h.group(256, 64, false)
		receive := func(userData uint64, fd int) (got []string) {
			h.entry(userData, func(e *ring.SQE) { e.PrepMultishotRecvmsg(fd, h.header(ring.Msghdr{}), groupID, 0) })
			for range n {
				c := h.result(userData)
				require.True(h, c.More())
				_, _, _, payload := g.message(h, c, ring.Msghdr{})
				got = append(got, string(payload))
			}
			h.quiet(userData)
			return got
		}
		var sent []string
		for i := range n {
			sent = append(sent, string(rune('0'+i)))
		}
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[0], p[1])
		for _, s := range sent {
			h.write(p[1], s)
		}
		require.Equal(h, sent, receive(1, p[0]))
		// With UDP one may overtake another, over loopback too: on another processor.
		ours, at := h.udp()
		peer, _ := h.udp()
		for _, s := range sent {
			h.sendTo(peer, s, at)
		}
		require.ElementsMatch(h, sent, receive(2, ours))
	}},
	{"a message that was cut says so, and its length if asked", func(h *harness) {
		ours, at := h.udp()
		peer, _ := h.udp()
		g := h.group(4, 64, false)
		long := string(bytes.Repeat([]byte("x"), 100))
		m := ring.Msghdr{Namelen: 16}
		for ud, flags := range []uint32{0, ring.MsgTrunc} {
			h.entry(uint64(ud), func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, &m, groupID, flags) })
			h.sendTo(peer, long, at)
			c := h.result(uint64(ud))
			require.EqualValues(h, 64, c.Result())
			out, _, _, payload := g.message(h, c, m)
			require.Len(h, payload, 32)
			require.NotZero(h, out.Flags&ring.MsgTrunc)
			require.EqualValues(h, []int{32, 100}[ud], out.Payloadlen)
			h.entry(9, func(e *ring.SQE) { e.PrepCancel(uint64(ud), 0) })
			h.final(9, 0)
			h.fails(uint64(ud), unix.ECANCELED)
		}
	}},
	{"control messages, and room for them that does not suffice", func(h *harness) {
		ours, at := h.udp()
		peer, _ := h.udp()
		require.NoError(h, unix.SetsockoptInt(ours, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
		g := h.group(4, 256, false)
		for ud, room := range []uintptr{64, 8} {
			m := ring.Msghdr{Namelen: 16, Controllen: room}
			h.entry(uint64(ud), func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, &m, groupID, 0) })
			h.sendTo(peer, "with packet info", at)
			out, _, control, payload := g.message(h, h.result(uint64(ud)), m)
			require.Equal(h, "with packet info", string(payload))
			if ud == 0 {
				list, err := unix.ParseSocketControlMessage(control)
				require.NoError(h, err)
				require.Len(h, list, 1)
				require.EqualValues(h, unix.IP_PKTINFO, list[0].Header.Type)
				require.Zero(h, out.Flags&ring.MsgCTrunc)
			} else {
				require.NotZero(h, out.Flags&ring.MsgCTrunc)
			}
			h.entry(9, func(e *ring.SQE) { e.PrepCancel(uint64(ud), 0) })
			h.final(9, 0)
			h.fails(uint64(ud), unix.ECANCELED)
		}
	}},
	{"an empty message is the last", func(h *harness) {
		ours, at := h.udp()
		peer, from := h.udp()
		g := h.group(2, 64, false)
		m := ring.Msghdr{Namelen: 16}
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, &m, groupID, 0) })
		h.quiet(1)
		h.sendTo(peer, "", at)
		_, name, _, payload := g.message(h, h.final(1, 32), m)
		require.Equal(h, rawAddress(from), name)
		require.Empty(h, payload)
	}},
	{"messages without a buffer end with ENOBUFS, and none is lost", func(h *harness) {
		ours, at := h.udp()
		peer, _ := h.udp()
		g := h.group(1, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0) })
		h.quiet(1)
		h.sendTo(peer, "one", at)
		_, _, _, payload := g.message(h, h.result(1), ring.Msghdr{})
		require.Equal(h, "one", string(payload))
		h.sendTo(peer, "two", at)
		h.fails(1, unix.ENOBUFS)
		g.Add(g.mem[0], 0)
		g.Publish()
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0) })
		_, _, _, payload = g.message(h, h.result(2), ring.Msghdr{})
		require.Equal(h, "two", string(payload))
	}},
	{"messages of an incremental group come one behind the other", func(h *harness) {
		ours, at := h.udp()
		peer, _ := h.udp()
		g := h.group(1, 64, true)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0) })
		h.sendTo(peer, "12345678", at)
		c := h.result(1)
		require.EqualValues(h, 24, c.Result())
		require.NotZero(h, c.Flags()&ring.CQEFBufMore)
		h.sendTo(peer, "abcdefgh", at)
		c = h.result(1)
		require.EqualValues(h, 24, c.Result())
		require.Equal(h, "12345678", string(g.mem[0][16:24]))
		require.Equal(h, "abcdefgh", string(g.mem[0][40:48]))
	}},
	{"bad receives of messages", func(h *harness) {
		ours, at := h.udp()
		peer, _ := h.udp()
		stream, _ := h.pair()
		h.group(4, 32, false)
		h.entry(1, func(e *ring.SQE) {
			e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{Namelen: 16, Controllen: 16}), groupID, 0)
		})
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, ring.MsgWaitAll) })
		h.entry(3, func(e *ring.SQE) {
			e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0)
			fields(e).Flags = 0
		})
		h.entry(4, func(e *ring.SQE) { e.PrepMultishotRecvmsg(1<<20, h.header(ring.Msghdr{}), groupID, 0) })
		h.entry(5, func(e *ring.SQE) { e.PrepMultishotRecvmsg(h.eventfd(), h.header(ring.Msghdr{}), groupID, 0) })
		h.entry(6, func(e *ring.SQE) { e.PrepMultishotRecvmsg(stream, h.header(ring.Msghdr{}), 99, 0) })
		h.entry(7, func(e *ring.SQE) {
			e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{Iovlen: 2, Iov: new(ring.Iovec)}), groupID, 0)
		})
		h.entry(8, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, nil, groupID, 0) })
		h.sendTo(peer, "nobody takes it", at)
		h.fails(1, unix.EFAULT)
		h.fails(2, unix.EINVAL)
		h.fails(3, unix.EINVAL)
		h.fails(4, unix.EBADF)
		h.fails(5, unix.ENOTSOCK)
		h.fails(6, unix.ENOBUFS)
		h.fails(7, unix.EINVAL)
		h.fails(8, unix.EFAULT)
	}},
	{"an error that a peer's refusal left ends a multishot", func(h *harness) {
		ours, _ := h.udp()
		other, at := h.udp()
		require.NoError(h, unix.Connect(ours, at))
		// It takes messages from elsewhere only, and nobody else gets its port meanwhile.
		_, elsewhere := h.udp()
		require.NoError(h, unix.Connect(other, elsewhere))
		h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0) })
		h.quiet(1)
		h.write(ours, "anybody there?")
		h.fails(1, unix.ECONNREFUSED)
	}},
	{"the end of a stream of messages", func(h *harness) {
		ours, peer := h.pair()
		g := h.group(4, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecvmsg(ours, h.header(ring.Msghdr{}), groupID, 0) })
		h.write(peer, "last words")
		_, _, _, payload := g.message(h, h.result(1), ring.Msghdr{})
		require.Equal(h, "last words", string(payload))
		h.close(peer)
		h.final(1, ring.SizeofRecvmsgOut)
	}},
	{"a full Unix datagram socket is EAGAIN to who does not wait, and takes more later", func(h *harness) {
		name := &unix.SockaddrUnix{} // the kernel chooses one
		var fds [2]int
		for i := range fds {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(h, err)
			h.owned(fd)
			fds[i] = fd
		}
		require.NoError(h, unix.Bind(fds[1], name))
		sa, err := unix.Getsockname(fds[1])
		require.NoError(h, err)
		full := 0
		for unix.Sendto(fds[0], []byte("x"), unix.MSG_DONTWAIT, sa) == nil {
			full++
		}
		path := []byte(sa.(*unix.SockaddrUnix).Name)
		address := append([]byte{unix.AF_UNIX, 0}, path...)
		address[2] = 0 // abstract
		p := []byte("last")
		v := &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}
		m := &ring.Msghdr{Iov: v, Iovlen: 1, Name: &address[0], Namelen: uint32(len(address))}
		send := func(e *ring.SQE) { e.PrepSendmsg(fds[0], m, ring.MsgDontWait) }
		h.entry(1, send)
		h.fails(1, unix.EAGAIN)
		got := make([]byte, 8)
		for range full {
			_, err := unix.Read(fds[1], got)
			require.NoError(h, err)
		}
		h.entry(2, send)
		h.final(2, 4)
		n, err := unix.Read(fds[1], got)
		require.NoError(h, err)
		require.Equal(h, "last", string(got[:n]))
	}},
}

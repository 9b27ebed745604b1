package queuetest

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var basics = []testCase{
	{"nop", func(h *harness) {
		h.entry(42, (*ring.SQE).PrepNop)
		require.Equal(h, 1, h.InFlight())
		h.final(42, 0)
		require.Zero(h, h.InFlight())
	}},
	{"completions come in order and none is lost when both queues overflow", func(h *harness) {
		const n = 20000
		for i := range n {
			h.entry(uint64(i), (*ring.SQE).PrepNop)
		}
		require.NoError(h, h.Enter(0))
		var got []uint64
		var some [100]ring.CQE
		for len(got) < n {
			k := h.Reap(some[:])
			for _, c := range some[:k] {
				got = append(got, c.UserData())
			}
			if k == 0 {
				require.NoError(h, h.Enter(patience))
			}
		}
		require.True(h, slices.IsSorted(got))
		require.Zero(h, h.InFlight())
		require.Equal(h, uint64(n), h.Stats().Submitted)
		require.Equal(h, uint64(n), h.Stats().Completed)
		require.NotZero(h, h.Stats().Overflows)
	}},
	{"nothing completes inside Next or without Enter", func(h *harness) {
		h.entry(1, (*ring.SQE).PrepNop)
		var some [1]ring.CQE
		require.Zero(h, h.Reap(some[:]))
		h.final(1, 0)
	}},
	{"reserve", func(h *harness) {
		require.NoError(h, h.Reserve(4))
		require.Error(h, h.Reserve(1<<20))
		require.Error(h, h.Reserve(-1))
	}},
	{"a limit that passes is no error", func(h *harness) {
		require.NoError(h, h.Enter(time.Millisecond))
		require.NoError(h, h.Enter(0))
		var some [1]ring.CQE
		require.Zero(h, h.Reap(some[:]))
	}},
	{"a wait that holds the processor ends as any other", func(h *harness) {
		for _, hold := range []bool{true, false} {
			h.Hold(hold)
			require.NoError(h, h.Enter(time.Millisecond), "the limit")
			limit := ring.NewTimespec(time.Millisecond)
			h.entry(1, func(e *ring.SQE) { e.PrepTimeout(&limit, 0, 0) })
			h.fails(1, unix.ETIME)
			a, b := h.pair()
			h.entry(2, func(e *ring.SQE) { e.PrepRecv(a, h.memory(8), 0) })
			require.NoError(h, h.Enter(0))
			h.write(b, "late")
			require.NoError(h, h.Enter(ring.Forever))
			h.final(2, 4)
		}
	}},
	{"bad entries", func(h *harness) {
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepOperation(250, -1, 0, 0, 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepRecv(1<<20, h.memory(8), 0) })
		h.entry(3, func(e *ring.SQE) { e.PrepRecv(h.eventfd(), h.memory(8), 0) })
		h.entry(4, func(e *ring.SQE) { e.PrepRecvProvided(ours, 99, 0) })
		h.entry(5, func(e *ring.SQE) { e.PrepMultishotAccept(ours, 0) })
		h.fails(1, unix.EINVAL)
		h.fails(2, unix.EBADF)
		h.fails(3, unix.ENOTSOCK)
		h.fails(4, unix.ENOBUFS)
		h.fails(5, unix.EINVAL)
	}},
}

var streams = []testCase{
	{"receive what is there", func(h *harness) {
		ours, peer := h.pair()
		h.write(peer, "hello")
		p := make([]byte, 16)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
		h.final(1, 5)
		require.Equal(h, "hello", string(p[:5]))
	}},
	{"receive what comes later", func(h *harness) {
		ours, peer := h.tcpPair()
		p := make([]byte, 16)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
		h.quiet(1)
		h.write(peer, "later")
		h.final(1, 5)
		require.Equal(h, "later", string(p[:5]))
	}},
	{"peek leaves the data", func(h *harness) {
		ours, peer := h.pair()
		h.write(peer, "abc")
		p := make([]byte, 3)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, ring.MsgPeek) })
		h.final(1, 3)
		h.entry(2, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
		h.final(2, 3)
	}},
	{"receive with MSG_WAITALL waits for all", func(h *harness) {
		ours, peer := h.tcpPair()
		p := make([]byte, 6)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, ring.MsgWaitAll) })
		h.write(peer, "abc")
		h.quiet(1)
		h.write(peer, "def")
		h.final(1, 6)
		require.Equal(h, "abcdef", string(p))
	}},
	{"MSG_DONTWAIT does not wait", func(h *harness) {
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), ring.MsgDontWait) })
		h.fails(1, unix.EAGAIN)
	}},
	{"the end of the stream is 0", func(h *harness) {
		ours, peer := h.tcpPair()
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		h.final(1, 0)
	}},
	{"a reset is an error", func(h *harness) {
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		h.quiet(1)
		h.reset(peer)
		h.fails(1, unix.ECONNRESET)
	}},
	{"of several receives on one descriptor each gets its byte", func(h *harness) {
		// Which of them gets which the kernel leaves open.
		ours, peer := h.tcpPair()
		var p [20][1]byte
		for i := range p {
			h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p[i][:], 0) })
		}
		h.quiet(1)
		var want, got []byte
		for i := range p {
			want = append(want, byte('a'+i))
			h.write(peer, string(rune('a'+i)))
			h.final(1, 1)
		}
		for i := range p {
			got = append(got, p[i][0])
		}
		require.ElementsMatch(h, want, got)
	}},
	{"a large send with MSG_WAITALL goes out whole, others behind it", func(h *harness) {
		ours, peer := h.tcpPair()
		// Left to itself the kernel makes buffers that hold it all, if the machine is slow.
		require.NoError(h, unix.SetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<16))
		require.NoError(h, unix.SetsockoptInt(peer, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16))
		large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
		const flags = ring.MsgWaitAll | ring.MsgNoSignal
		h.entry(1, func(e *ring.SQE) { e.PrepSend(ours, large, flags); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepSend(ours, h.text("tail"), flags) })
		h.quiet(1)
		got := make(chan []byte)
		go func() { got <- h.read(peer, len(large)+4) }()
		h.final(1, len(large))
		h.final(2, 4)
		all := <-got
		require.True(h, bytes.Equal(large, all[:len(large)]))
		require.Equal(h, "tail", string(all[len(large):]))
	}},
	{"a vector is sent in its order", func(h *harness) {
		ours, peer := h.pair()
		parts := [][]byte{[]byte("one "), []byte("two "), []byte("three")}
		m, vector := &ring.Msghdr{}, make([]ring.Iovec, len(parts))
		for i, p := range parts {
			vector[i] = ring.Iovec{Base: &p[0], Len: uintptr(len(p))}
		}
		m.Iov, m.Iovlen = &vector[0], uintptr(len(vector))
		h.entry(1, func(e *ring.SQE) { e.PrepSendmsg(ours, m, ring.MsgWaitAll|ring.MsgNoSignal) })
		require.NoError(h, h.Enter(0))
		*m = ring.Msghdr{} // header and vector were copied
		clear(vector)
		h.final(1, 13)
		require.Equal(h, "one two three", string(h.read(peer, 13)))
	}},
	{"descriptors come with a message", func(h *harness) {
		ours, peer := h.pair()
		passed := h.eventfd()
		p, control := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
		v := &ring.Iovec{Base: &p[0], Len: uintptr(len(p))}
		m := &ring.Msghdr{Iov: v, Iovlen: 1, Control: &control[0], Controllen: uintptr(len(control))}
		h.entry(1, func(e *ring.SQE) { e.PrepRecvmsg(ours, m, ring.MsgCMsgCloexec) })
		h.quiet(1)
		rights := unix.UnixRights(passed)
		w := &ring.Iovec{Base: &h.text("with it")[0], Len: 7}
		h.entry(2, func(e *ring.SQE) {
			e.PrepSendmsg(peer, h.header(ring.Msghdr{Iov: w, Iovlen: 1, Control: &rights[0], Controllen: uintptr(len(rights))}), ring.MsgWaitAll)
		})
		h.final(2, 7)
		h.final(1, 7)
		require.Equal(h, "with it", string(p[:7]))
		require.Zero(h, uint32(m.Flags)&ring.MsgCTrunc)
		messages, err := unix.ParseSocketControlMessage(control[:m.Controllen])
		require.NoError(h, err)
		require.Len(h, messages, 1)
		fds, err := unix.ParseUnixRights(&messages[0])
		require.NoError(h, err)
		h.owned(fds...)
		flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
		require.NoError(h, err)
		require.NotZero(h, flags&unix.FD_CLOEXEC)
	}},
	{"sending to a closed peer is EPIPE and no signal", func(h *harness) {
		ours, peer := h.pair()
		h.close(peer)
		h.entry(1, func(e *ring.SQE) { e.PrepSend(ours, h.text("x"), 0) })
		h.fails(1, unix.EPIPE)
	}},
	{"shutdown", func(h *harness) {
		ours, peer := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepShutdown(ours, unix.SHUT_WR) })
		h.final(1, 0)
		n, err := unix.Read(peer, make([]byte, 1))
		require.NoError(h, err)
		require.Zero(h, n)
	}},
	{"read and write pipes and eventfds", func(h *harness) {
		var p [2]int
		require.NoError(h, unix.Pipe2(p[:], unix.O_CLOEXEC))
		h.owned(p[0], p[1])
		buf := make([]byte, 8)
		h.entry(1, func(e *ring.SQE) { e.PrepRead(p[0], buf) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepWrite(p[1], h.text("pipe")) })
		h.final(2, 4)
		h.final(1, 4)
		require.Equal(h, "pipe", string(buf[:4]))

		fd := h.eventfd()
		h.entry(3, func(e *ring.SQE) { e.PrepRead(fd, buf) })
		h.quiet(3)
		h.entry(4, func(e *ring.SQE) { e.PrepWrite(fd, h.text("\x01\x00\x00\x00\x00\x00\x00\x00")) })
		h.final(4, 8)
		h.final(3, 8)
		require.Equal(h, byte(1), buf[0])
	}},
	{"at an offset, a pipe ignores it and a socket refuses it", func(h *harness) {
		var p [2]int
		require.NoError(h, unix.Pipe2(p[:], unix.O_CLOEXEC))
		h.owned(p[0], p[1])
		buf := h.memory(8)
		h.entry(1, func(e *ring.SQE) { e.PrepWriteAt(p[1], h.text("pipe"), 3) })
		h.final(1, 4)
		h.entry(2, func(e *ring.SQE) { e.PrepReadAt(p[0], buf, 3) })
		h.final(2, 4)

		a, b := h.pair()
		h.write(b, "data")
		h.entry(3, func(e *ring.SQE) { e.PrepReadAt(a, buf, 3) })
		h.fails(3, unix.ESPIPE)
		h.entry(4, func(e *ring.SQE) { e.PrepWriteAt(a, h.text("more"), 3) })
		h.fails(4, unix.ESPIPE)
		h.entry(5, func(e *ring.SQE) { e.PrepReadAt(a, buf, 0) })
		h.final(5, 4)
		h.entry(6, func(e *ring.SQE) { e.PrepWriteAt(a, h.text("more"), 0) })
		h.final(6, 4)
		require.Equal(h, "more", string(h.read(b, 4)))
	}},
}

// reset closes a socket so that its peer is sent a reset.
func (h *harness) reset(fd int) {
	require.NoError(h, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	h.close(fd)
}

// close closes a descriptor that the harness owned.
func (h *harness) close(fd int) {
	h.disown(fd)
	require.NoError(h, unix.Close(fd))
}

// disown leaves a descriptor to somebody else to close.
func (h *harness) disown(fd int) {
	i := slices.Index(h.fds, fd)
	require.GreaterOrEqual(h, i, 0)
	h.fds = slices.Delete(h.fds, i, i+1)
}

var socketOptions = []testCase{
	{"a socket option is set and read", func(h *harness) {
		fd := h.socket()
		if !h.supports(ring.FeatureSocketOptions) { // before Linux 6.7
			want := unix.EOPNOTSUPP
			if !h.supports(ring.OpUringCmd.String()) {
				want = unix.EINVAL
			}
			h.refused(want, func(e *ring.SQE) { e.PrepGetSocketOption(fd, unix.SOL_SOCKET, unix.SO_TYPE, h.memory(4)) })
			return
		}
		on, value := h.text("\x01\x00\x00\x00"), h.memory(4)
		h.entry(1, func(e *ring.SQE) { e.PrepSetSocketOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, on) }).SetFlags(ring.SQELink)
		h.entry(2, func(e *ring.SQE) { e.PrepGetSocketOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, value) })
		h.final(1, 0)
		h.final(2, 4)
		require.Equal(h, on, value)
		h.do(0, func(e *ring.SQE) {
			e.PrepSetSocketOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, h.text("\x01\x00\x00\x00"))
		})
		n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		require.NoError(h, err)
		require.Equal(h, 1, n)
		h.refused(unix.EOPNOTSUPP, func(e *ring.SQE) {
			e.PrepGetSocketOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, h.memory(4))
		})
		h.refused(unix.EOPNOTSUPP, func(e *ring.SQE) {
			e.PrepGetSocketOption(h.what(regular), unix.SOL_SOCKET, unix.SO_TYPE, h.memory(4))
		})
		h.refused(unix.EINVAL, func(e *ring.SQE) {
			e.PrepGetSocketOption(fd, unix.SOL_SOCKET, unix.SO_TYPE, h.memory(4))
			fields(e).Off |= 1 << 32
		})
		h.table(1)
		_, err = h.UpdateFiles(0, []int32{int32(fd)})
		require.NoError(h, err)
		h.do(4, func(e *ring.SQE) { e.PrepGetSocketOption(0, unix.SOL_SOCKET, unix.SO_TYPE, h.memory(4)); slot(e) })
	}},
}

var buffers = []testCase{
	{"a receive picks a provided buffer", func(h *harness) {
		ours, peer := h.pair()
		g := h.group(2, 64, false)
		h.write(peer, "first")
		h.entry(1, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		require.Equal(h, "first", g.bytes(h, h.final(1, 5)))
	}},
	{"a buffer in a local variable stays where it is", func(h *harness) {
		ours, peer := h.pair()
		r, err := ring.NewBufferRing(1)
		require.NoError(h, err)
		require.NoError(h, h.RegisterBufferRing(groupID, r))
		var p [64]byte
		r.Add(p[:], 0)
		r.Publish()
		growStack(1 << 12)
		h.write(peer, "first")
		h.entry(1, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		h.final(1, 5)
		require.Equal(h, "first", string(p[:5]))
	}},
	{"a multishot receive goes on until the end", func(h *harness) {
		ours, peer := h.tcpPair()
		g := h.group(8, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		for _, s := range []string{"one", "two", "three"} {
			h.write(peer, s)
			c := h.result(1)
			require.True(h, c.More())
			require.Equal(h, s, g.bytes(h, c))
		}
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		c := h.final(1, 0)
		require.Zero(h, c.Flags()&ring.CQEFBuffer, "the end takes no buffer")
		require.Zero(h, h.InFlight())
	}},
	{"a read picks a provided buffer, at the end too", func(h *harness) {
		var p [2]int
		require.NoError(h, unix.Pipe2(p[:], unix.O_CLOEXEC))
		h.owned(p[0])
		g := h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepReadProvided(p[0], groupID) })
		h.quiet(1)
		h.write(p[1], "piped")
		require.Equal(h, "piped", g.bytes(h, h.final(1, 5)))
		require.NoError(h, unix.Close(p[1]))
		h.entry(2, func(e *ring.SQE) { e.PrepReadProvided(p[0], groupID) })
		c := h.final(2, 0)
		require.NotZero(h, c.Flags()&ring.CQEFBuffer)
	}},
	{"an empty group ends a multishot with ENOBUFS, and it can be armed again", func(h *harness) {
		ours, peer := h.tcpPair()
		g := h.group(1, 4, false)
		h.write(peer, "abcdefgh")
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		c := h.result(1)
		require.Equal(h, "abcd", g.bytes(h, c))
		h.fails(1, unix.ENOBUFS)
		g.Add(g.mem[0], 0)
		g.Publish()
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		require.Equal(h, "efgh", g.bytes(h, h.result(2)))
	}},
	{"an incremental buffer is consumed piece by piece", func(h *harness) {
		ours, peer := h.tcpPair()
		g := h.group(1, 8, true)
		h.write(peer, "abc")
		h.entry(1, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		c := h.final(1, 3)
		require.NotZero(h, c.Flags()&ring.CQEFBufMore, "five bytes are left")
		h.write(peer, "defgh")
		h.entry(2, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		c = h.final(2, 5)
		require.Zero(h, c.Flags()&ring.CQEFBufMore, "nothing is left")
		require.Equal(h, "abcdefgh", string(g.mem[0]))
	}},
	{"a read that waits takes no more than the buffer that it saw first had", func(h *harness) {
		r, w := h.pipe()
		ours, peer := h.pair()
		g := h.group(2, 8, true)
		h.write(peer, "abcde")
		h.entry(1, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		h.final(1, 5) // three bytes are left
		h.entry(2, func(e *ring.SQE) { e.PrepReadProvided(r, groupID) })
		h.quiet(2)
		h.write(peer, "fgh")
		h.entry(3, func(e *ring.SQE) { e.PrepRecvProvided(ours, groupID, 0) })
		h.final(3, 3)
		h.write(w, "123456")
		require.Equal(h, "123", g.bytes(h, h.final(2, 3)))
	}},
	{"a group needs a ring", func(h *harness) {
		require.ErrorIs(h, h.RegisterBufferRing(1, nil), unix.EINVAL)
		require.ErrorIs(h, h.RegisterBufferRing(1, new(ring.BufferRing)), unix.EINVAL)
		require.ErrorIs(h, h.UnregisterBufferRing(1), unix.ENOENT)
	}},
	{"a group cannot be registered twice, nor unregistered when it is not", func(h *harness) {
		h.group(1, 8, false)
		r, err := ring.NewBufferRing(1)
		require.NoError(h, err)
		require.ErrorIs(h, h.RegisterBufferRing(groupID, r), unix.EEXIST)
		require.NoError(h, h.UnregisterBufferRing(groupID))
		require.ErrorIs(h, h.UnregisterBufferRing(groupID), unix.ENOENT)
		require.NoError(h, h.RegisterBufferRing(groupID, r))
	}},
}

var accepts = []testCase{
	{"accept one", func(h *harness) {
		ln, addr := h.listener()
		h.entry(1, func(e *ring.SQE) { e.PrepAccept(ln, unix.SOCK_CLOEXEC) })
		h.quiet(1)
		peer := h.dial(addr)
		c := h.result(1)
		require.False(h, c.More())
		require.NoError(h, errnoOf(c))
		h.owned(int(c.Result()))
		h.write(peer, "hi")
		require.Equal(h, "hi", string(h.read(int(c.Result()), 2)))
		flags, err := unix.FcntlInt(uintptr(c.Result()), unix.F_GETFD, 0)
		require.NoError(h, err)
		require.NotZero(h, flags&unix.FD_CLOEXEC)
	}},
	{"a multishot accepts one after the other", func(h *harness) {
		ln, addr := h.listener()
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotAccept(ln, unix.SOCK_CLOEXEC) })
		for range 10 {
			h.dial(addr)
			c := h.result(1)
			require.NoError(h, errnoOf(c))
			require.True(h, c.More())
			h.owned(int(c.Result()))
		}
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"connect", func(h *harness) {
		_, addr := h.listener()
		fd := h.socket()
		h.entry(1, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(addr)) })
		h.final(1, 0)
		other, nobody := h.socket(), h.refusing()
		h.entry(2, func(e *ring.SQE) { e.PrepConnect(other, rawAddress(nobody)) })
		h.fails(2, unix.ECONNREFUSED)
	}},
}

var polls = []testCase{
	{"a poll sees what a receive takes", func(h *harness) {
		ours, peer := h.tcpPair()
		p, sent := h.memory(8), h.text("to both.")
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollIn) })
		h.quiet(2)
		h.entry(3, func(e *ring.SQE) { e.PrepSend(peer, sent, ring.MsgNoSignal) })
		h.final(3, 8)
		h.final(1, 8)
		h.final(2, int(ring.PollIn))
	}},
	{"poll once", func(h *harness) {
		fd := h.eventfd()
		h.entry(1, func(e *ring.SQE) { e.PrepPoll(fd, ring.PollIn) })
		h.quiet(1)
		h.write(fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
		h.final(1, int(ring.PollIn))
	}},
	{"poll again and again", func(h *harness) {
		fd := h.eventfd()
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotPoll(fd, ring.PollIn) })
		for range 3 {
			h.write(fd, "\x01\x00\x00\x00\x00\x00\x00\x00")
			c := h.result(1)
			require.Equal(h, int32(ring.PollIn), c.Result())
			require.True(h, c.More())
			h.read(fd, 8)
		}
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"a poll for nothing tells of a hangup", func(h *harness) {
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollHup|ring.PollErr) })
		h.write(peer, "data is not what it waits for")
		h.quiet(1)
		h.reset(peer)
		c := h.result(1)
		require.NotZero(h, uint32(c.Result())&ring.PollHup)
	}},
}

var timeouts = []testCase{
	{"a timeout ends with ETIME", func(h *harness) {
		h.entry(1, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Millisecond), 0, 0) })
		h.fails(1, unix.ETIME)
	}},
	{"a timeout with a count ends with that many completions", func(h *harness) {
		h.entry(1, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Hour), 2, 0) })
		h.quiet(1 << 41)
		h.final(1, 0)
	}},
	{"a timeout with the largest count waits", func(h *harness) {
		for _, count := range []uint32{math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32} {
			h.entry(1, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Hour), count, 0) })
			h.quiet(1)
			h.entry(2, func(e *ring.SQE) { e.PrepTimeoutRemove(1) })
			h.final(2, 0)
			h.fails(1, unix.ECANCELED)
		}
	}},
	{"a timeout can be removed", func(h *harness) {
		h.entry(1, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Hour), 0, 0) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepTimeoutRemove(1) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
		h.entry(3, func(e *ring.SQE) { e.PrepTimeoutRemove(1) })
		h.fails(3, unix.ENOENT)
	}},
	{"a timeout fires again and again, as often as it says", func(h *harness) {
		again := func(e *ring.SQE) { e.PrepTimeout(h.after(time.Millisecond), 3, ring.TimeoutMultishot) }
		if h.kernelBefore(6, 4) {
			h.refused(unix.EINVAL, again)
			return
		}
		h.entry(1, again)
		for range 2 {
			c := h.result(1)
			require.Equal(h, unix.ETIME, errnoOf(c))
			require.True(h, c.More())
		}
		h.fails(1, unix.ETIME)
	}},
	{"timeouts end in the order of their times", func(h *harness) {
		for start := time.Now(); ; {
			begun := time.Now()
			for _, d := range []time.Duration{3, 1, 2} {
				h.entry(uint64(d), func(e *ring.SQE) { e.PrepTimeout(h.after(d*2*time.Millisecond), 0, 0) })
			}
			require.NoError(h, h.Enter(0))
			// Each counts from when the queue takes it. If the thread has stood still between
			// two of them, their times may be in another order.
			together := time.Since(begun) < 2*time.Millisecond
			var order []uint64
			for len(order) < 3 {
				require.NoError(h, h.Enter(patience))
				var c [1]ring.CQE
				for h.Reap(c[:]) > 0 {
					order = append(order, c[0].UserData())
				}
			}
			if h.kernelBefore(6, 12) { // seen on 6.1: of those that are over together the last comes first
				slices.Sort(order)
			}
			if together {
				require.Equal(h, []uint64{1, 2, 3}, order)
				return
			}
			require.Less(h, time.Since(start), patience, "the thread has stood still each time")
		}
	}},
}

func (h *harness) after(d time.Duration) *ring.Timespec {
	t := ring.NewTimespec(d)
	h.kept = append(h.kept, &t)
	return &t
}

var links = []testCase{
	{"a link waits for the one before", func(h *harness) {
		ours, peer := h.pair()
		p := make([]byte, 1)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0); e.SetFlags(ring.SQELink) })
		h.entry(2, (*ring.SQE).PrepNop)
		h.quiet(2)
		h.write(peer, "x")
		h.final(1, 1)
		h.final(2, 0)
	}},
	{"a failure breaks the rest of a chain", func(h *harness) {
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(1<<20, h.memory(1), 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepNop(); e.SetFlags(ring.SQELink) })
		h.entry(3, (*ring.SQE).PrepNop)
		h.entry(4, (*ring.SQE).PrepNop)
		h.fails(1, unix.EBADF)
		h.fails(2, unix.ECANCELED)
		h.fails(3, unix.ECANCELED)
		h.final(4, 0)
	}},
	{"a hard link does not break", func(h *harness) {
		h.entry(1, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Millisecond), 0, 0); e.SetFlags(ring.SQEHardLink) })
		h.entry(2, (*ring.SQE).PrepNop)
		h.fails(1, unix.ETIME)
		h.final(2, 0)
	}},
	{"a short receive breaks a link under MSG_WAITALL", func(h *harness) {
		ours, peer := h.tcpPair()
		h.write(peer, "ab")
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		h.entry(1, func(e *ring.SQE) {
			e.PrepRecv(ours, h.memory(4), ring.MsgWaitAll)
			e.SetFlags(ring.SQELink)
		})
		h.entry(2, (*ring.SQE).PrepNop)
		h.final(1, 2)
		h.fails(2, unix.ECANCELED)
	}},
	{"a link timeout ends what takes too long", func(h *harness) {
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepLinkTimeout(h.after(time.Millisecond), 0) })
		h.fails(1, unix.ECANCELED)
		h.fails(2, unix.ETIME)
	}},
	{"a link timeout that is not needed is canceled", func(h *harness) {
		ours, peer := h.pair()
		h.write(peer, "x")
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepLinkTimeout(h.after(time.Hour), 0) })
		h.final(1, 1)
		h.fails(2, unix.ECANCELED)
	}},
}

var cancels = []testCase{
	{"cancel by user data", func(h *harness) {
		ours, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
		h.entry(3, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.fails(3, unix.ENOENT)
	}},
	{"cancel every match counts them", func(h *harness) {
		ours, _ := h.pair()
		for range 3 {
			h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		}
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, ring.CancelAll) })
		h.final(2, 3)
		for range 3 {
			h.fails(1, unix.ECANCELED)
		}
	}},
	{"cancel by descriptor", func(h *harness) {
		ours, _ := h.pair()
		other, _ := h.pair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollHup) })
		h.entry(3, func(e *ring.SQE) { e.PrepRecv(other, h.memory(1), 0) })
		h.quiet(1)
		h.entry(4, func(e *ring.SQE) { e.PrepCancelFD(ours, ring.CancelAll) })
		h.final(4, 2)
		h.fails(1, unix.ECANCELED)
		h.fails(2, unix.ECANCELED)
		h.quiet(3)
	}},
	{"cancel by a descriptor that stands for no file, or for a name only", func(h *harness) {
		name, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(name)
		for _, fd := range []int{1 << 20, name} {
			h.entry(1, func(e *ring.SQE) { e.PrepCancelFD(fd, 0) })
			h.fails(1, unix.EBADF)
			h.entry(2, func(e *ring.SQE) { e.PrepCancelFD(fd, ring.CancelAll) })
			h.fails(2, unix.EBADF)
		}
	}},
	{"cancel everything", func(h *harness) {
		ours, _ := h.pair()
		ln, _ := h.listener()
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, h.memory(1), 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotAccept(ln, 0) })
		h.entry(3, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Hour), 0, 0) })
		h.quiet(1)
		h.entry(4, (*ring.SQE).PrepCancelAny)
		h.final(4, 3)
		for ud := range uint64(3) {
			h.fails(ud+1, unix.ECANCELED)
		}
	}},
	{"a canceled multishot receive ends once, its data delivered", func(h *harness) {
		ours, peer := h.tcpPair()
		g := h.group(4, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		h.write(peer, "data")
		require.Equal(h, "data", g.bytes(h, h.result(1)))
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		h.fails(1, unix.ECANCELED)
	}},
	{"a multishot receive that always has more to do can be canceled", func(h *harness) {
		ours, peer := h.tcpPair()
		g := h.group(256, 16, false)
		h.write(peer, strings.Repeat("more", 4*240)) // fewer than the completion queue takes: before 6.8 they come in one turn
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		for range 3 {
			require.Equal(h, "more", g.bytes(h, h.result(1))[:4])
			require.NoError(h, h.Enter(0))
		}
		h.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.final(2, 0)
		for c := h.result(1); c.Result() != -int32(unix.ECANCELED); c = h.result(1) {
			require.True(h, c.More(), "%v", errnoOf(c))
		}
	}},
}

var endings = []testCase{
	{"close a descriptor", func(h *harness) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[1])
		h.entry(1, func(e *ring.SQE) { e.PrepClose(p[0]) })
		h.final(1, 0)
		n, err := unix.Read(p[1], make([]byte, 1))
		require.NoError(h, err)
		require.Zero(h, n)
		h.entry(2, func(e *ring.SQE) { e.PrepClose(1 << 20) })
		h.fails(2, unix.EBADF)
	}},
	{"what is in flight outlives the closing of its descriptor", func(h *harness) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[1])
		buf := make([]byte, 8)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(p[0], buf, 0) })
		h.quiet(1)
		h.entry(2, func(e *ring.SQE) { e.PrepClose(p[0]) })
		h.final(2, 0)
		// The number is given out again; the receive is not the new file's.
		peer := h.pairAt(p[0])
		h.write(peer, "for the new file")
		h.quiet(1)
		h.write(p[1], "old")
		h.final(1, 3)
		require.Equal(h, "old", string(buf[:3]))
		h.entry(3, func(e *ring.SQE) { e.PrepRecv(p[0], buf, 0) })
		h.final(3, 8)
	}},
	{"a number used again has its own events", func(h *harness) {
		for range 20 {
			ln, addr := h.listener()
			peer := h.dial(addr)
			fd, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
			require.NoError(h, err)
			h.entry(1, func(e *ring.SQE) { e.PrepRecv(fd, h.memory(8), 0) })
			h.quiet(1)
			h.write(peer, "x")
			h.final(1, 1)
			h.entry(2, func(e *ring.SQE) { e.PrepClose(fd) })
			h.final(2, 0)
			h.close(peer)
			h.close(ln)
		}
	}},
	{"a number used again tells a poll nothing of the file before, which lives on", func(h *harness) {
		old, writer := h.pipe()
		for _, prepare := range []func(*ring.SQE, int, uint32){(*ring.SQE).PrepPoll, (*ring.SQE).PrepMultishotPoll} {
			number, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
			require.NoError(h, err)
			h.owned(number)
			h.entry(1, func(e *ring.SQE) { e.PrepPoll(number, ring.PollIn) })
			h.quiet(1)
			h.write(writer, "x")
			h.final(1, int(ring.PollIn))
			h.read(old, 1)
			now, nowWriter := h.pipe()
			require.NoError(h, unix.Dup3(now, number, unix.O_CLOEXEC))
			h.entry(2, func(e *ring.SQE) { prepare(e, number, ring.PollIn) })
			h.write(writer, "x")
			require.NoError(h, h.Enter(time.Millisecond))
			h.quiet(2)
			h.read(old, 1)
			h.write(nowWriter, "x")
			c := h.result(2)
			require.EqualValues(h, ring.PollIn, c.Result())
		}
	}},
	{"what is in flight outlives the closing of its descriptor, though no other is left", func(h *harness) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(h, err)
		h.owned(p[1])
		buf := make([]byte, 8)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(p[0], buf, 0) })
		h.quiet(1)
		h.withoutNumbers(func() {
			h.entry(3, func(e *ring.SQE) { e.PrepClose(p[0]) })
			h.entry(4, func(e *ring.SQE) { e.PrepRecv(p[0], h.memory(1), 0) })
			h.final(3, 0)
			h.fails(4, unix.EBADF)
		})
		h.entry(5, func(e *ring.SQE) { e.PrepClose(p[0]) })
		h.fails(5, unix.EBADF)
		h.write(p[1], "old")
		h.final(1, 3)
		require.Equal(h, "old", string(buf[:3]))
		h.quiet(1)
		_, err = unix.Write(p[1], []byte("x"))
		require.Equal(h, unix.EPIPE, err, "it is closed with the receive")
	}},
	{"closing the queue ends everything of every kind", func(h *harness) {
		ours, _ := h.tcpPair()
		full, _ := h.tcpPair()
		ln, addr := h.listener()
		h.group(2, 64, false)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, groupID, 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotAccept(ln, unix.SOCK_CLOEXEC) })
		h.entry(3, func(e *ring.SQE) { e.PrepTimeout(h.after(time.Hour), 0, 0) })
		h.entry(4, func(e *ring.SQE) { e.PrepMultishotPoll(h.eventfd(), ring.PollIn) })
		h.entry(5, func(e *ring.SQE) { e.PrepSend(full, h.memory(16<<20), ring.MsgWaitAll|ring.MsgNoSignal) })
		h.entry(6, func(e *ring.SQE) { e.PrepRead(h.eventfd(), h.memory(8)) })
		require.NoError(h, h.Enter(0))
		for range 3 {
			h.dial(addr) // accepted, and never reaped
		}
		require.NoError(h, h.Enter(0))
		// run closes the queue and then counts descriptors.
	}},
}

// growStack has the stack grow, which moves it.
//
//go:noinline
func growStack(calls int) byte {
	var p [512]byte
	if calls > 0 {
		p[calls%len(p)] = growStack(calls - 1)
	}
	return p[0]
}

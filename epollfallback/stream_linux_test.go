package epollfallback

import (
	"bytes"
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The edge of a FIN that is there with the data is spent when the data is read:
// a short receive must not count as the end of what there is.
func TestEndBehindAShortReceive(t *testing.T) {
	for network, connect := range map[string]func(testing.TB) (int, int){"unix": pair, "tcp": tcpPair} {
		t.Run(network, func(t *testing.T) {
			b := open(t)
			ours, peer := connect(t)
			provide(t, b, 1, 8, 64)
			b.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, 1, 0) })
			b.quiet()
			write(t, peer, "hello")
			b.expect(1, 5)
			write(t, peer, "world")
			unix.Shutdown(peer, unix.SHUT_WR)
			arrived(t, ours, unix.POLLRDHUP)
			require.True(t, mustMore(b.expect(1, 5)))
			require.False(t, mustMore(b.expect(1, 0)))
		})
	}
}

// The same when the FIN was reported while nothing was parked.
func TestEndSeenWhileNobodyWaited(t *testing.T) {
	b := open(t)
	ours, peer := tcpPair(t)
	provide(t, b, 1, 8, 64)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, make([]byte, 1), 0) })
	b.quiet()
	write(t, peer, "hello")
	b.expect(1, 1)
	unix.Shutdown(peer, unix.SHUT_WR)
	arrived(t, ours, unix.POLLRDHUP)
	b.quiet() // the edge goes by
	b.entry(2, func(e *ring.SQE) { e.PrepMultishotRecv(ours, 1, 0) })
	b.expect(2, 4)
	b.expect(2, 0)
}

func mustMore(c ring.CQE) bool { return c.More() }

// A receive on a Unix socket stops short where descriptors were passed along,
// though there is more.
func TestShortReceiveBeforePassedDescriptors(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	_, buffers := provide(t, b, 1, 8, 64)
	b.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, 1, 0) })
	b.quiet()
	write(t, peer, "one")
	b.expect(1, 3)
	rights := unix.UnixRights(peer)
	write(t, peer, "two")
	require.NoError(t, unix.Sendmsg(peer, []byte("three"), rights, nil, 0))
	write(t, peer, "four")
	got := ""
	for got != "twothreefour" {
		c := b.await()
		require.Positive(t, c.Result())
		got += string(buffers[c.BufferID()][:c.Result()])
	}
	write(t, peer, "!")
	b.expect(1, 1)
}

// A message costs one receive, not another one that finds nothing.
func TestOneReceiveForAMessage(t *testing.T) {
	for network, connect := range map[string]func(testing.TB) (int, int){"unix": pair, "tcp": tcpPair} {
		t.Run(network, func(t *testing.T) {
			b := open(t)
			ours, peer := connect(t)
			r, buffers := provide(t, b, 1, 8, 64)
			b.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(ours, 1, 0) })
			b.quiet()
			for i := range 20 {
				write(t, peer, "hello")
				arrived(t, ours, unix.POLLIN)
				before := b.Stats().Syscalls
				c := b.expect(1, 5)
				r.Add(buffers[c.BufferID()], c.BufferID())
				r.Publish()
				if i > 1 {
					require.EqualValues(t, 2, b.Stats().Syscalls-before, "epoll_wait and recv")
				}
			}
		})
	}
}

// One that has much to say does not keep others waiting.
func TestFloodLeavesRoomForOthers(t *testing.T) {
	b := open(t)
	flood, flooder := pair(t)
	quiet, peer := pair(t)
	provide(t, b, 1, 1024, 1)
	b.entry(1, func(e *ring.SQE) { e.PrepMultishotRecv(flood, 1, 0) })
	b.entry(2, func(e *ring.SQE) { e.PrepMultishotRecv(quiet, 1, 0) })
	b.quiet()
	write(t, flooder, string(make([]byte, 500)))
	write(t, peer, "x")
	got := b.turn()
	counts := map[uint64]int{}
	for _, c := range got {
		counts[c.UserData()]++
	}
	require.Equal(t, map[uint64]int{1: multishotBudget, 2: 1}, counts)
	// What is left comes in later turns although there is no edge any more.
	for n := multishotBudget; n < 500; {
		got := b.turn()
		require.NotEmpty(t, got)
		require.LessOrEqual(t, len(got), multishotBudget)
		n += len(got)
	}
	b.quiet()
	write(t, flooder, "x")
	b.expect(1, 1)
}

// Events are not starved by submissions that always complete.
func TestEventsAmongSubmissions(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, make([]byte, 8), 0) })
	b.quiet()
	write(t, peer, "x")
	for range 8 {
		b.entry(2, (*ring.SQE).PrepNop)
		for _, c := range b.turn() {
			if c.UserData() == 1 {
				return
			}
		}
	}
	require.Fail(t, "the event was not fetched")
}

func TestParkedOperationsCompleteInOrder(t *testing.T) {
	const n = 100
	t.Run("receives", func(t *testing.T) {
		b := open(t)
		ours, peer := pair(t)
		p := make([]byte, n)
		for i := range n {
			b.entry(uint64(i), func(e *ring.SQE) { e.PrepRecv(ours, p[i:i+1], 0) })
		}
		b.quiet()
		sent := bytes.Repeat([]byte("0123456789"), n/10)
		write(t, peer, string(sent))
		for i := range n {
			b.expect(uint64(i), 1)
		}
		require.Equal(t, sent, p)
	})
	t.Run("sends", func(t *testing.T) {
		b := open(t)
		ours, peer := pair(t)
		var want []byte
		for i := range n {
			p := bytes.Repeat([]byte{byte(i)}, 10000+i)
			want = append(want, p...)
			b.entry(uint64(i), func(e *ring.SQE) { e.PrepSend(ours, p, ring.MsgWaitAll) })
		}
		require.NoError(t, b.Enter(0))
		var got []byte
		p := make([]byte, 1<<16)
		for len(got) < len(want) {
			k, _, err := unix.Recvfrom(peer, p, unix.MSG_DONTWAIT)
			if err != nil {
				require.Equal(t, unix.EAGAIN, err)
				require.NoError(t, b.Enter(0))
				continue
			}
			got = append(got, p[:k]...)
		}
		for i := range n {
			b.expect(uint64(i), 10000+i)
		}
		require.True(t, bytes.Equal(want, got))
	})
}

func TestOverAMillionBytesInOneSend(t *testing.T) {
	b := open(t)
	ours, peer := tcpPair(t)
	out, in := make([]byte, 32<<20), make([]byte, 32<<20)
	for i := range out {
		out[i] = byte(i * 7 >> 3)
	}
	b.entry(1, func(e *ring.SQE) { e.PrepSend(ours, out, ring.MsgWaitAll) })
	b.entry(2, func(e *ring.SQE) { e.PrepRecv(peer, in, ring.MsgWaitAll) })
	got := []ring.CQE{b.await(), b.await()}
	for _, c := range got {
		require.EqualValues(t, len(out), c.Result())
	}
	require.True(t, bytes.Equal(in, out))
}

// The path of an operation allocates nothing.
func TestNoAllocations(t *testing.T) {
	var got [64]ring.CQE
	b := open(t)
	ours, peer := pair(t)
	in, out, big := make([]byte, 64), make([]byte, 64), make([]byte, 1<<20)
	finish := func(n int) {
		for n > 0 {
			if b.Enter(ring.Forever) != nil {
				panic("enter")
			}
			n -= b.Reap(got[:])
		}
	}
	assertNone := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				f() // pools fill
			}
			require.Zero(t, testing.AllocsPerRun(200, f))
		})
	}
	assertNone("at once", func() {
		send(b, 1, peer, out)
		receive(b, 2, ours, in)
		finish(2)
	})
	assertNone("parked", func() {
		receive(b, 1, ours, in)
		send(b, 2, peer, out)
		finish(2)
	})
	assertNone("blocked send", func() {
		send(b, 1, ours, big)
		b.Enter(0)
		for n := len(big); n > 0; b.Enter(0) {
			k, _, _ := unix.RawSyscall(unix.SYS_READ, uintptr(peer), addressOf(&big[0]), uintptr(len(big)))
			n -= int(k)
		}
		finish(1)
	})
	limit := &ring.Timespec{Sec: 3600}
	assertNone("limited and canceled", func() {
		receive(b, 1, ours, in)
		b.sq[0].SetFlags(ring.SQELink)
		e := b.Next()
		e.PrepLinkTimeout(limit, 0)
		b.Enter(0)
		b.Next().PrepCancel(1, 0)
		finish(3)
	})
	vector := []ring.Iovec{{Base: &out[0], Len: 32}, {Base: &out[32], Len: 32}}
	header := &ring.Msghdr{Iov: &vector[0], Iovlen: 2}
	assertNone("message behind another", func() {
		send(b, 1, ours, big)
		b.Next().PrepSendmsg(ours, header, ring.MsgWaitAll)
		b.Enter(0)
		for n := len(big) + 64; n > 0; b.Enter(0) {
			k, _, _ := unix.RawSyscall(unix.SYS_READ, uintptr(peer), addressOf(&big[0]), uintptr(len(big)))
			n -= int(k)
		}
		finish(2)
	})
	r, buffers := provide(t, b, 1, 8, 64)
	e := b.Next()
	e.PrepMultishotRecv(ours, 1, 0)
	e.SetUserData(1)
	assertNone("multishot", func() {
		send(b, 2, peer, out)
		for n := 2; n > 0; {
			b.Enter(ring.Forever)
			k := b.Reap(got[:])
			n -= k
			for _, c := range got[:k] {
				if c.Flags()&ring.CQEFBuffer != 0 {
					r.Add(buffers[c.BufferID()], c.BufferID())
					r.Publish()
				}
			}
		}
	})
}

// A receive that is tried again behind a shutdown, ahead of what epoll reports,
// would take from under a poll what that is to see. The kernel's ring leaves to
// chance which of the two is first; here it is certain, and stays so.
func TestPollSeesWhatAReceiveTakesBehindAShutdown(t *testing.T) {
	b := open(t)
	ours, peer := tcpPair(t)
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.entry(2, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollIn) })
	b.quiet()
	b.entry(3, func(e *ring.SQE) { e.PrepShutdown(ours, unix.SHUT_WR) }).SetFlags(ring.SQEHardLink)
	b.entry(4, func(e *ring.SQE) { e.PrepSend(peer, []byte("to both."), ring.MsgNoSignal) })
	results := map[uint64]int32{}
	for range 4 {
		c := b.await()
		results[c.UserData()] = c.Result()
	}
	require.Equal(t, map[uint64]int32{1: 8, 2: int32(ring.PollIn), 3: 0, 4: 8}, results)
}

// Who waits to read learns of a shutdown from epoll alone, whatever the socket.
func TestShutdownOfReadingEndsWhatWaitsToRead(t *testing.T) {
	for network, connect := range map[string]func(testing.TB) (int, int){"unix": pair, "tcp": tcpPair} {
		for _, how := range []int{unix.SHUT_RD, unix.SHUT_RDWR} {
			t.Run(network, func(t *testing.T) {
				b := open(t)
				ours, _ := connect(t)
				b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, make([]byte, 1), 0) })
				b.quiet()
				b.entry(2, func(e *ring.SQE) { e.PrepShutdown(ours, how) })
				results := map[uint64]int32{}
				for range 2 {
					c := b.await()
					results[c.UserData()] = c.Result()
				}
				require.Equal(t, map[uint64]int32{1: 0, 2: 0}, results)
			})
		}
	}
}

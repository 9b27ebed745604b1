package queuetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// RunReceiving runs the suite on queues that are opened with ZeroCopyReceive, and the cases
// that are about it. The fallback receives from any interface. With io_uring it takes a
// network card: without one the cases look at the error, and are skipped. Where there is
// one, GOPROACTOR_RECEIVE_QUEUE=eth0/1 names its interface and a receive queue; the
// connections go over loopback still, whose bytes the kernel copies into the area.
func RunReceiving(t *testing.T, open func() (ring.Queue, error)) {
	runLists(t, ring.Probe(), open, append(contract(), receiving))
}

// receiveQueue is where the cases receive.
func (h *harness) receiveQueue() (device string, queue int) {
	name := os.Getenv("GOPROACTOR_RECEIVE_QUEUE")
	if name == "" {
		return "lo", 0
	}
	device, number, ok := strings.Cut(name, "/")
	require.True(h, ok, "GOPROACTOR_RECEIVE_QUEUE=%s: want INTERFACE/QUEUE", name)
	queue, err := strconv.Atoi(number)
	require.NoError(h, err)
	return device, queue
}

// receiveArea makes an area. It outlives the queue.
func (h *harness) receiveArea(chunks int) *ring.ReceiveArea {
	a, err := ring.NewReceiveArea(chunks)
	require.NoError(h, err)
	h.areas = append(h.areas, a)
	return a
}

// area is one that is registered. A case is over where no device takes it.
func (h *harness) area(chunks int) *ring.ReceiveArea {
	h.Helper()
	a, err := h.tryArea(chunks)
	if err == nil {
		return a
	}
	h.refusedByDevice(err)
	h.Skipf("io_uring needs a network card for the rest: %v", err)
	return nil
}

func (h *harness) tryArea(chunks int) (*ring.ReceiveArea, error) {
	a := h.receiveArea(chunks)
	device, queue := h.receiveQueue()
	return a, h.RegisterReceiveArea(device, queue, a)
}

// refusedByDevice looks at what the kernel's ring says of a device that cannot.
func (h *harness) refusedByDevice(err error) {
	h.Helper()
	require.IsType(h, &ring.Ring{}, h.Queue, "%v", err)
	device, queue := h.receiveQueue()
	require.ErrorContains(h, err, "register receive queue "+strconv.Itoa(queue)+" of "+device+": ")
	switch {
	case h.tooOld():
		h.refusedAsTooOld(err)
		return
	case errors.Is(err, unix.EPERM):
		require.ErrorContains(h, err, "the process lacks CAP_NET_ADMIN")
	case device == "lo":
		require.ErrorIs(h, err, unix.EOPNOTSUPP)
		require.ErrorIs(h, err, errors.ErrUnsupported)
	}
	for _, takes := range []string{"CAP_NET_ADMIN", "ethtool -G " + device + " tcp-data-split on", "ethtool -N " + device} {
		require.ErrorContains(h, err, takes)
	}
}

// tooOld reports whether the kernel lacks what no device is asked for.
func (h *harness) tooOld() bool { return !h.supports(ring.OpRecvZC.String()) }

func (h *harness) refusedAsTooOld(err error) {
	h.Helper()
	require.ErrorIs(h, err, errors.ErrUnsupported)
	require.ErrorIs(h, err, unix.EINVAL)
	require.ErrorContains(h, err, "zero-copy receive needs Linux 6.15, this is "+h.kernel.Kernel)
}

// piece waits for a completion that brings a piece, and returns its bytes.
func (h *harness) piece(a *ring.ReceiveArea, userData uint64) (id uint16, p []byte) {
	h.Helper()
	c := h.result(userData)
	require.Positive(h, c.Result(), "%v", errnoOf(c))
	require.True(h, c.More())
	require.NotZero(h, c.Flags()&ring.CQEFBuffer, "no piece named")
	p = a.Bytes(c.BufferID())
	require.Len(h, p, int(c.Result()))
	return c.BufferID(), p
}

// pieces waits for so many bytes in pieces.
func (h *harness) pieces(a *ring.ReceiveArea, userData uint64, n int) (ids []uint16, p []byte) {
	h.Helper()
	for len(p) < n {
		id, some := h.piece(a, userData)
		ids, p = append(ids, id), append(p, some...)
	}
	require.Len(h, p, n)
	return ids, p
}

// copies reports whether chunks that are given back serve for what is copied: the kernel has
// only its card take them.
func (h *harness) copies() bool { _, isRing := h.Queue.(*ring.Ring); return !isRing }

func give(a *ring.ReceiveArea, ids ...uint16) {
	for _, id := range ids {
		a.Return(id)
	}
	a.Publish()
}

var receiving = []testCase{
	{"what a device refuses is named", func(h *harness) {
		a := h.receiveArea(4)
		device, queue := h.receiveQueue()
		for _, err := range []error{h.RegisterReceiveArea(device, queue, nil), h.RegisterReceiveArea(device, -1, a)} {
			require.ErrorIs(h, err, unix.EINVAL)
		}
		for _, none := range []string{"no-such-device", strings.Repeat("x", 40)} {
			err := h.RegisterReceiveArea(none, 3, a)
			if h.tooOld() {
				h.refusedAsTooOld(err)
				return
			}
			require.ErrorIs(h, err, unix.ENODEV)
			require.ErrorContains(h, err, "receive queue 3 of "+none+": ")
			require.ErrorContains(h, err, "there is no such interface")
		}
		if err := h.RegisterReceiveArea(device, queue, a); err != nil {
			h.refusedByDevice(err)
			require.NoError(h, a.Close(), "no queue has it")
			require.NoError(h, a.Close(), "closing twice is harmless")
			require.ErrorIs(h, h.RegisterReceiveArea(device, queue, a), unix.EINVAL)
			return
		}
		require.ErrorIs(h, a.Close(), unix.EBUSY)
		require.ErrorIs(h, h.RegisterReceiveArea(device, queue, h.receiveArea(1)), unix.EBUSY)
		require.ErrorIs(h, h.RegisterReceiveArea(device, queue, a), unix.EBUSY)
		require.NoError(h, h.Close())
		require.ErrorIs(h, h.RegisterReceiveArea(device, queue, a), os.ErrClosed)
		require.NoError(h, a.Close())
	}},
	{"a zero-copy receive brings pieces until the end", func(h *harness) {
		a := h.area(8)
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.quiet(1)
		used := map[int]bool{}
		for _, s := range []string{"one", "two", "three"} {
			h.write(peer, s)
			id, p := h.piece(a, 1)
			require.Equal(h, s, string(p))
			require.False(h, used[a.Offset(id)], "a piece that the program has is not written to")
			used[a.Offset(id)] = true
		}
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		c := h.final(1, 0)
		require.Zero(h, c.Flags(), "the end takes no chunk")
		require.Zero(h, h.InFlight())
	}},
	{"a zero-copy receive of much comes in pieces of a chunk", func(h *harness) {
		a := h.area(64)
		ours, peer := h.tcpPair()
		sent := bytes.Repeat([]byte("0123456789abcde"), 4000)
		h.write(peer, string(sent))
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		_, got := h.pieces(a, 1, len(sent))
		require.True(h, bytes.Equal(sent, got))
		h.quiet(1)
	}},
	{"a zero-copy receive ends at its limit", func(h *harness) {
		a := h.area(8)
		ours, peer := h.tcpPair()
		h.write(peer, "headerbody")
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 6); e.SetFlags(ring.SQELink) })
		h.entry(2, func(e *ring.SQE) { e.PrepRecvZC(ours, 100) })
		_, p := h.pieces(a, 1, 6)
		require.Equal(h, "header", string(p))
		h.final(1, 0)
		_, p = h.pieces(a, 2, 4)
		require.Equal(h, "body", string(p))
		h.write(peer, strings.Repeat("x", 200))
		_, p = h.pieces(a, 2, 96)
		require.Equal(h, strings.Repeat("x", 96), string(p))
		h.final(2, 0)
		require.Len(h, h.read(ours, 104), 104, "the rest is there still")
	}},
	{"a zero-copy receive without a free chunk", func(h *harness) {
		a := h.area(2)
		size := a.ChunkSize()
		ours, peer := h.tcpPair()
		sent := make([]byte, 4*size)
		for i := range sent {
			sent[i] = byte(i / 7)
		}
		h.write(peer, string(sent))
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		ids, got := h.pieces(a, 1, 2*size)
		before := bytes.Clone(got)
		h.write(peer, "more") // the kernel may look again only then
		h.fails(1, unix.ENOMEM)
		h.entry(2, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.fails(2, unix.ENOMEM)
		if !h.copies() {
			return
		}
		require.Equal(h, before, append(bytes.Clone(a.Bytes(ids[0])), a.Bytes(ids[1])...), "they are the program's")
		a.Return(ids[0])
		h.entry(3, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.fails(3, unix.ENOMEM) // it is not published
		a.Return(ids[0])        // which changes nothing
		a.Publish()
		for sent := sent[2*size:]; len(sent) > 0; sent = sent[min(len(sent), size):] {
			h.entry(4, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
			id, p := h.piece(a, 4)
			require.True(h, bytes.HasPrefix(append(sent, "more"...), p))
			h.fails(4, unix.ENOMEM)
			require.Equal(h, before[size:], a.Bytes(ids[1]))
			require.Nil(h, a.Bytes(uint16(a.Chunks())+7))
			give(a, id)
		}
		give(a, ids[1])
		h.entry(5, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		_, p := h.piece(a, 5)
		require.Equal(h, "more", string(p))
	}},
	{"a zero-copy receive that waits without a free chunk", func(h *harness) {
		a := h.area(1)
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.write(peer, "all")
		h.piece(a, 1)
		h.quiet(1)
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		h.final(1, 0) // the end needs none
	}},
	{"chunks go round", func(h *harness) {
		a := h.area(4)
		if !h.copies() {
			h.Skip("the kernel has only its card take chunks that are given back")
		}
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		var held []uint16
		for i := range 200 {
			s := strconv.Itoa(i)
			h.write(peer, s)
			id, p := h.piece(a, 1)
			require.Equal(h, s, string(p))
			if held = append(held, id); len(held) == 3 {
				give(a, held...)
				held = held[:0]
			}
		}
	}},
	{"pieces stay as they are until they are given back", func(h *harness) {
		a := h.area(6)
		if !h.copies() {
			h.Skip("the kernel has only its card take chunks that are given back")
		}
		type held struct {
			id   uint16
			want string
		}
		var pieces []held
		random := rand.New(rand.NewPCG(3, 4))
		const connections = 4
		var ours, peers [connections]int
		var sent, got [connections]strings.Builder
		for i := range connections {
			ours[i], peers[i] = h.tcpPair()
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepRecvZC(ours[i], 0) })
		}
		unread := func(sent, got *[connections]strings.Builder) bool {
			for i := range connections {
				if got[i].Len() < sent[i].Len() {
					return true
				}
			}
			return false
		}
		giveOne := func() {
			k := random.IntN(len(pieces))
			p := pieces[k]
			require.Equal(h, p.want, string(a.Bytes(p.id)))
			give(a, p.id)
			pieces = slices.Delete(pieces, k, k+1)
		}
		end := time.Now().Add(patience)
		for step := 0; step < 600 || unread(&sent, &got) && time.Now().Before(end); step++ {
			if i := random.IntN(connections); step < 600 && sent[i].Len()-got[i].Len() < 1<<16 {
				s := strings.Repeat(strconv.Itoa(step)+" ", 1+random.IntN(random.IntN(2000)+1))
				h.write(peers[i], s)
				sent[i].WriteString(s)
			}
			require.NoError(h, h.Enter(0))
			h.reap()
			for i := range uint64(connections) {
				for len(h.done[i]) > 0 {
					c := h.result(i)
					if c.Result() > 0 {
						p := string(a.Bytes(c.BufferID()))
						got[i].WriteString(p)
						pieces = append(pieces, held{c.BufferID(), p})
						continue
					}
					require.Equal(h, unix.ENOMEM, errnoOf(c))
					require.False(h, c.More())
					giveOne()
					h.entry(i, func(e *ring.SQE) { e.PrepRecvZC(ours[i], 0) })
				}
			}
			require.LessOrEqual(h, len(pieces), a.Chunks())
			if len(pieces) > 0 && (random.IntN(2) == 0 || step >= 600) {
				giveOne()
			}
		}
		for i := range connections {
			require.Equal(h, sent[i].String(), got[i].String())
		}
	}},
	{"connections share an area", func(h *harness) {
		a := h.area(8)
		one, peerOfOne := h.tcpPair()
		other, peerOfOther := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(one, 0) })
		h.entry(2, func(e *ring.SQE) { e.PrepRecvZC(other, 0) })
		for range 3 {
			h.write(peerOfOne, "one")
			h.write(peerOfOther, "other")
			_, p := h.piece(a, 1)
			require.Equal(h, "one", string(p))
			_, p = h.piece(a, 2)
			require.Equal(h, "other", string(p))
		}
	}},
	{"a zero-copy receive of a peer that is gone", func(h *harness) {
		a := h.area(8)
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.write(peer, "last")
		h.piece(a, 1)
		h.reset(peer)
		h.fails(1, unix.ECONNRESET)
	}},
	{"a zero-copy receive is canceled", func(h *harness) {
		a := h.area(8)
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0); e.SetIoprio(ring.RecvMultishot | ring.RecvSendPollFirst) })
		h.write(peer, "data")
		h.piece(a, 1)
		h.quiet(1)
		h.do(0, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.fails(1, unix.ECANCELED)
		h.entry(2, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.quiet(2)
		h.do(1, func(e *ring.SQE) { e.PrepCancelFD(ours, ring.CancelAll) })
		h.fails(2, unix.ECANCELED)
	}},
	{"a zero-copy receive goes on when its descriptor is closed", func(h *harness) {
		a := h.area(8)
		ln, addr := h.listener()
		peer := h.dial(addr)
		ours, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
		require.NoError(h, err)
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.quiet(1)
		h.do(0, func(e *ring.SQE) { e.PrepClose(ours) })
		h.write(peer, "still")
		_, p := h.piece(a, 1)
		require.Equal(h, "still", string(p))
		h.do(0, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		h.fails(1, unix.ECANCELED)
	}},
	{"a queue is closed with a zero-copy receive in flight", func(h *harness) {
		a := h.area(8)
		ours, peer := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		h.write(peer, "kept")
		id, p := h.piece(a, 1)
		h.write(peer, "discarded")
		require.NoError(h, h.Enter(0))
		require.NoError(h, h.Close())
		require.Equal(h, "kept", string(p), "until the area is closed")
		give(a, id)
		require.NoError(h, a.Close())
		require.Nil(h, a.Bytes(id))
		give(a, id)
	}},
	{"what a zero-copy receive refuses", func(h *harness) {
		ours, _ := h.tcpPair()
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) }) // there is no area
		h.area(8)
		unixEnd, _ := h.pair()
		r, _ := h.pipe()
		for _, row := range []struct {
			fd   int
			want unix.Errno
		}{
			{unixEnd, unix.EPROTONOSUPPORT}, {r, unix.ENOTSOCK}, {noDescriptor, unix.EBADF}, {h.socket(), unix.ENOTCONN},
		} {
			h.refused(row.want, func(e *ring.SQE) { e.PrepRecvZC(row.fd, 0) })
		}
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepRecvZC(ours, 0); fields(e).SpliceFD = 1 })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepRecvZC(ours, 0); fields(e).Ioprio = 0 })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepRecvZC(ours, 0); fields(e).Addr = 8 })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepRecvZC(ours, 0); fields(e).OpFlags = ring.MsgWaitAll })
	}},
}

// withoutReceiving are the cases of queues opened without ZeroCopyReceive.
var withoutReceiving = []testCase{
	{"a queue that nobody asked to receive without copying refuses to", func(h *harness) {
		err := h.RegisterReceiveArea("lo", 0, h.receiveArea(1))
		require.ErrorIs(h, err, unix.EINVAL)
		require.ErrorContains(h, err, "ZeroCopyReceive")
		ours, _ := h.tcpPair()
		h.entry(1, func(e *ring.SQE) { e.PrepRecvZC(ours, 0) })
		require.Contains(h, []error{unix.EACCES, unix.EINVAL}, errnoOf(h.result(1)), "EINVAL: unknown to this kernel")
	}},
}

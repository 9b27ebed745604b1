package queuetest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// slot has an entry take its descriptor for a slot.
func slot(e *ring.SQE) { e.SetFlags(ring.SQEFixedFile) }

// openSlot is an entry that opens a file into a slot.
func (h *harness) openSlot(path string, slot int) func(*ring.SQE) {
	name := h.name(path)
	return func(e *ring.SQE) { e.PrepOpenat(here, name, unix.O_RDWR, 0); e.SetSlot(slot) }
}

func readSlot(p []byte, n int) func(*ring.SQE) {
	return func(e *ring.SQE) { e.PrepReadAt(n, p, 0); slot(e) }
}

func closeSlot(n int) func(*ring.SQE) { return func(e *ring.SQE) { e.PrepCloseDirect(n) } }

// do has one entry performed, and requires its result.
func (h *harness) do(want int, prepare func(*ring.SQE)) {
	h.Helper()
	const userData = 1 << 42
	h.entry(userData, prepare)
	h.final(userData, want)
}

// refused is do of an entry that fails.
func (h *harness) refused(want unix.Errno, prepare func(*ring.SQE)) {
	h.Helper()
	h.do(-int(want), prepare)
}

// link queues entries as a chain, with user data from 1 on.
func (h *harness) link(entries ...func(*ring.SQE)) {
	require.NoError(h, h.Reserve(len(entries)))
	for i, prepare := range entries {
		e := h.entry(uint64(i+1), prepare)
		if i < len(entries)-1 && fields(e).Flags&ring.SQEHardLink == 0 {
			e.SetFlags(ring.SQELink)
		}
	}
}

func hard(prepare func(*ring.SQE)) func(*ring.SQE) {
	return func(e *ring.SQE) { prepare(e); e.SetFlags(ring.SQEHardLink) }
}

// ended requires that the peer of a connection has been told of its end.
func (h *harness) ended(peer int) {
	h.Helper()
	n, err := unix.Read(peer, make([]byte, 1))
	require.NoError(h, err)
	require.Zero(h, n)
}

// pairInSlot is pair with our end in a slot, and nowhere else.
func (h *harness) pairInSlot(slot int) (peer int) {
	h.Helper()
	ours, peer := h.pair()
	n, err := h.UpdateFiles(slot, []int32{int32(ours)})
	require.NoError(h, err)
	require.Equal(h, 1, n)
	h.close(ours)
	return peer
}

func (h *harness) table(n int) { h.registers(ring.FeatureDirectDescriptors, h.RegisterFiles(n)) }

var directDescriptors = []testCase{
	{"the table of direct descriptors", func(h *harness) {
		_, path := h.file("x")
		none := []int32{ring.EmptySlot}
		updated := func(first int, fds ...int32) error { _, err := h.UpdateFiles(first, fds); return err }
		require.ErrorIs(h, h.UnregisterFiles(), unix.ENXIO)
		require.ErrorIs(h, updated(0, none...), unix.ENXIO)
		h.refused(unix.ENXIO, h.openSlot(path, 0))
		h.refused(unix.ENFILE, h.openSlot(path, ring.AnySlot))
		h.refused(unix.ENXIO, closeSlot(0))
		h.refused(unix.EBADF, readSlot(h.memory(1), 0))
		for _, n := range []int{-1, 0, ring.MaxFiles + 1} {
			require.ErrorIs(h, h.RegisterFiles(n), unix.EINVAL)
		}
		h.table(4)
		require.ErrorIs(h, h.RegisterFiles(1), unix.EBUSY)
		for _, first := range []int{-1, 2, 4, 1 << 30} {
			require.ErrorIs(h, updated(first, -1, -1, -1), unix.EINVAL)
		}
		require.ErrorIs(h, updated(0), unix.EINVAL)
		for _, slot := range []int{4, 1 << 20, -3} {
			h.refused(unix.EINVAL, h.openSlot(path, slot))
			h.refused(unix.EINVAL, closeSlot(slot))
		}
		h.refused(unix.EINVAL, closeSlot(ring.AnySlot))
		h.refused(unix.EBADF, closeSlot(3))
		h.refused(unix.EBADF, readSlot(h.memory(1), -1))
		require.NoError(h, h.UnregisterFiles())
		h.table(2)
	}},
	{"RLIMIT_NOFILE bounds the table when it is registered", func(h *harness) {
		var limit unix.Rlimit
		require.NoError(h, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		if limit.Cur < ring.MaxFiles && h.supports(ring.FeatureDirectDescriptors) {
			require.ErrorIs(h, h.RegisterFiles(int(limit.Cur)+1), unix.EMFILE)
		}
		h.table(int(min(limit.Cur, ring.MaxFiles)))
		_, path := h.file("x")
		h.do(0, h.openSlot(path, int(min(limit.Cur, ring.MaxFiles))-1))
	}},
	{"descriptors are put into slots and taken out", func(h *harness) {
		h.table(4)
		fd, _ := h.file("0123456789")
		other, _ := h.file("other")
		n, err := h.UpdateFiles(1, []int32{int32(fd), int32(other)})
		require.NoError(h, err)
		require.Equal(h, 2, n)
		p := h.memory(4)
		h.do(4, readSlot(p, 1))
		require.Equal(h, "0123", string(p))
		h.do(4, readSlot(p, 2))
		require.Equal(h, "othe", string(p))
		h.close(fd)
		h.do(4, readSlot(p, 1)) // it lives in its slot
		n, err = h.UpdateFiles(0, []int32{int32(other), 1 << 20, int32(other)})
		require.NoError(h, err)
		require.Equal(h, 1, n, "up to the one that is none")
		h.do(4, readSlot(p, 0))
		h.refused(unix.EBADF, readSlot(p, 1)) // taken out before the other was looked at
		h.do(4, readSlot(p, 2))
		_, err = h.UpdateFiles(3, []int32{1 << 20})
		require.ErrorIs(h, err, unix.EBADF)
		n, err = h.UpdateFiles(0, []int32{ring.EmptySlot, ring.EmptySlot, ring.EmptySlot, ring.EmptySlot})
		require.NoError(h, err)
		require.Equal(h, 4, n)
		h.refused(unix.EBADF, readSlot(p, 0))
	}},
	{"open, read, write, sync and close in a slot", func(h *harness) {
		h.table(2)
		_, path := h.file("0123456789")
		p := h.memory(4)
		h.do(0, h.openSlot(path, 1))
		h.do(4, readSlot(p, 1))
		require.Equal(h, "0123", string(p))
		h.do(2, func(e *ring.SQE) { e.PrepWriteAt(1, h.text("ab"), 2); slot(e) })
		h.do(0, func(e *ring.SQE) { e.PrepFsync(1, 0); slot(e) })
		h.do(3, func(e *ring.SQE) { e.PrepReadv(1, h.vector(p[:3]), 1); slot(e) })
		require.Equal(h, "1ab", string(p[:3]))
		h.do(0, func(e *ring.SQE) { e.PrepFallocate(1, 0, 0, 100); slot(e) })
		h.do(0, closeSlot(1))
		h.refused(unix.EBADF, closeSlot(1))
		h.refused(unix.EBADF, readSlot(p, 1))
		require.Equal(h, "01ab456789", h.content(path)[:10])
	}},
	{"what a slot does not take", func(h *harness) {
		h.table(2)
		fd, path := h.file("x")
		h.refused(unix.EINVAL, func(e *ring.SQE) { h.openSlot(path, 0)(e); e.SetOpFlags(unix.O_CLOEXEC) })
		h.refused(unix.EBADF, func(e *ring.SQE) { h.openSlot(path, 0)(e); slot(e) })
		h.refused(unix.ENOENT, h.openSlot(path+"-", 7))
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepClose(fd); slot(e) })
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepCloseDirect(0); slot(e) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepCloseDirect(0); fields(e).FD = int32(fd) })
		created := path + "-new"
		h.refused(unix.EINVAL, func(e *ring.SQE) {
			e.PrepOpenat(here, h.name(created), unix.O_WRONLY|unix.O_CREAT, 0o600)
			e.SetSlot(2)
		})
		require.FileExists(h, created, "the slot is looked at when the file is there")
	}},
	{"a slot is filled anew, and what was there is closed", func(h *harness) {
		h.table(1)
		peer := h.pairInSlot(0)
		_, path := h.file("new")
		p := h.memory(3)
		h.link(h.openSlot(path, 0), readSlot(p, 0), closeSlot(0))
		h.final(1, 0)
		h.final(2, 3)
		h.final(3, 0)
		require.Equal(h, "new", string(p))
		h.ended(peer)
	}},
	{"the queue chooses a slot", func(h *harness) {
		h.table(3)
		_, path := h.file("x")
		for want := range 3 {
			h.do(want, h.openSlot(path, ring.AnySlot))
		}
		h.refused(unix.ENFILE, h.openSlot(path, ring.AnySlot))
		h.do(0, closeSlot(2))
		h.do(0, closeSlot(1))
		// It looks from where one was filled or emptied last.
		h.do(1, h.openSlot(path, ring.AnySlot))
		h.do(2, h.openSlot(path, ring.AnySlot))
		h.refused(unix.ENFILE, h.openSlot(path, ring.AnySlot))
		_, err := h.UpdateFiles(0, []int32{-1, -1, -1})
		require.NoError(h, err)
		h.do(2, h.openSlot(path, ring.AnySlot))
		h.do(0, h.openSlot(path, ring.AnySlot))
		h.do(0, h.openSlot(path, 0))
		h.do(1, h.openSlot(path, ring.AnySlot))
	}},
	{"the queue chooses the slot behind the one filled last, whoever chose that", func(h *harness) {
		h.table(4)
		_, path := h.file("x")
		h.do(0, h.openSlot(path, 1))
		for _, want := range []int{2, 3, 0} {
			h.do(want, h.openSlot(path, ring.AnySlot))
		}
		h.refused(unix.ENFILE, h.openSlot(path, ring.AnySlot))
	}},
	{"a socket in a slot connects after it was refused", func(h *harness) {
		h.table(1)
		_, addr := h.listener()
		nobody := h.refusing()
		h.do(0, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, 0); e.SetSlot(0) })
		connect := func(to *unix.SockaddrInet4) func(*ring.SQE) {
			address := h.text(string(rawAddress(to)))
			return func(e *ring.SQE) { e.PrepConnect(0, address); slot(e) }
		}
		h.refused(unix.ECONNREFUSED, connect(nobody))
		h.do(0, connect(addr))
	}},
	{"open, read and close in one submission", func(h *harness) {
		h.table(1)
		for i := range 20 {
			_, path := h.file(fmt.Sprintf("content %2d", i))
			p := h.memory(10)
			h.link(h.openSlot(path, 0), readSlot(p, 0), closeSlot(0))
			h.final(1, 0)
			h.final(2, 10)
			h.final(3, 0)
			require.Equal(h, fmt.Sprintf("content %2d", i), string(p))
		}
		h.refused(unix.EBADF, closeSlot(0))
	}},
	{"open, write, sync and close in one submission", func(h *harness) {
		h.table(2)
		path := filepath.Join(h.TempDir(), "new")
		h.link(func(e *ring.SQE) {
			e.PrepOpenat(here, h.name(path), unix.O_WRONLY|unix.O_CREAT, 0o600)
			e.SetSlot(1)
		}, func(e *ring.SQE) { e.PrepWriteAt(1, h.text("written"), 0); slot(e) },
			func(e *ring.SQE) { e.PrepFsync(1, 0); slot(e) }, closeSlot(1))
		h.final(1, 0)
		h.final(2, 7)
		h.final(3, 0)
		h.final(4, 0)
		require.Equal(h, "written", h.content(path))
	}},
	{"an open that fails leaves its slot as it was", func(h *harness) {
		h.table(1)
		_, path := h.file("kept")
		h.do(0, h.openSlot(path, 0))
		p := h.memory(4)
		h.link(h.openSlot(path+"-", 0), hard(readSlot(p, 0)), closeSlot(0))
		h.fails(1, unix.ENOENT)
		h.fails(2, unix.ECANCELED)
		h.fails(3, unix.ECANCELED)
		h.do(4, readSlot(p, 0))
		require.Equal(h, "kept", string(p))
	}},
	{"a chain that breaks behind its open leaves the slot filled", func(h *harness) {
		h.table(1)
		_, path := h.file("short")
		p := h.memory(10)
		h.link(h.openSlot(path, 0), readSlot(p, 0), closeSlot(0))
		h.final(1, 0)
		h.final(2, 5)
		h.fails(3, unix.ECANCELED)
		h.do(5, readSlot(p, 0))
		h.do(0, closeSlot(0))
		// Behind a hard link the close comes in any case.
		h.link(h.openSlot(path, 0), hard(readSlot(p, 0)), closeSlot(0))
		h.final(1, 0)
		h.final(2, 5)
		h.final(3, 0)
		h.refused(unix.EBADF, closeSlot(0))
		// An entry in error from the start breaks the chain whole.
		h.link(h.openSlot(path, 0), readSlot(p, 0), func(e *ring.SQE) { e.PrepCloseDirect(0); slot(e) })
		h.fails(1, unix.ECANCELED)
		h.fails(2, unix.ECANCELED)
		h.fails(3, unix.EBADF)
		h.refused(unix.EBADF, closeSlot(0))
	}},
	{"a chain on an empty slot", func(h *harness) {
		h.table(1)
		h.link(readSlot(h.memory(1), 0), closeSlot(0))
		h.fails(1, unix.EBADF)
		h.fails(2, unix.ECANCELED)
	}},
	{"a cancel in the middle of a chain leaves the slot filled", func(h *harness) {
		h.table(1)
		path := filepath.Join(h.TempDir(), "fifo")
		require.NoError(h, unix.Mkfifo(path, 0o600))
		for _, always := range []bool{false, true} {
			wait := func(e *ring.SQE) { e.PrepRead(0, h.memory(1)); slot(e) }
			if always {
				wait = hard(wait)
			}
			h.link(h.openSlot(path, 0), wait, closeSlot(0))
			h.final(1, 0)
			h.quiet(2)
			h.do(0, func(e *ring.SQE) { e.PrepCancelSlot(0, 0) })
			h.fails(2, unix.ECANCELED)
			if always {
				h.final(3, 0)
				h.refused(unix.EBADF, closeSlot(0))
			} else {
				h.fails(3, unix.ECANCELED)
				h.do(0, closeSlot(0))
			}
		}
	}},
	{"receive and send in a slot", func(h *harness) {
		h.table(1)
		peer := h.pairInSlot(0)
		p := h.memory(5)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(0, p, 0); slot(e) })
		h.quiet(1)
		h.write(peer, "hello")
		h.final(1, 5)
		require.Equal(h, "hello", string(p))
		h.do(5, func(e *ring.SQE) { e.PrepSend(0, p, ring.MsgNoSignal); slot(e) })
		require.Equal(h, "hello", string(h.read(peer, 5)))
		g := h.group(2, 16, false)
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotRecv(0, groupID, 0); slot(e) })
		h.write(peer, "again")
		require.Equal(h, "again", g.bytes(h, h.result(2)))
		h.entry(3, func(e *ring.SQE) { e.PrepPoll(0, ring.PollIn); slot(e) })
		h.quiet(3)
		h.do(0, func(e *ring.SQE) { e.PrepShutdown(0, unix.SHUT_WR); slot(e) })
		h.ended(peer)
	}},
	{"what is in flight in a slot outlives its closing", func(h *harness) {
		h.table(1)
		peer := h.pairInSlot(0)
		p := h.memory(8)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(0, p, 0); slot(e) })
		h.quiet(1)
		h.do(0, closeSlot(0))
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepCancelSlot(0, 0) })
		// The slot is filled anew; the receive is not the new file's.
		second := h.pairInSlot(0)
		h.refused(unix.ENOENT, func(e *ring.SQE) { e.PrepCancelSlot(0, 0) })
		h.write(second, "for the new file")
		h.quiet(1)
		h.write(peer, "old")
		h.final(1, 3)
		require.Equal(h, "old", string(p[:3]))
		h.quiet(1)
		h.ended(peer) // with the last operation the file goes
		h.do(8, func(e *ring.SQE) { e.PrepRecv(0, p, 0); slot(e) })
	}},
	{"what is in flight in a slot outlives the table", func(h *harness) {
		h.table(1)
		peer := h.pairInSlot(0)
		p := h.memory(8)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(0, p, 0); slot(e) })
		h.quiet(1)
		_, err := h.UpdateFiles(0, []int32{ring.EmptySlot})
		require.NoError(h, err)
		require.NoError(h, h.UnregisterFiles())
		h.write(peer, "late")
		h.final(1, 4)
		h.quiet(1)
		h.ended(peer)
	}},
	{"what workers do in a slot outlives its closing", func(h *harness) {
		const block, blocks = 4096, 64
		h.table(1)
		fd, all := h.direct(block * blocks)
		_, err := h.UpdateFiles(0, []int32{int32(fd)})
		require.NoError(h, err)
		h.close(fd)
		p := aligned(block * blocks)
		for i := range blocks {
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepReadAt(0, p[i*block:(i+1)*block], int64(i*block)); slot(e) })
		}
		h.entry(100, closeSlot(0))
		h.entry(101, func(e *ring.SQE) { e.PrepFsync(0, 0); slot(e) })
		h.final(100, 0)
		h.fails(101, unix.EBADF)
		for i := range blocks {
			h.final(uint64(i), block)
		}
		require.True(h, bytes.Equal(all, p))
	}},
	{"cancel by slot", func(h *harness) {
		h.table(2)
		h.pairInSlot(0)
		h.pairInSlot(1)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(0, h.memory(1), 0); slot(e) })
		h.entry(2, func(e *ring.SQE) { e.PrepPoll(0, ring.PollHup); slot(e) })
		h.entry(3, func(e *ring.SQE) { e.PrepRecv(1, h.memory(1), 0); slot(e) })
		h.quiet(1)
		h.do(2, func(e *ring.SQE) { e.PrepCancelSlot(0, ring.CancelAll) })
		h.fails(1, unix.ECANCELED)
		h.fails(2, unix.ECANCELED)
		h.quiet(3)
		h.refused(unix.ENOENT, func(e *ring.SQE) { e.PrepCancelSlot(0, 0) })
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepCancelSlot(7, 0) })
		h.do(0, func(e *ring.SQE) { e.PrepCancelFD(1, 0); slot(e) })
		h.fails(3, unix.ECANCELED)
	}},
	{"accept into slots", func(h *harness) {
		h.table(3)
		ln, addr := h.listener()
		peer := h.dial(addr)
		h.do(0, func(e *ring.SQE) { e.PrepAccept(ln, 0); e.SetSlot(2) })
		h.do(2, func(e *ring.SQE) { e.PrepSend(2, h.text("hi"), 0); slot(e) })
		require.Equal(h, "hi", string(h.read(peer, 2)))
		h.dial(addr)
		h.do(0, func(e *ring.SQE) { e.PrepAccept(ln, unix.SOCK_NONBLOCK); e.SetSlot(ring.AnySlot) })
		lost := h.dial(addr)
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepAccept(ln, 0); e.SetSlot(3) })
		h.ended(lost) // it was accepted all the same
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepAccept(ln, unix.SOCK_CLOEXEC); e.SetSlot(1) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepMultishotAccept(ln, 0); e.SetSlot(1) })
		h.do(0, closeSlot(2))
		h.ended(peer)
	}},
	{"accept into slots, again and again, until the table is full", func(h *harness) {
		h.table(3)
		ln, addr := h.listener()
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotAccept(ln, 0); e.SetSlot(ring.AnySlot) })
		h.quiet(1)
		var peers []int
		for want := range 3 {
			peers = append(peers, h.dial(addr))
			c := h.result(1)
			require.EqualValues(h, want, c.Result(), errnoOf(c))
			require.True(h, c.More())
		}
		lost := h.dial(addr)
		h.fails(1, unix.ENFILE)
		h.ended(lost)
		h.do(0, closeSlot(1))
		h.ended(peers[1])
		h.dial(addr)
		h.do(1, func(e *ring.SQE) { e.PrepAccept(ln, 0); e.SetSlot(ring.AnySlot) })
	}},
	{"a listener in a slot", func(h *harness) {
		h.table(2)
		ln, addr := h.listener()
		_, err := h.UpdateFiles(0, []int32{int32(ln)})
		require.NoError(h, err)
		h.entry(1, func(e *ring.SQE) { e.PrepMultishotAccept(0, 0); slot(e); e.SetSlot(ring.AnySlot) })
		h.quiet(1)
		peer := h.dial(addr)
		c := h.result(1)
		require.EqualValues(h, 1, c.Result())
		h.do(1, func(e *ring.SQE) { e.PrepSend(1, h.text("x"), 0); slot(e) })
		h.read(peer, 1)
	}},
	{"socket", func(h *harness) {
		h.table(1)
		_, addr := h.listener()
		h.entry(1, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
		c := h.result(1)
		require.NoError(h, errnoOf(c))
		fd := int(c.Result())
		h.owned(fd)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(h, err)
		require.NotZero(h, flags&unix.FD_CLOEXEC)
		h.do(0, func(e *ring.SQE) { e.PrepConnect(fd, rawAddress(addr)) })
		h.refused(unix.EAFNOSUPPORT, func(e *ring.SQE) { e.PrepSocket(999, unix.SOCK_STREAM, 0); e.SetSlot(9) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, 1<<20|unix.SOCK_STREAM, 0) })
		h.refused(unix.ESOCKTNOSUPPORT, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, 9, 0) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); e.SetSlot(0) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, 0); e.SetOpFlags(1) })
	}},
	{"socket, connect, send, receive and close in one submission", func(h *harness) {
		h.table(1)
		ln, addr := h.listener()
		p := h.memory(4)
		h.link(func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM, 0); e.SetSlot(0) },
			func(e *ring.SQE) { e.PrepConnect(0, rawAddress(addr)); slot(e) },
			func(e *ring.SQE) { e.PrepSend(0, h.text("ping"), ring.MsgWaitAll); slot(e) },
			func(e *ring.SQE) { e.PrepRecv(0, p, ring.MsgWaitAll); slot(e) },
			closeSlot(0))
		require.NoError(h, h.Enter(0))
		peer, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
		require.NoError(h, err)
		h.owned(peer)
		h.final(1, 0)
		h.final(2, 0)
		h.final(3, 4)
		require.Equal(h, "ping", string(h.read(peer, 4)))
		h.write(peer, "pong")
		h.final(4, 4)
		h.final(5, 0)
		require.Equal(h, "pong", string(p))
		h.ended(peer)
	}},
	{"splice from a slot into a slot", func(h *harness) {
		h.table(3)
		_, path := h.file("content")
		var pipe [2]int
		require.NoError(h, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		n, err := h.UpdateFiles(1, []int32{int32(pipe[0]), int32(pipe[1])})
		require.NoError(h, err)
		require.Equal(h, 2, n)
		require.NoError(h, unix.Close(pipe[0]))
		require.NoError(h, unix.Close(pipe[1]))
		h.do(0, h.openSlot(path, 0))
		h.do(7, func(e *ring.SQE) { e.PrepSplice(0, 0, 2, ring.AtCursor, 7, ring.SpliceFromSlot); slot(e) })
		p := h.memory(7)
		h.do(7, func(e *ring.SQE) { e.PrepRead(1, p); slot(e) })
		require.Equal(h, "content", string(p))
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepSplice(7, 0, 2, ring.AtCursor, 7, ring.SpliceFromSlot); slot(e) })
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepSplice(0, 0, 7, ring.AtCursor, 7, ring.SpliceFromSlot); slot(e) })
	}},
	{"a file in a slot is given a descriptor", func(h *harness) {
		h.table(1)
		_, path := h.file("content")
		h.do(0, h.openSlot(path, 0))
		if h.lacks(ring.OpFixedFDInstall) {
			return
		}
		h.entry(1, func(e *ring.SQE) { e.PrepInstall(0, 0) })
		c := h.result(1)
		require.NoError(h, errnoOf(c))
		h.owned(int(c.Result()))
		h.do(0, closeSlot(0))
		require.Equal(h, "content", string(h.read(int(c.Result()), 7)))
		flags, err := unix.FcntlInt(uintptr(c.Result()), unix.F_GETFD, 0)
		require.NoError(h, err)
		require.NotZero(h, flags&unix.FD_CLOEXEC)
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepInstall(0, 0) })
		h.refused(unix.EINVAL, func(e *ring.SQE) { e.PrepInstall(0, 2) })
		h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepInstall(0, 0); fields(e).Flags = 0 })
		h.do(0, h.openSlot(path, 0))
		h.entry(2, func(e *ring.SQE) { e.PrepInstall(0, ring.InstallInherited) })
		c = h.result(2)
		require.NoError(h, errnoOf(c))
		h.owned(int(c.Result()))
		flags, err = unix.FcntlInt(uintptr(c.Result()), unix.F_GETFD, 0)
		require.NoError(h, err)
		require.Zero(h, flags&unix.FD_CLOEXEC)
	}},
	{"entries cannot name what a slot stands for", func(h *harness) {
		before := openNumbers(h)
		h.table(2)
		peer := h.pairInSlot(0)
		_, path := h.file("x")
		h.do(0, h.openSlot(path, 1))
		// Those that the fallback needs; the kernel's ring needs none.
		for _, fd := range openNumbers(h) {
			if slices.Contains(before, fd) || slices.Contains(h.fds, fd) {
				continue
			}
			h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepWriteAt(fd, h.text("no"), 0) })
			h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepClose(fd) })
			h.refused(unix.EBADF, func(e *ring.SQE) { e.PrepCancelFD(fd, 0) })
			n, err := h.UpdateFiles(1, []int32{int32(fd)})
			require.ErrorIs(h, err, unix.EBADF, "%d", n)
			h.do(0, h.openSlot(path, 1))
		}
		h.do(1, func(e *ring.SQE) { e.PrepSend(0, h.text("x"), 0); slot(e) })
		h.read(peer, 1)
	}},
	{"closing the queue closes what is in slots, and ends what is in flight there", func(h *harness) {
		h.table(8)
		_, path := h.file("x")
		ln, addr := h.listener()
		h.do(0, h.openSlot(path, 0))
		h.pairInSlot(1)
		h.entry(1, func(e *ring.SQE) { e.PrepRecv(1, h.memory(1), 0); slot(e) })
		h.entry(2, func(e *ring.SQE) { e.PrepMultishotAccept(ln, 0); e.SetSlot(ring.AnySlot) })
		peer := h.dial(addr)
		accepted := h.result(2)
		require.Positive(h, accepted.Result())
		h.entry(3, h.openSlot(path, ring.AnySlot))
		h.entry(4, func(e *ring.SQE) { e.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
		h.entry(5, func(e *ring.SQE) { e.PrepInstall(0, 0) })
		require.NoError(h, h.Enter(0))
		require.NoError(h, h.Close())
		h.ended(peer)
		// run counts descriptors.
	}},
}

// openNumbers is the descriptors of the process.
func openNumbers(h *harness) (fds []int) {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(h, err)
	for _, n := range names {
		var fd int
		fmt.Sscan(n.Name(), &fd)
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil { // not the one it was listed by
			fds = append(fds, fd)
		}
	}
	return fds
}

package queuetest

import (
	"bytes"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pipe has blocking ends, as the contract wants it.
func (h *harness) pipe() (r, w int) {
	r, w = h.loosePipe()
	h.owned(r, w)
	return r, w
}

// loosePipe is for the case to close.
func (h *harness) loosePipe() (r, w int) {
	var p [2]int
	require.NoError(h, unix.Pipe2(p[:], unix.O_CLOEXEC))
	return p[0], p[1]
}

// fill writes until a descriptor takes no more until somebody reads, and returns how
// much it took.
func (h *harness) fill(fd int) (n int) {
	require.NoError(h, unix.SetNonblock(fd, true))
	defer unix.SetNonblock(fd, false)
	acknowledged := ^uint64(0)
	for p := bytes.Repeat([]byte("x"), 4096); ; {
		k, err := unix.Write(fd, p)
		if err == unix.EAGAIN {
			if isStuck(fd, &acknowledged) {
				return n
			}
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 2)
			continue
		}
		require.NoError(h, err)
		n += k
		acknowledged = ^uint64(0)
	}
}

// fillBySplice goes on where fill ends: on 6.1 a splice to a full Unix socket adds to the
// last message, which a write does not (not seen on 6.12).
func (h *harness) fillBySplice(fd int) (n int) {
	require.NoError(h, unix.SetNonblock(fd, true))
	defer unix.SetNonblock(fd, false)
	r, w := h.loosePipe()
	defer unix.Close(r)
	defer unix.Close(w)
	for {
		h.write(w, "x")
		k, err := unix.Splice(r, nil, fd, nil, 1, unix.SPLICE_F_NONBLOCK)
		if err == unix.EAGAIN {
			return n
		}
		require.NoError(h, err)
		n += int(k)
	}
}

// isStuck reports whether a full descriptor stays full. A TCP socket makes room when
// what it has sent is acknowledged: nothing of that may be on its way, and nothing
// have come since it was full before, as acknowledged says.
func isStuck(fd int, acknowledged *uint64) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return true
	}
	before := *acknowledged
	*acknowledged = info.Bytes_acked
	return info.Unacked == 0 && info.Bytes_acked == before
}

// waiting is what waits for a splice or tee, and how to end that.
type waiting struct {
	name    string
	prepare func(h *harness) (in, out int, ready func())
}

var waits = []waiting{
	{"empty pipe", func(h *harness) (int, int, func()) {
		r, w := h.pipe()
		_, out := h.pipe()
		return r, out, func() { h.write(w, "hello") }
	}},
	{"full pipe", func(h *harness) (int, int, func()) {
		r, w := h.pipe()
		h.write(w, "hello")
		back, out := h.pipe()
		h.fill(out)
		return r, out, func() { h.read(back, 4096) }
	}},
	{"empty pipe, then full pipe", func(h *harness) (int, int, func()) {
		r, w := h.pipe()
		back, out := h.pipe()
		h.fill(out)
		return r, out, func() {
			h.write(w, "hello")
			h.quiet(1)
			h.read(back, 4096)
		}
	}},
	{"empty Unix socket", func(h *harness) (int, int, func()) {
		in, peer := h.pair()
		_, out := h.pipe()
		return in, out, func() { h.write(peer, "hello") }
	}},
	{"empty TCP socket", func(h *harness) (int, int, func()) {
		in, peer := h.tcpPair()
		_, out := h.pipe()
		return in, out, func() { h.write(peer, "hello") }
	}},
	{"full Unix socket", func(h *harness) (int, int, func()) {
		r, w := h.pipe()
		h.write(w, "hello")
		out, peer := h.pair()
		n := h.fill(out) + h.fillBySplice(out)
		return r, out, func() { h.read(peer, n) }
	}},
	{"full TCP socket", func(h *harness) (int, int, func()) {
		r, w := h.pipe()
		h.write(w, "hello")
		out, peer := h.tcpPair()
		n := h.fill(out)
		return r, out, func() { h.read(peer, n) }
	}},
}

var tees = waits[:3]

// eachWait shows something of a splice, and of a tee, that waits.
func (h *harness) eachWait(list []waiting, prepare func(e *ring.SQE, in, out int), show func(in, out int, ready func())) {
	for _, w := range list {
		h.Log(w.name)
		in, out, ready := w.prepare(h)
		h.entry(1, func(e *ring.SQE) { prepare(e, in, out) })
		h.quiet(1)
		show(in, out, ready)
	}
}

func prepareSplice(e *ring.SQE, in, out int) {
	e.PrepSplice(in, ring.AtCursor, out, ring.AtCursor, 5, 0)
}

func prepareTee(e *ring.SQE, in, out int) { e.PrepTee(in, out, 5, 0) }

// canceled ends what a worker of the kernel's waits for. The cancel says that it
// comes too late, and what is on its way to the worker it may not find yet: ENOENT, or
// none of all. The worker may go to sleep just after it was told: then it is told again.
func (h *harness) canceled(userData uint64, prepare func(*ring.SQE)) {
	h.Helper()
	const cancel = 1 << 41
	for start := time.Now(); len(h.done[userData]) == 0; h.reap() {
		require.Less(h, time.Since(start), patience, "no completion of %d", userData)
		h.entry(cancel, prepare)
		c := h.result(cancel)
		require.Contains(h, []int32{0, 1, -int32(unix.ENOENT), -int32(unix.EALREADY)}, c.Result())
		require.NoError(h, h.Enter(time.Millisecond))
	}
	h.fails(userData, unix.ECANCELED)
}

var splices = []testCase{
	{"splice from pipe to pipe", func(h *harness) {
		r, w := h.pipe()
		back, out := h.pipe()
		h.write(w, "hello")
		h.entry(1, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, out, ring.AtCursor, 100, 0) })
		h.final(1, 5)
		require.Equal(h, "hello", string(h.read(back, 5)))
		h.entry(2, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, out, ring.AtCursor, 0, 0) })
		h.final(2, 0)
	}},
	{"tee leaves what it copies", func(h *harness) {
		r, w := h.pipe()
		back, out := h.pipe()
		h.write(w, "hello")
		h.entry(1, func(e *ring.SQE) { e.PrepTee(r, out, 100, 0) })
		h.final(1, 5)
		require.Equal(h, "hello", string(h.read(back, 5)))
		require.Equal(h, "hello", string(h.read(r, 5)))
	}},
	{"splice between a file and a pipe, at offsets and at the cursor", func(h *harness) {
		fd, path := h.file("0123456789")
		r, w := h.pipe()
		splice := func(in int, inOffset int64, out int, outOffset int64, want int) {
			h.Helper()
			h.entry(1, func(e *ring.SQE) { e.PrepSplice(in, inOffset, out, outOffset, 4, 0) })
			h.final(1, want)
		}
		splice(fd, 3, w, ring.AtCursor, 4)
		require.Equal(h, "3456", string(h.read(r, 4)))
		splice(fd, 8, w, ring.AtCursor, 2)
		splice(fd, 10, w, ring.AtCursor, 0)
		for _, n := range []int{4, 4, 2, 0} {
			splice(fd, ring.AtCursor, w, ring.AtCursor, n)
		}
		require.Equal(h, "890123456789", string(h.read(r, 12)))
		h.write(w, "abcdef")
		splice(r, ring.AtCursor, fd, 2, 4)
		splice(r, ring.AtCursor, fd, ring.AtCursor, 2)
		require.Equal(h, "01abcd6789ef", h.content(path))
	}},
	{"splice between sockets and a pipe", func(h *harness) {
		for _, connect := range []func() (int, int){h.pair, h.tcpPair} {
			ours, peer := connect()
			r, w := h.pipe()
			h.write(peer, "hello")
			h.entry(1, func(e *ring.SQE) { e.PrepSplice(ours, ring.AtCursor, w, ring.AtCursor, 100, 0) })
			h.final(1, 5)
			h.entry(2, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, ours, ring.AtCursor, 5, 0) })
			h.final(2, 5)
			require.Equal(h, "hello", string(h.read(peer, 5)))
			flags, err := unix.FcntlInt(uintptr(ours), unix.F_GETFL, 0)
			require.NoError(h, err)
			require.Zero(h, flags&unix.O_NONBLOCK, "as blocking as before")
		}
	}},
	{"a splice to a socket goes on until the pipe is empty", func(h *harness) {
		ours, peer := h.tcpPair()
		r, w := h.pipe()
		_, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 256<<10)
		require.NoError(h, err)
		before := h.fill(ours)
		n := h.fill(w)
		h.entry(1, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, ours, ring.AtCursor, uint32(n), 0) })
		h.quiet(1)
		done := make(chan []byte)
		go func() { done <- h.read(peer, before+n) }()
		h.final(1, n)
		<-done
	}},
	{"a splice waits for either end", func(h *harness) {
		h.eachWait(waits, prepareSplice, func(_, _ int, ready func()) {
			ready()
			h.final(1, 5)
		})
	}},
	{"a tee waits for either end", func(h *harness) {
		h.eachWait(tees, prepareTee, func(_, _ int, ready func()) {
			ready()
			h.final(1, 5)
		})
	}},
	{"cancel a splice that waits", func(h *harness) {
		for _, flags := range []uint32{0, ring.CancelAll} {
			h.eachWait(waits, prepareSplice, func(_, _ int, _ func()) {
				h.canceled(1, func(e *ring.SQE) { e.PrepCancel(1, flags) })
			})
		}
	}},
	{"cancel a tee that waits", func(h *harness) {
		h.eachWait(tees, prepareTee, func(_, _ int, _ func()) {
			h.canceled(1, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		})
	}},
	{"cancel a splice by its destination, not by its source", func(h *harness) {
		h.eachWait(waits, prepareSplice, func(in, out int, _ func()) {
			h.entry(2, func(e *ring.SQE) { e.PrepCancelFD(in, 0) })
			h.fails(2, unix.ENOENT)
			h.canceled(1, func(e *ring.SQE) { e.PrepCancelFD(out, 0) })
		})
	}},
	{"cancel a splice in a chain", func(h *harness) {
		for _, w := range waits {
			h.Log(w.name)
			in, out, _ := w.prepare(h)
			h.entry(1, (*ring.SQE).PrepNop).SetFlags(ring.SQELink)
			h.entry(2, func(e *ring.SQE) { prepareSplice(e, in, out); e.SetFlags(ring.SQELink) })
			h.entry(3, (*ring.SQE).PrepNop)
			h.final(1, 0)
			h.quiet(2)
			h.canceled(2, func(e *ring.SQE) { e.PrepCancel(2, 0) })
			h.fails(3, unix.ECANCELED)
		}
	}},
	{"what is left of a splice when the queue closes", func(h *harness) {
		for i, w := range waits {
			in, out, _ := w.prepare(h)
			h.entry(uint64(i), func(e *ring.SQE) { prepareSplice(e, in, out) })
		}
		h.quiet(1)
	}},
	{"SPLICE_F_NONBLOCK does not wait for a pipe", func(h *harness) {
		for _, w := range tees {
			in, out, _ := w.prepare(h)
			h.entry(1, func(e *ring.SQE) { e.PrepSplice(in, ring.AtCursor, out, ring.AtCursor, 5, ring.SpliceNonblock) })
			h.fails(1, unix.EAGAIN)
			h.entry(2, func(e *ring.SQE) { e.PrepTee(in, out, 5, ring.SpliceNonblock) })
			h.fails(2, unix.EAGAIN)
		}
		file, _ := h.file("hello")
		_, out := h.pipe()
		h.fill(out)
		h.entry(3, func(e *ring.SQE) { e.PrepSplice(file, 0, out, ring.AtCursor, 5, ring.SpliceNonblock) })
		h.fails(3, unix.EAGAIN)
	}},
	{"SPLICE_F_NONBLOCK and sockets", func(h *harness) {
		for _, w := range waits[3:] {
			for _, blocking := range []bool{true, false} {
				in, out, ready := w.prepare(h)
				for _, fd := range []int{in, out} {
					require.NoError(h, unix.SetNonblock(fd, !blocking))
				}
				h.Logf("%s, blocking %v", w.name, blocking)
				h.entry(1, func(e *ring.SQE) { e.PrepSplice(in, ring.AtCursor, out, ring.AtCursor, 5, ring.SpliceNonblock) })
				if blocking && w.name != "empty Unix socket" {
					h.quiet(1)
					ready()
					h.final(1, 5)
				} else {
					h.fails(1, unix.EAGAIN)
				}
			}
		}
	}},
	{"a splice between a file and a pipe waits for the pipe", func(h *harness) {
		file, path := h.file("hello")
		back, out := h.pipe()
		h.fill(out)
		h.entry(1, func(e *ring.SQE) { e.PrepSplice(file, 0, out, ring.AtCursor, 100, 0) })
		h.quiet(1)
		h.read(back, 4096)
		h.final(1, 5)
		r, w := h.pipe()
		h.entry(2, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, file, 5, 100, 0) })
		h.quiet(2)
		h.write(w, " you")
		h.final(2, 4)
		require.Equal(h, "hello you", h.content(path))
		h.entry(3, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, file, 5, 100, 0) })
		h.quiet(3)
		h.canceled(3, func(e *ring.SQE) { e.PrepCancel(3, 0) })
	}},
	{"many splices from files", func(h *harness) {
		const n, size = 200, 1000
		var all []byte
		for i := range n {
			all = append(all, bytes.Repeat([]byte{byte(i)}, size)...)
		}
		fd, _ := h.file(string(all))
		h.forget(fd)
		var back [n]int
		for i := range n {
			r, w := h.pipe()
			back[i] = r
			h.entry(uint64(i), func(e *ring.SQE) { e.PrepSplice(fd, int64(i*size), w, ring.AtCursor, size, 0) })
		}
		for i := range n {
			h.final(uint64(i), size)
			require.Equal(h, all[i*size:(i+1)*size], h.read(back[i], size))
		}
	}},
	{"the end of a splice's source is 0", func(h *harness) {
		_, out := h.pipe()
		for _, prepare := range []func(*ring.SQE, int, int){prepareSplice, prepareTee} {
			r, w := h.loosePipe()
			h.owned(r)
			h.entry(1, func(e *ring.SQE) { prepare(e, r, out) })
			h.quiet(1)
			require.NoError(h, unix.Close(w))
			h.final(1, 0)
			h.entry(2, func(e *ring.SQE) { prepare(e, r, out) })
			h.final(2, 0)
		}
		for _, connect := range []func() (int, int){h.pair, h.tcpPair} {
			ours, peer := connect()
			h.entry(1, func(e *ring.SQE) { prepareSplice(e, ours, out) })
			h.quiet(1)
			require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
			h.final(1, 0)
		}
	}},
	{"a splice to where nobody reads", func(h *harness) {
		for _, prepare := range []func(*ring.SQE, int, int){prepareSplice, prepareTee} {
			r, w := h.pipe()
			h.write(w, "hello")
			back, out := h.loosePipe()
			h.owned(out)
			h.fill(out)
			h.entry(1, func(e *ring.SQE) { prepare(e, r, out) })
			h.quiet(1)
			require.NoError(h, unix.Close(back))
			h.fails(1, unix.EPIPE)
			h.entry(2, func(e *ring.SQE) { prepare(e, r, out) })
			h.fails(2, unix.EPIPE)
			empty, _ := h.pipe()
			h.entry(3, func(e *ring.SQE) { prepare(e, empty, out) })
			h.quiet(3) // first of all it waits for something to move
			h.canceled(3, func(e *ring.SQE) { e.PrepCancel(3, 0) })
		}
		r, w := h.pipe()
		h.write(w, "hello")
		ours, _ := h.pair()
		require.NoError(h, unix.Shutdown(ours, unix.SHUT_WR))
		h.entry(1, func(e *ring.SQE) { prepareSplice(e, r, ours) })
		h.fails(1, unix.EPIPE)
	}},
	{"what cannot be spliced", func(h *harness) {
		r, w := h.pipe()
		h.write(w, "hello")
		fd, _ := h.file("0123456789")
		ours, other := h.pair()
		for i, c := range []struct {
			prepare func(*ring.SQE)
			want    unix.Errno
		}{
			{func(e *ring.SQE) { e.PrepSplice(fd, 0, fd, 0, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepSplice(ours, -1, other, -1, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepSplice(h.eventfd(), -1, w, -1, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepSplice(r, -1, w, -1, 5, 0) }, unix.EINVAL}, // one pipe
			{func(e *ring.SQE) { e.PrepSplice(w, -1, w, -1, 5, 0) }, unix.EBADF},  // not open for reading
			{func(e *ring.SQE) { e.PrepSplice(fd, 0, w, 0, 5, 0) }, unix.ESPIPE},
			{func(e *ring.SQE) { e.PrepSplice(fd, -5, w, -1, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepSplice(1<<20, -1, w, -1, 5, 0) }, unix.EBADF},
			{func(e *ring.SQE) { e.PrepSplice(1<<20, -1, w, -1, 0, 0) }, unix.EBADF},
			{func(e *ring.SQE) { e.PrepSplice(r, -1, 1<<20, -1, 5, 0) }, unix.EBADF},
			{func(e *ring.SQE) { e.PrepSplice(-1, -1, w, -1, 5, 0) }, unix.EBADF},
			{func(e *ring.SQE) { e.PrepSplice(r, -1, w, -1, 5, 1<<6) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepSplice(0, -1, w, -1, 5, 1<<31) }, unix.EBADF}, // a table that is not there
			{func(e *ring.SQE) { e.PrepTee(fd, w, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepTee(r, ours, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepTee(r, w, 5, 0) }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepTee(r, w, 0, 0); fields(e).Off = 1 }, unix.EINVAL},
			{func(e *ring.SQE) { e.PrepTee(1<<20, w, 0, 0) }, unix.EBADF},
			{func(e *ring.SQE) { e.PrepTee(fd, fd, 0, 0) }, 0},
		} {
			h.entry(uint64(i), c.prepare)
			h.final(uint64(i), -int(c.want))
		}
	}},
	{"fewer bytes than asked for break a link", func(h *harness) {
		r, w := h.pipe()
		_, out := h.pipe()
		h.write(w, "hello")
		for _, c := range []struct {
			n    uint32
			want unix.Errno
		}{{5, 0}, {6, unix.ECANCELED}} {
			h.entry(1, func(e *ring.SQE) { e.PrepTee(r, out, c.n, 0); e.SetFlags(ring.SQELink) })
			h.entry(2, (*ring.SQE).PrepNop)
			h.final(1, 5)
			h.final(2, -int(c.want))
		}
	}},
	{"from a file to a socket in a chain", func(h *harness) {
		content := bytes.Repeat([]byte("0123456789abcdef"), 2<<10) // 32 KiB
		fd, _ := h.file(string(content))
		r, w := h.pipe()
		ours, peer := h.tcpPair()
		const part = 4 << 10 // there is room for it, however little memory sockets have
		for off := 0; off < len(content); off += part {
			h.entry(1, func(e *ring.SQE) {
				e.PrepSplice(fd, int64(off), w, ring.AtCursor, part, 0)
				e.SetFlags(ring.SQELink)
			})
			h.entry(2, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, ours, ring.AtCursor, part, 0) })
			h.final(1, part)
			h.final(2, part)
			require.True(h, bytes.Equal(content[off:off+part], h.read(peer, part)))
		}
	}},
	{"a splice in flight outlives the closing of its descriptors", func(h *harness) {
		r, w := h.loosePipe()
		_, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 256<<10)
		require.NoError(h, err)
		ours, peer := h.tcpPair()
		out, err := unix.Dup(ours)
		require.NoError(h, err)
		before := h.fill(ours)
		n := h.fill(w)
		h.entry(1, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, out, ring.AtCursor, uint32(n), 0) })
		h.quiet(1)
		h.read(peer, before)
		for first := []byte{0}; ; { // when some has come, a worker of the kernel's has the files
			require.NoError(h, h.Enter(0))
			if k, _, err := unix.Recvfrom(peer, first, unix.MSG_PEEK|unix.MSG_DONTWAIT); err == nil && k == 1 {
				break
			}
		}
		for i, fd := range []int{r, out, w} {
			h.entry(uint64(2+i), func(e *ring.SQE) { e.PrepClose(fd) })
			h.final(uint64(2+i), 0)
			h.entry(5, func(e *ring.SQE) { e.PrepRead(fd, h.memory(1)) })
			h.fails(5, unix.EBADF)
		}
		// Not all need fit at once: what was sent before may not be acknowledged yet.
		done := make(chan []byte)
		go func() { done <- h.read(peer, n) }()
		h.final(1, n)
		<-done
	}},
}

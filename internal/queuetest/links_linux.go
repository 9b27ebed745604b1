package queuetest

import (
	"os"
	"path/filepath"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// failing is an operation that the queue takes, performs, and sees fail. With an
// entry that is wrong by itself the whole chain ends before it begins: that is
// not what this is about.
type failing struct {
	op      ring.Op
	want    unix.Errno
	prepare func(*ring.SQE)
}

// failingOperations is one of each kind that can fail. A nop cannot, and a link
// timeout and a zero-copy send have cases of their own.
func (h *harness) failingOperations() []failing {
	file, path := h.file("0123456789")
	dir := filepath.Dir(path)
	readOnly, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(h, err)
	opened, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(readOnly, opened)
	r, w := h.pipe()
	idle, event := h.socket(), h.eventfd()
	missing, taken := h.name(filepath.Join(dir, "missing")), h.name(dir)
	p, fixed := h.memory(8), h.registered(8)
	require.NoError(h, h.RegisterFiles(1))
	v := h.vector(p)
	message := h.header(ring.Msghdr{Iov: &v[0], Iovlen: 1})
	stat := new(unix.Statx_t)
	h.kept = append(h.kept, v, stat)
	refused := h.text(string(rawAddress(h.refusing())))
	return []failing{
		{ring.OpAccept, unix.EINVAL, func(e *ring.SQE) { e.PrepAccept(idle, 0) }},
		{ring.OpConnect, unix.ECONNREFUSED, func(e *ring.SQE) { e.PrepConnect(h.socket(), refused) }},
		{ring.OpRecv, unix.ENOTCONN, func(e *ring.SQE) { e.PrepRecv(idle, p, 0) }},
		{ring.OpSend, unix.EPIPE, func(e *ring.SQE) { e.PrepSend(idle, p, ring.MsgNoSignal) }},
		{ring.OpRecvmsg, unix.ENOTCONN, func(e *ring.SQE) { e.PrepRecvmsg(idle, message, 0) }},
		{ring.OpSendmsg, unix.EPIPE, func(e *ring.SQE) { e.PrepSendmsg(idle, message, ring.MsgNoSignal) }},
		{ring.OpShutdown, unix.ENOTCONN, func(e *ring.SQE) { e.PrepShutdown(idle, unix.SHUT_WR) }},
		{ring.OpSocket, unix.EAFNOSUPPORT, func(e *ring.SQE) { e.PrepSocket(unix.AF_UNSPEC, unix.SOCK_STREAM, 0) }},
		{ring.OpRead, unix.EISDIR, func(e *ring.SQE) { e.PrepReadAt(opened, p, 0) }},
		{ring.OpWrite, unix.EBADF, func(e *ring.SQE) { e.PrepWriteAt(readOnly, p, 0) }},
		{ring.OpReadv, unix.EISDIR, func(e *ring.SQE) { e.PrepReadv(opened, v, 0) }},
		{ring.OpWritev, unix.EBADF, func(e *ring.SQE) { e.PrepWritev(readOnly, v, 0) }},
		{ring.OpReadFixed, unix.EISDIR, func(e *ring.SQE) { e.PrepReadFixed(opened, fixed, 0, 0) }},
		{ring.OpWriteFixed, unix.EBADF, func(e *ring.SQE) { e.PrepWriteFixed(readOnly, fixed, 0, 0) }},
		{ring.OpSplice, unix.EINVAL, func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, w, ring.AtCursor, 8, 0) }},
		{ring.OpTee, unix.EINVAL, func(e *ring.SQE) { e.PrepTee(r, w, 8, 0) }},
		{ring.OpFsync, unix.EINVAL, func(e *ring.SQE) { e.PrepFsync(event, 0) }},
		{ring.OpFallocate, unix.EINVAL, func(e *ring.SQE) { e.PrepFallocate(file, 0, -1, 10) }},
		{ring.OpFtruncate, unix.EPERM, func(e *ring.SQE) { e.PrepFtruncate(h.sealed(), 10) }},
		{ring.OpFadvise, unix.ESPIPE, func(e *ring.SQE) { e.PrepFadvise(r, 0, 8, unix.FADV_NORMAL) }},
		{ring.OpOpenat, unix.ENOENT, func(e *ring.SQE) { e.PrepOpenat(here, missing, unix.O_RDONLY, 0) }},
		{ring.OpStatx, unix.ENOENT, func(e *ring.SQE) {
			e.PrepStatx(here, missing, 0, unix.STATX_BASIC_STATS, unsafe.Pointer(stat))
		}},
		{ring.OpUnlinkat, unix.ENOENT, func(e *ring.SQE) { e.PrepUnlinkat(here, missing, 0) }},
		{ring.OpMkdirat, unix.EEXIST, func(e *ring.SQE) { e.PrepMkdirat(here, taken, 0o700) }},
		{ring.OpRenameat, unix.ENOENT, func(e *ring.SQE) { e.PrepRenameat(here, missing, here, taken, 0) }},
		{ring.OpLinkat, unix.ENOENT, func(e *ring.SQE) { e.PrepLinkat(here, missing, here, taken, 0) }},
		{ring.OpSymlinkat, unix.EEXIST, func(e *ring.SQE) { e.PrepSymlinkat(missing, here, taken) }},
		{ring.OpClose, unix.EBADF, func(e *ring.SQE) { e.PrepClose(1 << 20) }},
		{ring.OpFixedFDInstall, unix.EBADF, func(e *ring.SQE) { e.PrepInstall(0, 0) }},
		{ring.OpPollAdd, unix.EBADF, func(e *ring.SQE) { e.PrepPoll(1<<20, ring.PollIn) }},
		{ring.OpPollRemove, unix.ENOENT, func(e *ring.SQE) { e.PrepOperation(uint8(ring.OpPollRemove), -1, 1<<50, 0, 0) }},
		{ring.OpTimeout, unix.ETIME, func(e *ring.SQE) { e.PrepTimeout(h.after(0), 0, 0) }},
		{ring.OpTimeoutRemove, unix.ENOENT, func(e *ring.SQE) { e.PrepTimeoutRemove(1 << 50) }},
		{ring.OpAsyncCancel, unix.ENOENT, func(e *ring.SQE) { e.PrepCancel(1<<50, 0) }},
	}
}

// refusing is an address where nobody listens, and nobody else will as long as
// the case runs.
func (h *harness) refusing() *unix.SockaddrInet4 {
	fd := h.socket()
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	return sa.(*unix.SockaddrInet4)
}

// sealed is a file that may not grow.
func (h *harness) sealed() int {
	fd, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(h, err)
	h.owned(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	require.NoError(h, err)
	return fd
}

// lacks reports whether an operation that is not refused for anything else
// failed because this kernel has none of its kind.
func (h *harness) lacks(f failing, c ring.CQE) bool {
	if f.want == unix.EINVAL || errnoOf(c) != unix.EINVAL {
		return false
	}
	require.False(h, ring.Probe().Supports(f.op.String()), "%v", f.op)
	return true
}

var brokenLinks = []testCase{
	{"which failures break a link, and which do not", func(h *harness) {
		for _, f := range h.failingOperations() {
			h.entry(1, f.prepare).SetFlags(ring.SQELink)
			h.entry(2, (*ring.SQE).PrepNop).SetFlags(ring.SQELink)
			h.entry(3, (*ring.SQE).PrepNop)
			c, second, third := h.result(1), h.result(2), h.result(3)
			if h.lacks(f, c) {
				continue
			}
			require.Equal(h, error(f.want), errnoOf(c), "%v", f.op)
			want := error(nil)
			if f.op.BreaksLink() {
				want = unix.ECANCELED
			}
			require.Equal(h, want, errnoOf(second), "behind %v", f.op)
			require.Equal(h, want, errnoOf(third), "behind %v", f.op)
		}
	}},
	{"no failure breaks a hard link", func(h *harness) {
		for _, f := range h.failingOperations() {
			h.entry(1, f.prepare).SetFlags(ring.SQEHardLink)
			h.entry(2, (*ring.SQE).PrepNop)
			c, second := h.result(1), h.result(2)
			if !h.lacks(f, c) {
				require.Equal(h, error(f.want), errnoOf(c), "%v", f.op)
				require.NoError(h, errnoOf(second), "behind %v", f.op)
			}
		}
	}},
	{"a descriptor that is none breaks every link", func(h *harness) {
		const none = 1 << 20
		_, w := h.pipe()
		p, fixed := h.memory(8), h.registered(8)
		v := h.vector(p)
		message := h.header(ring.Msghdr{Iov: &v[0], Iovlen: 1})
		address := h.text(string(rawAddress(&unix.SockaddrInet4{})))
		for op, prepare := range map[ring.Op]func(*ring.SQE){
			ring.OpAccept:     func(e *ring.SQE) { e.PrepAccept(none, 0) },
			ring.OpConnect:    func(e *ring.SQE) { e.PrepConnect(none, address) },
			ring.OpRecv:       func(e *ring.SQE) { e.PrepRecv(none, p, 0) },
			ring.OpSend:       func(e *ring.SQE) { e.PrepSend(none, p, 0) },
			ring.OpRecvmsg:    func(e *ring.SQE) { e.PrepRecvmsg(none, message, 0) },
			ring.OpSendmsg:    func(e *ring.SQE) { e.PrepSendmsg(none, message, 0) },
			ring.OpShutdown:   func(e *ring.SQE) { e.PrepShutdown(none, unix.SHUT_WR) },
			ring.OpRead:       func(e *ring.SQE) { e.PrepReadAt(none, p, 0) },
			ring.OpWrite:      func(e *ring.SQE) { e.PrepWriteAt(none, p, 0) },
			ring.OpReadv:      func(e *ring.SQE) { e.PrepReadv(none, v, 0) },
			ring.OpWritev:     func(e *ring.SQE) { e.PrepWritev(none, v, 0) },
			ring.OpReadFixed:  func(e *ring.SQE) { e.PrepReadFixed(none, fixed, 0, 0) },
			ring.OpWriteFixed: func(e *ring.SQE) { e.PrepWriteFixed(none, fixed, 0, 0) },
			ring.OpSplice:     func(e *ring.SQE) { e.PrepSplice(none, ring.AtCursor, w, ring.AtCursor, 8, 0) },
			ring.OpTee:        func(e *ring.SQE) { e.PrepTee(none, w, 8, 0) },
			ring.OpFsync:      func(e *ring.SQE) { e.PrepFsync(none, 0) },
			ring.OpFallocate:  func(e *ring.SQE) { e.PrepFallocate(none, 0, 0, 10) },
			ring.OpFtruncate:  func(e *ring.SQE) { e.PrepFtruncate(none, 10) },
			ring.OpFadvise:    func(e *ring.SQE) { e.PrepFadvise(none, 0, 8, unix.FADV_NORMAL) },
			ring.OpPollAdd:    func(e *ring.SQE) { e.PrepPoll(none, ring.PollIn) },
		} {
			h.entry(1, prepare).SetFlags(ring.SQELink)
			h.entry(2, (*ring.SQE).PrepNop)
			if c := h.result(1); !h.lacks(failing{op: op, want: unix.EBADF}, c) {
				require.Equal(h, error(unix.EBADF), errnoOf(c), "%v", op)
			}
			h.fails(2, unix.ECANCELED)
		}
	}},
	{"a directory that is none breaks a link to what it opens, and no other", func(h *harness) {
		stat := new(unix.Statx_t)
		h.kept = append(h.kept, stat)
		name, file := h.name("name"), os.DevNull
		const none = 1 << 20
		for op, prepare := range map[ring.Op]func(*ring.SQE){
			ring.OpOpenat:    func(e *ring.SQE) { e.PrepOpenat(none, name, unix.O_RDONLY, 0) },
			ring.OpStatx:     func(e *ring.SQE) { e.PrepStatx(none, name, 0, unix.STATX_BASIC_STATS, unsafe.Pointer(stat)) },
			ring.OpUnlinkat:  func(e *ring.SQE) { e.PrepUnlinkat(none, name, 0) },
			ring.OpMkdirat:   func(e *ring.SQE) { e.PrepMkdirat(none, name, 0o700) },
			ring.OpRenameat:  func(e *ring.SQE) { e.PrepRenameat(none, name, none, name, 0) },
			ring.OpLinkat:    func(e *ring.SQE) { e.PrepLinkat(here, h.name(file), none, name, 0) },
			ring.OpSymlinkat: func(e *ring.SQE) { e.PrepSymlinkat(name, none, name) },
		} {
			h.entry(1, prepare).SetFlags(ring.SQELink)
			h.entry(2, (*ring.SQE).PrepNop)
			h.fails(1, unix.EBADF)
			want := error(nil)
			if op.BreaksLink() {
				want = unix.ECANCELED
			}
			require.Equal(h, want, errnoOf(h.result(2)), "behind %v", op)
		}
	}},
}

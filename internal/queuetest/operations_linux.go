package queuetest

import (
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// operation is the row of one operation in the suites. The conformance cases and
// the random programs take all that they ask of every operation from here; what
// only one of them does has cases of its own.
type operation struct {
	op    ring.Op
	needs string  // the feature that it needs of io_uring besides the opcode, empty if none
	on    *object // that an entry is for; nil if it names no descriptor
	// entry makes an entry for a descriptor. Choices are left to dice; the first of
	// each gives an entry that succeeds.
	entry func(h *harness, fd int, dice Dice) request
	gives int  // what that one ends with; 0 for a descriptor
	area  bool // it needs a receive area: no random program has it

	// fails makes one that the queue takes, performs, and sees fail with errno. With
	// an entry that is wrong by itself the whole chain ends before it begins: that is
	// not what this is about. It is nil if there is no such entry.
	fails func(h *harness) func(*ring.SQE)
	errno unix.Errno
}

// isOn reports whether the kernel of a report has the operation.
func (row *operation) isOn(kernel ring.Report) bool {
	return !row.area && kernel.Supports(row.op.String()) && (row.needs == "" || kernel.Supports(row.needs))
}

// request is an entry to be submitted.
type request struct {
	prepare func(*ring.SQE)
	memory  []byte                // that it reads into
	brought func(*harness, int32) // takes what a success brought, if not a descriptor in the result
}

func plain(prepare func(*ring.SQE)) request { return request{prepare: prepare} }

func into(memory []byte, prepare func(*ring.SQE)) request {
	return request{prepare: prepare, memory: memory}
}

// Dice make the choices of a random program: one of 0 to n-1.
type Dice func(n int) int

// first always takes the first choice.
func first(int) int { return 0 }

func pick[T any](dice Dice, choices ...T) T { return choices[dice(len(choices))] }

// object is something that entries have a descriptor of.
type object struct {
	make   func(*harness) int
	shared bool // a program has one of it; else each entry has its own
	alone  bool // its entries are for no other object, but for numbers that are none
	names  bool // it is a directory, in which names are looked up
}

// what is the object of an entry.
func (h *harness) what(o *object) int {
	fd, made := h.objects[o]
	if !made || !o.shared {
		fd = o.make(h)
		h.objects[o] = fd
	}
	return fd
}

var (
	stream = &object{make: func(h *harness) int {
		ours, peer := h.pair()
		h.write(peer, "hello")
		return ours
	}}
	tcpStream  = &object{make: func(h *harness) int { ours, _ := h.tcpPair(); return ours }}
	idleSocket = &object{make: (*harness).socket} // each its own: another entry may have connected it
	newSocket  = &object{make: (*harness).socket}
	listening  = &object{make: func(h *harness) int {
		fd, addr := h.listener()
		h.dial(addr)
		return fd
	}}
	readEnd = &object{make: func(h *harness) int {
		r, w := h.pipe()
		h.write(w, "hello")
		return r
	}, alone: true} // a splice from a socket that is not connected waits for ever
	endingPipe = &object{make: func(h *harness) int {
		r, w := h.loosePipe()
		h.owned(r)
		h.write(w, "hello")
		require.NoError(h, unix.Close(w))
		return r
	}}
	endingConnection = &object{make: func(h *harness) int {
		ours, peer := h.tcpPair()
		h.write(peer, "hello")
		require.NoError(h, unix.Shutdown(peer, unix.SHUT_WR))
		return ours
	}}
	regular   = &object{make: func(h *harness) int { fd, _ := h.file("0123456789"); return fd }, shared: true}
	directory = &object{make: func(h *harness) int {
		_, path := h.file("0123456789")
		return h.open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY)
	}, shared: true, names: true}
	path       = &object{make: func(h *harness) int { return h.open(h.TempDir(), unix.O_PATH) }, shared: true}
	disposable = &object{make: func(h *harness) int { return h.open(h.TempDir(), unix.O_PATH) }, alone: true}
	filledSlot = &object{make: func(h *harness) int {
		fd, _ := h.file("x")
		h.table(1)
		_, err := h.UpdateFiles(0, []int32{int32(fd)})
		require.NoError(h, err)
		return 0
	}, shared: true, alone: true}
)

// noDescriptor is a number that stands for no file.
const noDescriptor = 1 << 20

func (h *harness) open(path string, flags int) int {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(fd)
	return fd
}

// fixed is memory in the first registered buffer, for one entry.
func (h *harness) fixed() (p []byte) {
	if h.arena == nil {
		h.arena = h.registered(4096)
	}
	p, h.arena = h.arena[:8:8], h.arena[8:]
	return p
}

// someVector is memory in two pieces.
func (h *harness) someVector(p []byte) []ring.Iovec { return h.vector(p[:3:3], p[3:]) }

func (h *harness) someMessage(p []byte) *ring.Msghdr {
	v := h.someVector(p)
	h.kept = append(h.kept, v)
	return h.header(ring.Msghdr{Iov: &v[0], Iovlen: uintptr(len(v))})
}

func (h *harness) someStatx() unsafe.Pointer {
	stat := new(unix.Statx_t)
	h.kept = append(h.kept, stat)
	return unsafe.Pointer(stat)
}

// someOffset is where to read and write a file.
func someOffset(dice Dice) int64 { return pick[int64](dice, 3, 0, 8, 100, ring.AtCursor, -2) }

// someName is one in directory; the first is there.
func (h *harness) someName(dice Dice) *byte {
	return h.name(pick(dice, "file", "new", "other", "", "file/x", "missing/x"))
}

// newName is one in directory; the first is not there.
func (h *harness) newName(dice Dice) *byte {
	if dice(3) == 0 {
		h.names++
		return h.name(fmt.Sprint("n", h.names))
	}
	return h.someName(dice)
}

// ends is memory for the descriptors of a pipe.
func (h *harness) ends() *[2]int32 {
	p := new([2]int32)
	h.kept = append(h.kept, p)
	return p
}

func (h *harness) sharedFile() int  { return h.what(regular) }
func (h *harness) readOnly() int    { return h.open("/proc/self/status", unix.O_RDONLY) }
func (h *harness) missing() *byte   { return h.name("missing") }
func (h *harness) inDirectory() int { return h.what(directory) }

// operations has a row for every operation of the contract, in the order of their
// codes.
var operations = []operation{
	{op: ring.OpNop, entry: func(*harness, int, Dice) request { return plain((*ring.SQE).PrepNop) }},
	{op: ring.OpReadv, on: regular, gives: 7,
		entry: func(h *harness, fd int, dice Dice) request {
			p, at := h.memory(8), someOffset(dice)
			v := h.someVector(p)
			return into(p, func(e *ring.SQE) { e.PrepReadv(fd, v, at) })
		},
		errno: unix.EISDIR, fails: func(h *harness) func(*ring.SQE) {
			v := h.someVector(h.memory(8))
			return func(e *ring.SQE) { e.PrepReadv(h.inDirectory(), v, 0) }
		}},
	{op: ring.OpWritev, on: regular, gives: 8,
		entry: func(h *harness, fd int, dice Dice) request {
			v, at := h.someVector(h.text("writtenv")), someOffset(dice)
			return plain(func(e *ring.SQE) { e.PrepWritev(fd, v, at) })
		},
		errno: unix.EBADF, fails: func(h *harness) func(*ring.SQE) {
			v := h.someVector(h.memory(8))
			return func(e *ring.SQE) { e.PrepWritev(h.readOnly(), v, 0) }
		}},
	{op: ring.OpFsync, on: regular,
		entry: func(_ *harness, fd int, dice Dice) request {
			flags := pick(dice, 0, ring.FsyncDataSync, 8)
			return plain(func(e *ring.SQE) { e.PrepFsync(fd, flags) })
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepFsync(h.eventfd(), 0) }
		}},
	{op: ring.OpReadFixed, needs: ring.FeatureRegisteredBuffers, on: regular, gives: 7,
		entry: func(h *harness, fd int, dice Dice) request {
			p, at := h.fixed(), someOffset(dice)
			return into(p, func(e *ring.SQE) { e.PrepReadFixed(fd, p, at, 0) })
		},
		errno: unix.EISDIR, fails: func(h *harness) func(*ring.SQE) {
			p := h.fixed()
			return func(e *ring.SQE) { e.PrepReadFixed(h.inDirectory(), p, 0, 0) }
		}},
	{op: ring.OpWriteFixed, needs: ring.FeatureRegisteredBuffers, on: regular, gives: 8,
		entry: func(h *harness, fd int, dice Dice) request {
			p, at := h.fixed(), someOffset(dice)
			return plain(func(e *ring.SQE) { e.PrepWriteFixed(fd, p, at, 0) })
		},
		errno: unix.EBADF, fails: func(h *harness) func(*ring.SQE) {
			p := h.fixed()
			return func(e *ring.SQE) { e.PrepWriteFixed(h.readOnly(), p, 0, 0) }
		}},
	{op: ring.OpPollAdd, on: stream, gives: int(ring.PollIn),
		entry: func(_ *harness, fd int, dice Dice) request {
			mask := pick(dice, ring.PollIn, ring.PollIn|ring.PollOut)
			return plain(func(e *ring.SQE) { e.PrepPoll(fd, mask) })
		},
		errno: unix.EBADF, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepPoll(noDescriptor, ring.PollIn) }
		}},
	{op: ring.OpPollRemove, gives: -int(unix.ENOENT),
		entry: func(*harness, int, Dice) request {
			return plain(func(e *ring.SQE) { e.PrepOperation(uint8(ring.OpPollRemove), -1, 1<<50, 0, 0) })
		},
		errno: unix.ENOENT, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepOperation(uint8(ring.OpPollRemove), -1, 1<<50, 0, 0) }
		}},
	{op: ring.OpSendmsg, on: stream, gives: 8,
		entry: func(h *harness, fd int, dice Dice) request {
			m, flags := h.someMessage(h.text("messages")), pick(dice, ring.MsgNoSignal, ring.MsgNoSignal|ring.MsgWaitAll)
			return plain(func(e *ring.SQE) { e.PrepSendmsg(fd, m, flags) })
		},
		errno: unix.EPIPE, fails: func(h *harness) func(*ring.SQE) {
			m := h.someMessage(h.memory(8))
			return func(e *ring.SQE) { e.PrepSendmsg(h.socket(), m, ring.MsgNoSignal) }
		}},
	{op: ring.OpRecvmsg, on: stream, gives: 5,
		entry: func(h *harness, fd int, dice Dice) request {
			p := h.memory(8)
			m, flags := h.someMessage(p), pick(dice, 0, ring.MsgPeek, ring.MsgDontWait)
			return into(p, func(e *ring.SQE) { e.PrepRecvmsg(fd, m, flags) })
		},
		errno: unix.ENOTCONN, fails: func(h *harness) func(*ring.SQE) {
			m := h.someMessage(h.memory(8))
			return func(e *ring.SQE) { e.PrepRecvmsg(h.socket(), m, 0) }
		}},
	{op: ring.OpTimeout, gives: -int(unix.ETIME),
		entry: func(h *harness, _ int, dice Dice) request {
			t := h.after(pick(dice, 0, time.Millisecond))
			return plain(func(e *ring.SQE) { e.PrepTimeout(t, 0, 0) })
		},
		errno: unix.ETIME, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepTimeout(h.after(0), 0, 0) }
		}},
	{op: ring.OpTimeoutRemove, gives: -int(unix.ENOENT),
		entry: func(*harness, int, Dice) request { return plain(func(e *ring.SQE) { e.PrepTimeoutRemove(1 << 50) }) },
		errno: unix.ENOENT, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepTimeoutRemove(1 << 50) }
		}},
	{op: ring.OpAccept, on: listening,
		entry: func(_ *harness, fd int, dice Dice) request {
			flags := pick[uint32](dice, unix.SOCK_CLOEXEC, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 1)
			return plain(func(e *ring.SQE) { e.PrepAccept(fd, flags) })
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepAccept(h.socket(), 0) }
		}},
	{op: ring.OpAsyncCancel, gives: -int(unix.ENOENT),
		entry: func(_ *harness, _ int, dice Dice) request {
			flags := pick(dice, 0, ring.CancelAll)
			return plain(func(e *ring.SQE) { e.PrepCancel(1<<50, flags) })
		},
		errno: unix.ENOENT, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepCancel(1<<50, 0) }
		}},
	{op: ring.OpLinkTimeout, gives: -int(unix.EINVAL), // it has nothing to limit
		entry: func(h *harness, _ int, _ Dice) request {
			t := h.after(time.Hour)
			return plain(func(e *ring.SQE) { e.PrepLinkTimeout(t, 0) })
		}},
	{op: ring.OpConnect, on: newSocket,
		entry: func(h *harness, fd int, dice Dice) request {
			_, to := h.listener()
			if dice(2) == 1 {
				to = h.refusing()
			}
			address := h.text(string(rawAddress(to)))
			return plain(func(e *ring.SQE) { e.PrepConnect(fd, address) })
		},
		errno: unix.ECONNREFUSED, fails: func(h *harness) func(*ring.SQE) {
			address := h.text(string(rawAddress(h.refusing())))
			return func(e *ring.SQE) { e.PrepConnect(h.socket(), address) }
		}},
	{op: ring.OpFallocate, on: regular,
		entry: func(_ *harness, fd int, dice Dice) request {
			mode := pick[uint32](dice, 0, unix.FALLOC_FL_KEEP_SIZE, 0x4000)
			at, n := pick[int64](dice, 0, 4096, -1), pick[int64](dice, 10, 5000, 0)
			return plain(func(e *ring.SQE) { e.PrepFallocate(fd, mode, at, n) })
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepFallocate(h.sharedFile(), 0, -1, 10) }
		}},
	{op: ring.OpOpenat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			name, flags := h.someName(dice), pick[uint32](dice, unix.O_RDONLY, unix.O_RDWR|unix.O_CREAT, unix.O_PATH, unix.O_RDWR|unix.O_TRUNC)
			return plain(func(e *ring.SQE) { e.PrepOpenat(fd, name, flags|unix.O_CLOEXEC, 0o600) })
		},
		errno: unix.ENOENT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepOpenat(here, h.missing(), unix.O_RDONLY, 0) }
		}},
	{op: ring.OpClose, on: disposable,
		entry: func(_ *harness, fd int, _ Dice) request {
			return request{prepare: func(e *ring.SQE) { e.PrepClose(fd) }, brought: func(h *harness, _ int32) { h.disown(fd) }}
		},
		errno: unix.EBADF, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepClose(noDescriptor) }
		}},
	{op: ring.OpStatx, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			name, flags, stat := h.someName(dice), pick[uint32](dice, 0, unix.AT_EMPTY_PATH, unix.AT_SYMLINK_NOFOLLOW), h.someStatx()
			return plain(func(e *ring.SQE) { e.PrepStatx(fd, name, flags, unix.STATX_BASIC_STATS, stat) })
		},
		errno: unix.ENOENT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepStatx(here, h.missing(), 0, unix.STATX_BASIC_STATS, h.someStatx()) }
		}},
	{op: ring.OpRead, on: regular, gives: 7,
		entry: func(h *harness, fd int, dice Dice) request {
			p, at := h.memory(8), someOffset(dice)
			return into(p, func(e *ring.SQE) { e.PrepReadAt(fd, p, at) })
		},
		errno: unix.EISDIR, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepReadAt(h.inDirectory(), h.memory(8), 0) }
		}},
	{op: ring.OpWrite, on: regular, gives: 7,
		entry: func(h *harness, fd int, dice Dice) request {
			p, at := h.text("written"), someOffset(dice)
			return plain(func(e *ring.SQE) { e.PrepWriteAt(fd, p, at) })
		},
		errno: unix.EBADF, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepWriteAt(h.readOnly(), h.memory(8), 0) }
		}},
	{op: ring.OpFadvise, on: regular,
		entry: func(_ *harness, fd int, dice Dice) request {
			advice := pick[uint32](dice, unix.FADV_NORMAL, unix.FADV_SEQUENTIAL, 99)
			return plain(func(e *ring.SQE) { e.PrepFadvise(fd, 0, 8, advice) })
		},
		errno: unix.ESPIPE, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepFadvise(h.what(readEnd), 0, 8, unix.FADV_NORMAL) }
		}},
	{op: ring.OpSend, on: stream, gives: 5,
		entry: func(h *harness, fd int, dice Dice) request {
			p, flags := h.text("bytes"), pick(dice, ring.MsgNoSignal, ring.MsgNoSignal|ring.MsgWaitAll)
			return plain(func(e *ring.SQE) { e.PrepSend(fd, p, flags) })
		},
		errno: unix.EPIPE, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepSend(h.socket(), h.memory(8), ring.MsgNoSignal) }
		}},
	{op: ring.OpRecv, on: stream, gives: 5,
		entry: func(h *harness, fd int, dice Dice) request {
			p, flags := h.memory(8), pick(dice, 0, ring.MsgPeek, ring.MsgDontWait)
			return into(p, func(e *ring.SQE) { e.PrepRecv(fd, p, flags) })
		},
		errno: unix.ENOTCONN, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepRecv(h.socket(), h.memory(8), 0) }
		}},
	{op: ring.OpSplice, on: readEnd, gives: 5,
		entry: func(h *harness, fd int, _ Dice) request {
			_, w := h.pipe()
			return plain(func(e *ring.SQE) { e.PrepSplice(fd, ring.AtCursor, w, ring.AtCursor, 5, 0) })
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			r, w := h.pipe()
			return func(e *ring.SQE) { e.PrepSplice(r, ring.AtCursor, w, ring.AtCursor, 8, 0) }
		}},
	{op: ring.OpTee, on: readEnd, gives: 5,
		entry: func(h *harness, fd int, _ Dice) request {
			_, w := h.pipe()
			return plain(func(e *ring.SQE) { e.PrepTee(fd, w, 5, 0) })
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			r, w := h.pipe()
			return func(e *ring.SQE) { e.PrepTee(r, w, 8, 0) }
		}},
	{op: ring.OpShutdown, on: stream,
		entry: func(_ *harness, fd int, dice Dice) request {
			how := pick(dice, unix.SHUT_WR, unix.SHUT_RD, unix.SHUT_RDWR, 7)
			return plain(func(e *ring.SQE) { e.PrepShutdown(fd, how) })
		},
		errno: unix.ENOTCONN, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepShutdown(h.socket(), unix.SHUT_WR) }
		}},
	{op: ring.OpRenameat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			from, to := h.someName(dice), h.newName(dice)
			flags := pick[uint32](dice, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE)
			return plain(func(e *ring.SQE) { e.PrepRenameat(fd, from, fd, to, flags) })
		},
		errno: unix.ENOENT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepRenameat(here, h.missing(), here, h.name("x"), 0) }
		}},
	{op: ring.OpUnlinkat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			name, flags := h.someName(dice), pick[uint32](dice, 0, unix.AT_REMOVEDIR, 1)
			return plain(func(e *ring.SQE) { e.PrepUnlinkat(fd, name, flags) })
		},
		errno: unix.ENOENT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepUnlinkat(here, h.missing(), 0) }
		}},
	{op: ring.OpMkdirat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			name := h.newName(dice)
			return plain(func(e *ring.SQE) { e.PrepMkdirat(fd, name, 0o700) })
		},
		errno: unix.EEXIST, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepMkdirat(here, h.name("/"), 0o700) }
		}},
	{op: ring.OpSymlinkat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			to, name := h.someName(dice), h.newName(dice)
			return plain(func(e *ring.SQE) { e.PrepSymlinkat(to, fd, name) })
		},
		errno: unix.EEXIST, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepSymlinkat(h.missing(), here, h.name("/")) }
		}},
	{op: ring.OpLinkat, on: directory,
		entry: func(h *harness, fd int, dice Dice) request {
			from, to, flags := h.someName(dice), h.newName(dice), pick[uint32](dice, 0, unix.AT_SYMLINK_FOLLOW, 1)
			return plain(func(e *ring.SQE) { e.PrepLinkat(fd, from, fd, to, flags) })
		},
		errno: unix.ENOENT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepLinkat(here, h.missing(), here, h.name("x"), 0) }
		}},
	{op: ring.OpSocket,
		entry: func(_ *harness, _ int, dice Dice) request {
			domain, kind := pick(dice, unix.AF_INET, unix.AF_UNIX, unix.AF_UNSPEC), pick(dice, unix.SOCK_STREAM, unix.SOCK_DGRAM, 1<<8)
			return plain(func(e *ring.SQE) { e.PrepSocket(domain, kind|unix.SOCK_CLOEXEC, 0) })
		},
		errno: unix.EAFNOSUPPORT, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepSocket(unix.AF_UNSPEC, unix.SOCK_STREAM, 0) }
		}},
	{op: ring.OpUringCmd, needs: ring.FeatureSocketOptions, on: idleSocket, gives: 4,
		entry: func(h *harness, fd int, dice Dice) request {
			value := pick(dice, h.text("\x01\x00\x00\x00"), h.memory(2), h.memory(0), h.memory(16))
			level, name := pick(dice, unix.SOL_SOCKET, unix.IPPROTO_TCP), pick(dice, unix.SO_KEEPALIVE, unix.SO_TYPE, unix.TCP_NODELAY, 9999)
			if dice(2) == 1 {
				return plain(func(e *ring.SQE) { e.PrepSetSocketOption(fd, level, name, value) })
			}
			return into(value, func(e *ring.SQE) { e.PrepGetSocketOption(fd, level, name, value) })
		},
		errno: unix.ENOPROTOOPT, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepSetSocketOption(h.socket(), unix.SOL_SOCKET, 9999, h.memory(4)) }
		}},
	{op: ring.OpSendZC, on: tcpStream, gives: 5,
		entry: func(h *harness, fd int, _ Dice) request {
			p := h.text("bytes")
			return plain(func(e *ring.SQE) { e.PrepSendZC(fd, p, ring.MsgNoSignal) })
		}},
	{op: ring.OpReadMultishot, on: endingPipe, gives: 5,
		entry: func(h *harness, fd int, _ Dice) request {
			if h.buffers == nil {
				h.buffers = h.group(64, 8, false)
			}
			return plain(func(e *ring.SQE) { e.PrepMultishotRead(fd, groupID) })
		},
		errno: unix.EBADFD, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepMultishotRead(h.sharedFile(), groupID) }
		}},
	{op: ring.OpFixedFDInstall, needs: ring.FeatureDirectDescriptors, on: filledSlot,
		entry: func(_ *harness, fd int, _ Dice) request { return plain(func(e *ring.SQE) { e.PrepInstall(fd, 0) }) },
		errno: unix.EBADF, fails: func(*harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepInstall(noDescriptor, 0) }
		}},
	{op: ring.OpFtruncate, on: regular,
		entry: func(_ *harness, fd int, dice Dice) request {
			n := pick[int64](dice, 4, 0, 5000, -1)
			return plain(func(e *ring.SQE) { e.PrepFtruncate(fd, n) })
		},
		errno: unix.EPERM, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepFtruncate(h.sealed(), 10) }
		}},
	{op: ring.OpRecvZC, area: true, on: endingConnection, gives: 5,
		entry: func(h *harness, fd int, _ Dice) request {
			return plain(func(e *ring.SQE) { e.PrepRecvZC(fd, 0) })
		},
		errno: unix.ENOTCONN, fails: func(h *harness) func(*ring.SQE) {
			fd := h.socket()
			return func(e *ring.SQE) { e.PrepRecvZC(fd, 0) }
		}},
	{op: ring.OpPipe,
		entry: func(h *harness, _ int, dice Dice) request {
			ends, flags := h.ends(), pick[uint32](dice, unix.O_CLOEXEC, unix.O_CLOEXEC|unix.O_NONBLOCK, unix.O_DIRECT, 1<<20)
			return request{
				prepare: func(e *ring.SQE) { e.PrepPipe(ends, flags) },
				brought: func(h *harness, _ int32) { h.owned(int(ends[0]), int(ends[1])) },
			}
		},
		errno: unix.EINVAL, fails: func(h *harness) func(*ring.SQE) {
			return func(e *ring.SQE) { e.PrepPipe(h.ends(), unix.O_CLOEXEC); e.SetSlot(0) }
		}},
}

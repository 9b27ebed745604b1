package queuetest

import (
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Run runs the suite on queues that open makes.
func Run(t *testing.T, open func() (ring.Queue, error)) { RunOn(t, ring.Probe(), open) }

// RunOn runs it on queues of a kernel with that report: what the kernel lacks is refused
// as documented. The fallback lacks nothing.
func RunOn(t *testing.T, kernel ring.Report, open func() (ring.Queue, error)) {
	runLists(t, kernel, open, append(contract(), withoutReceiving))
}

// contract is what holds of every queue.
func contract() [][]testCase {
	return [][]testCase{basics, streams, socketOptions, buffers, accepts, polls, timeouts, links, brokenLinks, cancels, endings, messages, files, aroundCache, cursors, shared, registeredBuffers, directDescriptors, zeroCopies, splices, pipes, multishotReads, overtaking}
}

// RunAbout is the part of RunOn, and of RunReceiving, that is about an operation, set-up
// flag or feature. The queues are opened with ZeroCopyReceive.
func RunAbout(t *testing.T, name string, kernel ring.Report, open func() (ring.Queue, error)) {
	about, ok := map[string][][]testCase{
		ring.OpUringCmd.String():          {socketOptions},
		ring.FeatureSocketOptions:         {socketOptions},
		ring.OpReadMultishot.String():     {multishotReads},
		ring.OpFixedFDInstall.String():    {directDescriptors},
		ring.FeatureDirectDescriptors:     {directDescriptors, socketOptions, pipes},
		ring.OpFtruncate.String():         {files},
		ring.OpPipe.String():              {pipes},
		ring.FeatureIncrementalBufferRing: {buffers, messages, multishotReads},
		ring.FeatureRegisteredBuffers:     {registeredBuffers},
		ring.OpRecvZC.String():            {receiving},
		ring.FeatureZeroCopyReceive:       {receiving},
		"IORING_SETUP_NO_SQARRAY":         {streams, splices},
	}[name]
	if ok {
		about = append(about, brokenLinks)
	} // else no queue uses it
	runLists(t, kernel, open, append(about, basics))
}

func runLists(t *testing.T, kernel ring.Report, open func() (ring.Queue, error), lists [][]testCase) {
	for _, list := range lists {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) { run(t, kernel, open, c.run) })
		}
	}
}

type testCase struct {
	name string
	run  func(*harness)
}

// run gives a case a queue of its own on a thread of its own, and looks for
// descriptors left over.
func run(t *testing.T, kernel ring.Report, open func() (ring.Queue, error), body func(*harness)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The memory that entries point to must stay reachable until their final
	// completion. The cases give much that nothing else refers to.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := descriptors(t)
	q, err := open()
	require.NoError(t, err)
	h := &harness{T: t, Queue: q, kernel: kernel, done: map[uint64][]ring.CQE{}, objects: map[*object]int{}}
	defer func() {
		require.NoError(t, q.Close())
		require.NoError(t, q.Close(), "closing twice is harmless")
		for _, fd := range h.fds {
			unix.Close(fd)
		}
		for _, a := range h.areas {
			require.NoError(t, a.Close())
		}
		if !t.Failed() {
			// What a thread that was left waiting opens is closed when it comes back: also
			// what one of an earlier case had open before this one.
			for deadline := time.Now().Add(patience); descriptors(t) > before; {
				require.True(t, time.Now().Before(deadline), "descriptors left over: %d, before %d", descriptors(t), before)
				runtime.Gosched()
			}
		}
	}()
	body(h)
}

func descriptors(t *testing.T) int {
	names, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	return len(names)
}

// harness is a queue with what a case needs around it.
type harness struct {
	*testing.T
	ring.Queue
	kernel ring.Report
	done   map[uint64][]ring.CQE // reaped and not asked for yet
	fds    []int
	kept   []any // memory that entries point to

	objects map[*object]int // those of a program, or made last
	areas   []*ring.ReceiveArea
	arena   []byte // what is left of the first registered buffer
	names   int    // given out
	buffers *group
}

// text, memory, name and header make memory that stays reachable for as long as
// the queue may use it: an entry does not keep it so.
func (h *harness) text(s string) []byte {
	p := []byte(s)
	h.kept = append(h.kept, p)
	return p
}

func (h *harness) memory(n int) []byte { return h.text(string(make([]byte, n))) }

func (h *harness) header(m ring.Msghdr) *ring.Msghdr {
	h.kept = append(h.kept, &m)
	return &m
}

func (h *harness) name(s string) *byte { return &h.text(s + "\x00")[0] }

// patience bounds how long a failing case waits; a passing one never does.
const patience = 30 * time.Second

// entry queues an entry with that user data.
func (h *harness) entry(userData uint64, prepare func(*ring.SQE)) *ring.SQE {
	e := h.Next()
	prepare(e)
	e.SetUserData(userData)
	return e
}

// fields is an entry field by field, for what no Prep method makes.
func fields(e *ring.SQE) *queueabi.Entry { return (*queueabi.SQE)(e).Entry() }

// result waits for the next completion with that user data.
func (h *harness) result(userData uint64) ring.CQE {
	h.Helper()
	for start := time.Now(); len(h.done[userData]) == 0; {
		require.Less(h, time.Since(start), patience, "no completion of %d", userData)
		require.NoError(h, h.Enter(patience))
		h.reap()
	}
	c := h.done[userData][0]
	h.done[userData] = h.done[userData][1:]
	return c
}

func (h *harness) reap() (n int) {
	var some [16]ring.CQE
	for {
		k := h.Reap(some[:])
		for _, c := range some[:k] {
			h.done[c.UserData()] = append(h.done[c.UserData()], c)
		}
		if n += k; k < len(some) {
			return n
		}
	}
}

// final waits for a completion, which must be the last and have that result.
func (h *harness) final(userData uint64, want int) ring.CQE {
	h.Helper()
	c := h.result(userData)
	require.Equal(h, int32(want), c.Result(), "result of %d: %v", userData, errnoOf(c))
	require.False(h, c.More(), "%d must be over", userData)
	return c
}

// fails waits for a final completion with that error.
func (h *harness) fails(userData uint64, want unix.Errno) {
	h.Helper()
	h.final(userData, -int(want))
}

func errnoOf(c ring.CQE) error {
	if c.Result() >= 0 {
		return nil
	}
	return unix.Errno(-c.Result())
}

// quiet submits, and requires that nothing completes: neither now nor, as far
// as a nop behind it can tell, soon.
func (h *harness) quiet(userData uint64) {
	h.Helper()
	const probe = 1 << 40
	for range 3 {
		h.entry(probe, (*ring.SQE).PrepNop)
		h.final(probe, 0)
	}
	require.Empty(h, h.done[userData], "%d must not complete yet", userData)
}

func (h *harness) owned(fds ...int) {
	h.fds = append(h.fds, fds...)
}

// withoutNumbers calls f while the process gets no descriptor. The limit is far below the
// numbers in use: others may be closed meanwhile, by the garbage collector for one. It is
// not 0, which poll(2) would refuse.
func (h *harness) withoutNumbers(f func()) {
	var limit unix.Rlimit
	require.NoError(h, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	require.NoError(h, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}))
	defer func() { require.NoError(h, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	f()
}

// pair is a connected pair of stream sockets: ours for the queue, blocking as
// the contract wants it, and the peer's for plain system calls.
func (h *harness) pair() (ours, peer int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(p[0], p[1])
	return p[0], p[1]
}

// pairAt is pair with our end under the number. Others may have closed a lower one, the
// garbage collector for one: then the kernel gives that out next.
func (h *harness) pairAt(number int) (peer int) {
	ours, peer := h.pair()
	switch number {
	case ours:
		return peer
	case peer:
		return ours
	}
	require.NoError(h, unix.Dup3(ours, number, unix.O_CLOEXEC))
	h.close(ours)
	h.owned(number)
	return peer
}

func (h *harness) socket() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(h, err)
	h.owned(fd)
	return fd
}

// listener listens on loopback.
func (h *harness) listener() (fd int, addr *unix.SockaddrInet4) {
	fd = h.socket()
	require.NoError(h, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(h, unix.Listen(fd, 64))
	sa, err := unix.Getsockname(fd)
	require.NoError(h, err)
	return fd, sa.(*unix.SockaddrInet4)
}

// dial connects a socket with a plain system call.
func (h *harness) dial(addr *unix.SockaddrInet4) int {
	fd := h.socket()
	require.NoError(h, unix.Connect(fd, addr))
	return fd
}

// tcpPair is a connection over loopback.
func (h *harness) tcpPair() (ours, peer int) {
	ln, addr := h.listener()
	peer = h.dial(addr)
	ours, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
	require.NoError(h, err)
	h.owned(ours)
	h.roomy(ours)
	h.roomy(peer)
	return ours, peer
}

// roomy gives a socket the memory that it has with the kernel's defaults at least, should
// those of this machine be smaller (net.ipv4.tcp_rmem, tcp_wmem): tests write some before
// they read.
func (h *harness) roomy(fd int) {
	const least = 1 << 16
	for _, option := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
		size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
		require.NoError(h, err)
		if size < least {
			require.NoError(h, unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 2*least))
		}
	}
}

func rawAddress(a *unix.SockaddrInet4) []byte {
	b := make([]byte, 16)
	b[0] = unix.AF_INET // native order of a little-endian machine; the suite runs on those
	b[2], b[3] = byte(a.Port>>8), byte(a.Port)
	copy(b[4:], a.Addr[:])
	return b
}

func (h *harness) eventfd() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(h, err)
	h.owned(fd)
	return fd
}

func (h *harness) write(fd int, p string) {
	h.Helper()
	n, err := unix.Write(fd, []byte(p))
	require.NoError(h, err)
	require.Equal(h, len(p), n)
}

// read reads exactly n bytes with plain system calls.
func (h *harness) read(fd, n int) []byte {
	h.Helper()
	p := make([]byte, n)
	for got := 0; got < n; {
		k, err := unix.Read(fd, p[got:])
		require.NoError(h, err)
		require.NotZero(h, k, "end of stream after %d of %d bytes", got, n)
		got += k
	}
	return p
}

// group is a buffer group with n buffers of size bytes.
type group struct {
	*ring.BufferRing
	mem [][]byte
}

const groupID = 7

func (h *harness) group(n, size int, incremental bool) *group {
	entries := 1
	for entries < n {
		entries *= 2
	}
	r, err := ring.NewBufferRing(entries)
	require.NoError(h, err)
	r.Incremental = incremental
	err = h.RegisterBufferRing(groupID, r)
	if incremental {
		h.registers(ring.FeatureIncrementalBufferRing, err)
	}
	require.NoError(h, err)
	g := &group{BufferRing: r}
	for i := range n {
		g.mem = append(g.mem, make([]byte, size))
		r.Add(g.mem[i], uint16(i))
	}
	r.Publish()
	return g
}

// bytes is what a completion put into the group's buffers.
func (g *group) bytes(h *harness, c ring.CQE) string {
	h.Helper()
	require.Positive(h, c.Result())
	require.NotZero(h, c.Flags()&ring.CQEFBuffer, "no buffer named")
	return string(g.mem[c.BufferID()][:c.Result()])
}

package faultqueue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var queues = map[string]func() (ring.Queue, error){
	"io_uring": func() (ring.Queue, error) { return ring.Open(ring.Options{}) },
	"epoll":    func() (ring.Queue, error) { return epollfallback.Open(epollfallback.Options{}) },
}

// requireKernel skips where this process may open no ring. The other queue is everywhere.
func requireKernel(t *testing.T) {
	t.Helper()
	if err := ring.Probe().Require(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		t.Skip("no io_uring here: ", err)
	}
	if err := lockedmemory.Short(); err != nil {
		t.Skip(err)
	}
}

// onEach runs test on each queue that this machine has.
func onEach(t *testing.T, test func(t *testing.T, open func() (ring.Queue, error))) {
	for name, open := range queues {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if name == "io_uring" {
				requireKernel(t)
			}
			q, err := open()
			require.NoError(t, err)
			require.NoError(t, q.Close())
			test(t, open)
		})
	}
}

// Where nothing goes wrong, it is the queue below.
func TestContract(t *testing.T) {
	onEach(t, func(t *testing.T, open func() (ring.Queue, error)) {
		queuetest.Run(t, func() (ring.Queue, error) {
			q, err := open()
			if err != nil {
				return nil, err
			}
			return New(q, func(Operation) Fault { return Fault{} }), nil
		})
	})
}

// bench is a queue under test.
type bench struct {
	*testing.T
	*Queue
}

// faulty runs test on a queue of each kind, where entries go wrong by their user data.
func faulty(t *testing.T, faults map[int]Fault, test func(b bench)) {
	onEach(t, func(t *testing.T, open func() (ring.Queue, error)) {
		below, err := open()
		require.NoError(t, err)
		n := 0
		b := bench{t, New(below, func(Operation) Fault { n++; return faults[n] })}
		defer func() { require.NoError(t, b.Close()) }()
		test(b)
	})
}

// put queues an entry, whose user data is its number.
func (b bench) put(userData uint64, flags uint8, prepare func(*ring.SQE)) {
	sqe := b.Next()
	prepare(sqe)
	sqe.SetUserData(userData)
	sqe.SetFlags(flags)
}

// reap waits for n completions or more.
func (b bench) reap(n int) (got []ring.CQE) {
	b.Helper()
	for len(got) < n {
		require.NoError(b, b.Enter(ring.Forever))
		var some [8]ring.CQE
		got = append(got, some[:b.Queue.Reap(some[:])]...)
	}
	return got
}

// told is user data and result.
func told(completions []ring.CQE) (all [][2]int) {
	for _, c := range completions {
		all = append(all, [2]int{int(c.UserData()), int(c.Result())})
	}
	return all
}

func errno(e syscall.Errno) int { return -int(e) }

func TestFailureBreaksALink(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	fd, p := int(f.Fd()), []byte("text")
	write := func(sqe *ring.SQE) { sqe.PrepWriteAt(fd, p, 0) }
	sync := func(sqe *ring.SQE) { sqe.PrepFsync(fd, 0) }
	for _, c := range []struct {
		name  string
		first func(*ring.SQE)
		link  uint8
		want  [][2]int
	}{
		{"write", write, ring.SQELink, [][2]int{{1, errno(syscall.EIO)}, {2, errno(syscall.ECANCELED)}}},
		{"write, hard link", write, ring.SQEHardLink, [][2]int{{1, errno(syscall.EIO)}, {2, 0}}},
		{"sync, which breaks none", sync, ring.SQELink, [][2]int{{1, errno(syscall.EIO)}, {2, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			faulty(t, map[int]Fault{1: {Errno: syscall.EIO}}, func(b bench) {
				b.put(1, c.link, c.first)
				b.put(2, 0, (*ring.SQE).PrepNop)
				require.Equal(t, c.want, told(b.reap(2)))
				require.Zero(t, b.InFlight())
			})
		})
	}
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Empty(t, content, "what fails is not performed")
}

func TestDelay(t *testing.T) {
	faulty(t, map[int]Fault{1: {Delay: 5}}, func(b bench) {
		b.put(1, ring.SQELink, (*ring.SQE).PrepNop)
		b.put(2, 0, (*ring.SQE).PrepNop)
		b.put(3, 0, (*ring.SQE).PrepNop)
		require.Equal(t, [][2]int{{3, 0}, {1, 0}, {2, 0}}, told(b.reap(3)), "others overtake, but not what it is linked to")
	})
}

func TestShort(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	p, vector := make([]byte, 10), []byte("message")
	h := &ring.Msghdr{Iov: &ring.Iovec{Base: &vector[0], Len: uintptr(len(vector))}, Iovlen: 1}
	whole := h.Iov
	faulty(t, map[int]Fault{1: {Limit: 3}, 2: {Limit: 3}, 3: {Limit: 3}}, func(b bench) {
		b.put(1, 0, func(sqe *ring.SQE) { sqe.PrepSend(pair[0], []byte("0123456789"), 0) })
		require.Equal(t, [][2]int{{1, 3}}, told(b.reap(1)))
		b.put(2, 0, func(sqe *ring.SQE) { sqe.PrepSendmsg(pair[0], h, 0) })
		require.Equal(t, [][2]int{{2, 3}}, told(b.reap(1)))
		require.Same(t, whole, h.Iov)
		b.put(3, 0, func(sqe *ring.SQE) { sqe.PrepRecv(pair[1], p, 0) })
		require.Equal(t, [][2]int{{3, 3}}, told(b.reap(1)))
		b.put(4, 0, func(sqe *ring.SQE) { sqe.PrepRecv(pair[1], p, 0) })
		require.Equal(t, [][2]int{{4, 3}}, told(b.reap(1)))
		require.Equal(t, "mes", string(p[:3]))
	})
}

func TestMultishotEnds(t *testing.T) {
	for _, fault := range []Fault{{Ends: 2}, {Ends: 1, Errno: syscall.ENOBUFS}} {
		faulty(t, map[int]Fault{1: fault}, func(b bench) {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			require.NoError(b, err)
			defer unix.Close(fd)
			more := []byte{1, 0, 0, 0, 0, 0, 0, 0}
			b.put(1, 0, func(sqe *ring.SQE) { sqe.PrepMultishotPoll(fd, ring.PollIn) })
			var got []ring.CQE
			for len(got) == 0 || got[len(got)-1].More() {
				_, err := unix.Write(fd, more)
				require.NoError(b, err)
				got = append(got, b.reap(1)...)
			}
			require.Len(b, got, 2)
			require.True(b, got[0].More())
			require.Positive(b, got[0].Result())
			if fault.Errno != 0 {
				require.EqualValues(b, errno(fault.Errno), got[1].Result())
			} else {
				require.Positive(b, got[1].Result())
			}
			require.Zero(b, b.InFlight())
		})
	}
}

func TestOverflow(t *testing.T) {
	faulty(t, map[int]Fault{1: {Overflow: true}}, func(b bench) {
		b.put(1, 0, (*ring.SQE).PrepNop)
		require.Equal(b, [][2]int{{1, 0}}, told(b.reap(1)))
		require.Positive(b, b.Stats().Overflows)
		require.EqualValues(b, 1, b.Stats().Submitted)
		require.EqualValues(b, 1, b.Stats().Completed)
	})
}

// What was opened and nobody has reaped is closed with the queue.
func TestCloseDiscards(t *testing.T) {
	onEach(t, func(t *testing.T, open func() (ring.Queue, error)) {
		before := sockets(t)
		below, err := open()
		require.NoError(t, err)
		q := New(below, func(Operation) Fault { return Fault{Delay: 1 << 20} })
		sqe := q.Next()
		sqe.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		sqe.SetUserData(1)
		for q.finals == 0 {
			require.NoError(t, q.Enter(0))
		}
		require.NoError(t, q.Close())
		require.Subset(t, before, sockets(t))
	})
}

// sockets are those that the process has open. No other descriptors: the garbage collector
// may close one meanwhile, and another then has its number.
func sockets(t *testing.T) (names []string) {
	list, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, fd := range list {
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, "socket:") {
			names = append(names, name)
		}
	}
	return names
}

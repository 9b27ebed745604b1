package epollfallback

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// bench is a queue under test, with what it completed.
type bench struct {
	testing.TB
	*Queue
	done []ring.CQE
}

func open(t testing.TB) *bench {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	// The memory that entries point to must stay reachable until their final
	// completion. The tests give much that nothing else refers to.
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	q, err := Open(Options{Entries: 64})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return &bench{TB: t, Queue: q}
}

// entry queues one entry.
func (b *bench) entry(userData uint64, prepare func(*ring.SQE)) *ring.SQE {
	e := b.Next()
	prepare(e)
	e.SetUserData(userData)
	return e
}

// turn submits, collects without waiting, and returns what completed.
func (b *bench) turn() []ring.CQE {
	require.NoError(b, b.Enter(0))
	return b.reap()
}

func (b *bench) reap() []ring.CQE {
	var got [64]ring.CQE
	var all []ring.CQE
	for {
		n := b.Reap(got[:])
		all = append(all, got[:n]...)
		if n < len(got) {
			return all
		}
	}
}

// await waits for one completion and takes it.
func (b *bench) await() ring.CQE {
	for len(b.done) == 0 {
		require.NoError(b, b.Enter(ring.Forever))
		b.done = b.reap()
	}
	c := b.done[0]
	b.done = b.done[1:]
	return c
}

// expect waits for the next completion, which must be this one.
func (b *bench) expect(userData uint64, result int) ring.CQE {
	b.Helper()
	c := b.await()
	require.Equal(b, userData, c.UserData(), "result %d", c.Result())
	require.EqualValues(b, result, c.Result())
	return c
}

func (b *bench) fails(userData uint64, errno unix.Errno) {
	b.Helper()
	b.expect(userData, -int(errno))
}

// quiet asserts that nothing completes.
func (b *bench) quiet() {
	b.Helper()
	require.Empty(b, b.turn())
	require.Empty(b, b.turn())
}

// pair returns two connected stream sockets.
func pair(t testing.TB) (ours, peer int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeAtEnd(t, fds[:]...)
	return fds[0], fds[1]
}

// tcpPair returns two connected TCP sockets.
func tcpPair(t testing.TB) (ours, peer int) {
	l, addr := listen(t)
	peer = tcpSocket(t)
	require.NoError(t, unix.Connect(peer, addr))
	ours, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	closeAtEnd(t, ours)
	for _, fd := range []int{ours, peer} {
		require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}
	return ours, peer
}

func tcpSocket(t testing.TB) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeAtEnd(t, fd)
	return fd
}

func listen(t testing.TB) (fd int, addr unix.Sockaddr) {
	fd = tcpSocket(t)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 64))
	addr, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return fd, addr
}

// connect opens one more client connection.
func connect(t testing.TB, addr unix.Sockaddr) int {
	fd := tcpSocket(t)
	require.NoError(t, unix.Connect(fd, addr))
	return fd
}

// closeAtEnd closes numbers that still stand for what they stand for now.
func closeAtEnd(t testing.TB, fds ...int) {
	var was []unix.Stat_t
	for _, fd := range fds {
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(fd, &st))
		was = append(was, st)
	}
	t.Cleanup(func() {
		for i, fd := range fds {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && st.Ino == was[i].Ino && st.Dev == was[i].Dev {
				unix.Close(fd)
			}
		}
	})
}

// write writes all of s.
func write(t testing.TB, fd int, s string) {
	n, err := unix.Write(fd, []byte(s))
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

// arrived waits until fd has something to read.
func arrived(t testing.TB, fd int, events int16) {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(p, -1)
		if err == unix.EINTR {
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return
	}
}

// provide registers a group of n buffers, numbered from 0.
func provide(t testing.TB, q ring.Queue, group uint16, n, size int) (*ring.BufferRing, [][]byte) {
	r, err := ring.NewBufferRing(n)
	require.NoError(t, err)
	buffers := make([][]byte, n)
	for i := range buffers {
		buffers[i] = make([]byte, size)
		r.Add(buffers[i], uint16(i))
	}
	r.Publish()
	require.NoError(t, q.RegisterBufferRing(group, r))
	return r, buffers
}

// pairAt returns two connected stream sockets, ours under the number. The garbage collector
// may have closed a lower one: the kernel need not give this out next.
func pairAt(t testing.TB, number int) (peer int) {
	ours, peer := pair(t)
	if peer == number {
		return ours
	}
	if ours != number {
		require.NoError(t, unix.Dup3(ours, number, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(ours))
		closeAtEnd(t, number)
	}
	return peer
}

// descriptors are those of the process, by number, and what each stands for. Counting them
// would not do: the garbage collector closes what tests dropped.
func descriptors(t testing.TB) map[string]string {
	const dir = "/proc/self/fd"
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	open := map[string]string{}
	for _, fd := range list {
		if name, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil { // it is not that of the directory
			open[fd.Name()] = name
		}
	}
	return open
}

// opened are the descriptors that were not open before.
func opened(t testing.TB, before map[string]string) map[string]string {
	now := descriptors(t)
	maps.DeleteFunc(now, func(fd, name string) bool { return before[fd] == name })
	return now
}

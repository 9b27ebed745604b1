package epollfallback

import (
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func makePipe(t testing.TB) (r, w int) {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	closeAtEnd(t, p[:]...)
	return p[0], p[1]
}

// fullPipe has no room in it.
func fullPipe(t testing.TB) (r, w int) {
	r, w = makePipe(t)
	size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
	require.NoError(t, err)
	write(t, w, string(make([]byte, size)))
	return r, w
}

// take is what one read(2) of up to n bytes brings.
func take(t testing.TB, fd, n int) []byte {
	p := make([]byte, n)
	n, err := unix.Read(fd, p)
	require.NoError(t, err)
	return p[:n]
}

func (b *bench) splice(userData uint64, in, out int, n uint32) *ring.SQE {
	return b.entry(userData, func(e *ring.SQE) { e.PrepSplice(in, ring.AtCursor, out, ring.AtCursor, n, 0) })
}

// stuck are splices parked on their source, on their destination, and on their
// destination after their source.
func stuck(t testing.TB, show func(b *bench, in, out int)) {
	b := open(t)
	in, _ := makePipe(t)
	_, out := makePipe(t)
	show(b, in, out)
	in, w := makePipe(t)
	write(t, w, "hello")
	_, out = fullPipe(t)
	show(b, in, out)
	in, w = makePipe(t)
	_, out = fullPipe(t)
	show(b, in, out)
	write(t, w, "hello")
	show(b, in, out)
}

// A splice that waits is past canceling to the kernel, and ends all the same.
func TestCancelSplice(t *testing.T) {
	stuck(t, func(b *bench, in, out int) {
		b.splice(1, in, out, 5)
		b.quiet()
		b.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
		b.fails(2, unix.EALREADY)
		b.fails(1, unix.ECANCELED)
		b.splice(1, in, out, 5)
		b.quiet()
		b.entry(2, func(e *ring.SQE) { e.PrepCancelFD(in, 0) })
		b.fails(2, unix.ENOENT)
		b.entry(3, func(e *ring.SQE) { e.PrepCancelFD(out, 0) })
		b.fails(3, unix.EALREADY)
		b.fails(1, unix.ECANCELED)
		b.splice(1, in, out, 5)
		b.quiet()
		b.entry(2, func(e *ring.SQE) { e.PrepCancelAny() })
		b.expect(2, 0)
		b.fails(1, unix.ECANCELED)
	})
}

func TestLinkTimeoutOfSplice(t *testing.T) {
	stuck(t, func(b *bench, in, out int) {
		limit := ring.NewTimespec(time.Millisecond)
		b.splice(1, in, out, 5).SetFlags(ring.SQELink)
		b.entry(2, func(e *ring.SQE) { e.PrepLinkTimeout(&limit, 0); e.SetFlags(ring.SQELink) })
		b.entry(3, (*ring.SQE).PrepNop)
		b.fails(2, unix.ETIME)
		b.fails(1, unix.ECANCELED)
		b.fails(3, unix.ECANCELED)
	})
}

// Those that wait for the same end have their turn in the order of submission,
// whatever the other one waited for before.
func TestSplicesInTurn(t *testing.T) {
	b := open(t)
	in, w := makePipe(t)
	back, out := fullPipe(t)
	b.splice(1, in, out, 2)
	b.splice(2, in, out, 2)
	b.entry(3, func(e *ring.SQE) { e.PrepWrite(out, []byte("last")) })
	b.entry(4, func(e *ring.SQE) { e.PrepRead(in, make([]byte, 2)) })
	b.quiet()
	write(t, w, "aabbcc")
	b.expect(4, 2) // both splices wait for room, and for nothing that is in the pipe
	take(t, back, 1<<16)
	b.expect(3, 4)
	b.expect(1, 2)
	b.expect(2, 2)
	require.Equal(t, "lastbbcc", string(take(t, back, 8)))
}

// What a worker cannot end because of the pipe waits for the pipe, not with the
// worker.
func TestSplicesOfFilesHoldNoWorker(t *testing.T) {
	b := open(t)
	f, err := unix.Open(t.TempDir()+"/file", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	closeAtEnd(t, f)
	write(t, f, "hello")
	const n = 100 // more than there are workers
	var backs, outs [n]int
	for i := range n {
		backs[i], outs[i] = fullPipe(t)
		b.entry(uint64(i), func(e *ring.SQE) { e.PrepSplice(f, 0, outs[i], ring.AtCursor, 5, 0) })
	}
	b.entry(n, func(e *ring.SQE) { e.PrepFsync(f, 0) })
	b.expect(n, 0)
	for i := range n / 2 {
		take(t, backs[i], 1<<16)
		b.expect(uint64(i), 5)
		require.Equal(t, "hello", string(take(t, backs[i], 5)))
	}
	for i := n / 2; i < n; i++ {
		b.entry(n, func(e *ring.SQE) { e.PrepCancel(uint64(i), 0) })
		b.fails(n, unix.EALREADY)
		b.fails(uint64(i), unix.ECANCELED)
	}
}

// Both numbers stay open while a splice needs them, and no longer.
func TestCloseEndsOfSplice(t *testing.T) {
	b := open(t)
	var source, destination [2]int
	require.NoError(t, unix.Pipe2(source[:], unix.O_CLOEXEC))
	require.NoError(t, unix.Pipe2(destination[:], unix.O_CLOEXEC))
	closeAtEnd(t, source[1], destination[0])
	b.splice(1, source[0], destination[1], 5)
	b.quiet()
	for _, fd := range []int{source[0], destination[1]} {
		b.entry(2, func(e *ring.SQE) { e.PrepClose(fd) })
		b.expect(2, 0)
		b.entry(3, func(e *ring.SQE) { e.PrepClose(fd) })
		b.fails(3, unix.EBADF)
		b.splice(4, source[0], destination[1], 5)
		b.fails(4, unix.EBADF)
	}
	write(t, source[1], "hello")
	b.expect(1, 5)
	require.Empty(t, b.turn())
	require.Equal(t, "hello", string(take(t, destination[0], 6)), "and the end")
	for _, fd := range []int{source[0], destination[1]} {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.Equal(t, unix.EBADF, err)
	}
}

// A number that was closed behind our back is not taken for the old file.
func TestSpliceWhoseSourceIsGone(t *testing.T) {
	b := open(t)
	in, w := makePipe(t)
	write(t, w, "hello")
	_, out := fullPipe(t)
	b.splice(1, in, out, 5)
	b.quiet()
	other, end := makePipe(t)
	require.NoError(t, unix.Dup3(other, in, unix.O_CLOEXEC))
	b.entry(2, func(e *ring.SQE) { e.PrepRead(in, make([]byte, 1)) })
	b.quiet()
	write(t, end, "x")
	b.expect(2, 1)
	b.entry(3, func(e *ring.SQE) { e.PrepCancel(1, 0) })
	b.fails(3, unix.EALREADY)
	b.fails(1, unix.ECANCELED)
}

// A registration of an earlier file is not taken for that of the end that it
// does not wait for at first.
func TestSpliceToANumberOfAnEarlierFile(t *testing.T) {
	b := open(t)
	in, w := makePipe(t)
	_, out := fullPipe(t)
	b.entry(2, func(e *ring.SQE) { e.PrepWrite(out, []byte("x")) }) // registers it
	b.quiet()
	b.entry(3, func(e *ring.SQE) { e.PrepCancel(2, 0) })
	b.expect(3, 0)
	b.fails(2, unix.ECANCELED)
	back, end := fullPipe(t)
	require.NoError(t, unix.Dup3(end, out, unix.O_CLOEXEC))
	b.splice(4, in, out, 5)
	b.quiet()
	write(t, w, "hello")
	b.quiet()
	take(t, back, 1<<16)
	b.expect(4, 5)
	require.Equal(t, "hello", string(take(t, back, 5)))
}

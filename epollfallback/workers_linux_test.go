package epollfallback

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// occupied is a queue with one worker, which is busy: it opens a pipe by name,
// and nobody has the other end yet.
func occupied(t *testing.T) (b *bench, release func()) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	q, err := Open(Options{Entries: 64, Workers: 1})
	require.NoError(t, err)
	q.workers.patience.relieve = time.Hour // nobody takes its place
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	b = &bench{TB: t, Queue: q}
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	b.entry(1, func(e *ring.SQE) {
		e.PrepOpenat(unix.AT_FDCWD, path(fifo), unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0)
	})
	b.quiet()
	for busy := false; !busy; runtime.Gosched() {
		q.workers.mu.Lock()
		busy = q.workers.running == 1
		q.workers.mu.Unlock()
	}
	return b, func() {
		abandoned := q.Stats().Abandoned > 0
		fd, err := unix.Open(fifo, unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		if abandoned {
			defer unix.Close(fd)
			awaitAbandoned(t, q)
			return
		}
		closeAtEnd(t, fd)
		c := b.await()
		require.EqualValues(t, 1, c.UserData())
		require.Positive(t, c.Result())
		closeAtEnd(t, int(c.Result()))
	}
}

func path(s string) *byte { return &append([]byte(s), 0)[0] }

func regular(t *testing.T, content string) (fd int) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	closeAtEnd(t, fd)
	return fd
}

func TestCancelOfWhatAWorkerPerforms(t *testing.T) {
	b, release := occupied(t)
	b.entry(2, func(e *ring.SQE) { e.PrepCancel(1, 0) })
	b.fails(2, unix.EALREADY)
	b.fails(1, unix.ECANCELED)
	require.EqualValues(t, 1, b.Stats().Abandoned)
	b.entry(4, func(e *ring.SQE) { e.PrepCancel(1, 0) })
	b.fails(4, unix.ENOENT)
	before := descriptors(t)
	release()
	awaitAbandoned(t, b.Queue)
	require.Empty(t, opened(t, before), "what it opened is closed")
	b.entry(5, func(e *ring.SQE) { e.PrepFsync(regular(t, "x"), 0) })
	b.expect(5, 0)
}

// awaitAbandoned waits for the workers that were abandoned.
func awaitAbandoned(t *testing.T, q *Queue) {
	t.Helper()
	for start := time.Now(); q.Stats().Abandoned > 0; runtime.Gosched() {
		require.Less(t, time.Since(start), 30*time.Second)
	}
}

// Lookups that hang have others take the place of their workers, up to a bound;
// beyond it they are refused, and what else there is for workers to do goes on.
func TestLookupsThatHang(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	q, err := Open(Options{Entries: 512, Workers: 16})
	require.NoError(t, err)
	b := &bench{TB: t, Queue: q}
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	const tooMany = maxStuck + 20
	for i := range uint64(tooMany) {
		b.entry(i, func(e *ring.SQE) {
			e.PrepOpenat(unix.AT_FDCWD, path(fifo), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		})
	}
	fd := regular(t, "x")
	b.entry(1000, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
	for range tooMany - maxStuck + 1 {
		c := b.await()
		if c.UserData() == 1000 {
			require.Zero(t, c.Result())
			continue
		}
		require.Equal(t, -int32(unix.EAGAIN), c.Result())
	}
	require.Zero(t, q.Stats().Abandoned)
	b.entry(2000, (*ring.SQE).PrepCancelAny)
	b.expect(2000, maxStuck)
	for range maxStuck {
		c := b.await()
		require.Equal(t, -int32(unix.ECANCELED), c.Result())
	}
	require.EqualValues(t, maxStuck, q.Stats().Abandoned)
	require.NoError(t, q.Close())
	// The other end lets them go.
	end, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(end)
	awaitAbandoned(t, q)
}

// The queue is closed in the moment in which a worker is about to begin with an open
// that hangs, and in any other.
func TestCloseWhileAWorkerBegins(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	before := descriptors(t)
	var queues []*Queue
	for turn := range 50 {
		q, err := Open(Options{Entries: 8, Workers: 2})
		require.NoError(t, err)
		for i := range uint64(4) {
			e := q.Next()
			e.PrepOpenat(unix.AT_FDCWD, path(fifo), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			e.SetUserData(i)
		}
		require.NoError(t, q.Enter(0))
		for range turn {
			runtime.Gosched()
		}
		require.NoError(t, q.Close())
		queues = append(queues, q)
	}
	end, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for _, q := range queues {
		awaitAbandoned(t, q)
	}
	require.NoError(t, unix.Close(end))
	require.Empty(t, opened(t, before))
}

func TestCancelOfWhatWaitsForAWorker(t *testing.T) {
	b, release := occupied(t)
	fd := regular(t, "x")
	for i := range uint64(5) { // some with the pool, some behind it
		b.entry(10+i, func(e *ring.SQE) { e.PrepFsync(fd, 0); e.SetFlags(ring.SQELink) })
		b.entry(20+i, func(e *ring.SQE) { e.PrepNop() })
	}
	b.quiet()
	for i := range uint64(5) {
		b.entry(30, func(e *ring.SQE) { e.PrepCancel(14-i, 0) })
		b.expect(30, 0)
		b.fails(14-i, unix.ECANCELED)
		b.fails(24-i, unix.ECANCELED)
	}
	b.entry(40, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
	b.entry(41, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
	b.entry(42, func(e *ring.SQE) { e.PrepCancelFD(fd, ring.CancelAll) })
	b.expect(42, 2)
	b.await()
	b.await()
	release()
}

func TestALinkTimeoutOfWhatWaitsForAWorker(t *testing.T) {
	b, release := occupied(t)
	fd := regular(t, "x")
	limit := ring.NewTimespec(1000)
	b.entry(2, func(e *ring.SQE) { e.PrepFsync(fd, 0); e.SetFlags(ring.SQELink) })
	b.entry(3, func(e *ring.SQE) { e.PrepLinkTimeout(&limit, 0) })
	b.fails(3, unix.ETIME)
	b.fails(2, unix.ECANCELED)
	release()
}

// What the workers have no room for waits, in its order, and takes no goroutine.
func TestWorkersAreBounded(t *testing.T) {
	b, release := occupied(t)
	fd := regular(t, "x")
	before := runtime.NumGoroutine()
	const n = 500
	for i := range uint64(n) {
		b.entry(100+i, func(e *ring.SQE) { e.PrepFsync(fd, ring.FsyncDataSync) })
	}
	b.quiet()
	require.LessOrEqual(t, runtime.NumGoroutine(), before) // of an earlier test one may have been at its end
	require.Equal(t, 2, b.workers.handed)
	release()
	for i := range uint64(n) {
		b.expect(100+i, 0)
	}
}

// A number stays taken while a worker may still use it, and is the program's no
// more.
func TestANumberIsClosedBehindItsWork(t *testing.T) {
	b, release := occupied(t)
	fd := regular(t, "before")
	b.entry(2, func(e *ring.SQE) { e.PrepFsync(fd, 0) })
	b.entry(3, func(e *ring.SQE) { e.PrepClose(fd) })
	b.expect(3, 0)
	other := regular(t, "other")
	require.NotEqual(t, fd, other)
	b.entry(4, func(e *ring.SQE) { e.PrepReadAt(fd, make([]byte, 1), 0) })
	b.fails(4, unix.EBADF)
	b.entry(5, func(e *ring.SQE) { e.PrepCancelFD(fd, 0) })
	b.fails(5, unix.EBADF)
	release()
	b.expect(2, 0)
	b.quiet()
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.Equal(t, unix.EBADF, err)
}

// A socket that epoll watched is closed behind the queue's back, and a file gets
// its number: reads of that must not wait for an event.
func TestAFileInAWatchedNumber(t *testing.T) {
	b := open(t)
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closeAtEnd(t, p[1])
	memory := make([]byte, 4)
	b.entry(1, func(e *ring.SQE) { e.PrepRead(p[0], memory) })
	b.quiet()
	write(t, p[1], "x")
	b.expect(1, 1)
	require.NoError(t, unix.Close(p[0]))
	fd := regular(t, "file")
	if fd != p[0] { // the garbage collector had closed one with a lower number
		require.NoError(t, unix.Dup3(fd, p[0], unix.O_CLOEXEC))
		closeAtEnd(t, p[0])
		fd = p[0]
	}
	require.NoError(t, unix.Fsync(fd))
	require.NoError(t, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	b.entry(2, func(e *ring.SQE) { e.PrepReadAt(fd, memory, 0) })
	b.expect(2, 4)
	require.Equal(t, "file", string(memory))
}

// Reading and writing files allocates nothing once the pool is warm.
func TestFileOperationsDoNotAllocate(t *testing.T) {
	b := open(t)
	fd := regular(t, "0123456789abcdef")
	memory := make([]byte, 16)
	var done [4]ring.CQE
	round := func() {
		e := b.Next()
		e.PrepWriteAt(fd, memory, 0)
		e.SetFlags(ring.SQELink)
		e = b.Next()
		e.PrepReadAt(fd, memory, 0)
		for n := 0; n < 2; {
			b.Enter(ring.Forever)
			n += b.Reap(done[:])
		}
	}
	for range 100 {
		round()
	}
	require.Zero(t, testing.AllocsPerRun(200, round))
}

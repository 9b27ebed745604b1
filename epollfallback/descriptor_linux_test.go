package epollfallback

import (
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOneRegistrationForTheLifeOfADescriptor(t *testing.T) {
	b := open(t)
	ours, peer := tcpPair(t)
	// Left to itself the kernel makes buffers that hold it all, if the machine is slow.
	require.NoError(t, unix.SetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<16))
	require.NoError(t, unix.SetsockoptInt(peer, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16))
	in, out := make([]byte, 64), make([]byte, 16<<20)
	before := b.controls
	for range 50 {
		b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, in, 0) })
		require.Empty(t, b.turn())
		write(t, peer, "hello")
		b.expect(1, 5)
	}
	require.EqualValues(t, 1, b.registrations)
	for range 5 { // writes that block
		b.entry(2, func(e *ring.SQE) { e.PrepSend(ours, out, ring.MsgWaitAll) })
		require.Empty(t, b.turn())
		drain(t, peer, len(out), func() { require.NoError(t, b.Enter(0)) })
		b.expect(2, len(out))
	}
	require.EqualValues(t, 1, b.registrations)
	require.EqualValues(t, 2, b.controls-before-b.confirmations, "added once, writing added to it once")
}

// drain reads n bytes without blocking, and lets others do something meanwhile.
func drain(t testing.TB, fd, n int, meanwhile func()) {
	p := make([]byte, 1<<16)
	for n > 0 {
		k, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			meanwhile()
			continue
		}
		require.NoError(t, err)
		n -= k
	}
}

// What is in flight when a descriptor is closed goes on, on the file it was
// submitted for.
func TestCloseLeavesOperationsOnTheirFile(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	p, other := make([]byte, 8), make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.entry(2, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollIn) })
	b.quiet()
	b.entry(3, func(e *ring.SQE) { e.PrepClose(ours) })
	b.expect(3, 0)

	another := pairAt(t, ours)
	b.entry(4, func(e *ring.SQE) { e.PrepRecv(ours, other, 0) })
	b.quiet()

	write(t, another, "new")
	b.expect(4, 3)
	write(t, peer, "old")
	got := []ring.CQE{b.await(), b.await()}
	require.ElementsMatch(t, []uint64{1, 2}, []uint64{got[0].UserData(), got[1].UserData()})
	require.Equal(t, "old", string(p[:3]))
	require.Equal(t, "new", string(other[:3]))
	_, err := unix.Write(peer, p)
	require.Equal(t, unix.EPIPE, err, "with the last operation the file is closed")
}

func TestCloseWithoutOperationsClosesAtOnce(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.quiet()
	write(t, peer, "x")
	b.expect(1, 1)
	b.entry(2, func(e *ring.SQE) { e.PrepClose(ours) })
	b.expect(2, 0)
	_, err := unix.Write(peer, p)
	require.Equal(t, unix.EPIPE, err, "nothing stands for the file")
	require.Nil(t, b.lookup(int32(ours)))
}

// A program may close a number that nothing is in flight on as it likes; epoll
// forgets it without a word.
func TestNumberReusedBehindOurBack(t *testing.T) {
	for name, enter := range map[string]func(*bench) ring.CQE{
		"waiting":  (*bench).await,
		"spinning": (*bench).spin,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			ours, peer := pair(t)
			p := make([]byte, 8)
			for range 3 {
				b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
				b.quiet()
				write(t, peer, "x")
				b.expect(1, 1)

				unix.Close(ours)
				unix.Close(peer)
				peer = pairAt(t, ours)
				b.entry(2, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
				b.quiet()
				write(t, peer, "yy")
				c2 := enter(b)
				require.EqualValues(t, 2, c2.UserData())
				require.EqualValues(t, 2, c2.Result())
			}
		})
	}
}

// spin turns without ever waiting until something completes.
func (b *bench) spin() ring.CQE {
	for {
		if got := b.turn(); len(got) > 0 {
			return got[0]
		}
	}
}

// Closing a number with close(2) while something is in flight on it is a
// breach of the contract. Even so, nobody gets what belongs to another.
func TestNumberReusedUnderAnOperation(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	p, other := make([]byte, 8), make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.quiet()
	unix.Close(ours)
	unix.Close(peer)
	peer = pairAt(t, ours)

	b.entry(2, func(e *ring.SQE) { e.PrepRecv(ours, other, 0) })
	b.quiet()
	write(t, peer, "yy")
	b.expect(2, 2)
	require.Equal(t, "yy", string(other[:2]))
	b.entry(3, func(e *ring.SQE) { e.PrepCancelFD(ours, ring.CancelAll) })
	b.expect(3, 0)
	require.Equal(t, 1, b.InFlight())
	b.entry(4, func(e *ring.SQE) { e.PrepCancel(1, 0) })
	b.expect(4, 0)
	b.fails(1, unix.ECANCELED)
}

// A registration that outlives its number, of a file that lives on elsewhere, has
// an earlier generation: its events must not reach what the number stands for later.
func TestStaleEventFindsNoOwner(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	alias, err := unix.FcntlInt(uintptr(ours), unix.F_DUPFD_CLOEXEC, 100)
	require.NoError(t, err)
	closeAtEnd(t, alias)
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.quiet()
	write(t, peer, "x")
	b.expect(1, 1)
	earlier := b.lookup(int32(ours)).generation
	b.entry(2, func(e *ring.SQE) { e.PrepClose(ours) })
	b.expect(2, 0)
	require.NoError(t, unix.EpollCtl(int(b.epoll), unix.EPOLL_CTL_ADD, alias,
		&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(ours), Pad: earlier}))

	pairAt(t, ours)
	b.entry(3, func(e *ring.SQE) { e.PrepMultishotPoll(ours, ring.PollIn) })
	b.quiet()
	before := b.stale
	write(t, peer, "for the old one")
	b.quiet()
	require.Greater(t, b.stale, before)
}

// A connection accepted under a number is a new file, whatever was known of
// the number.
func TestAcceptedNumberIsFresh(t *testing.T) {
	b := open(t)
	l, addr := listen(t)
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepMultishotAccept(l, unix.SOCK_CLOEXEC) })
	client := connect(t, addr)
	first := b.await()
	conn := int(first.Result())
	for again := false; !again; {
		b.entry(2, func(e *ring.SQE) { e.PrepRecv(conn, p, 0) })
		b.quiet()
		client = connect(t, addr)
		require.NoError(t, unix.Close(conn)) // under the operation
		occupy(t, conn)
		next := b.await()
		require.EqualValues(t, 1, next.UserData())
		again = int(next.Result()) == conn // else the garbage collector has closed a lower one
		conn = int(next.Result())
		closeAtEnd(t, conn)
	}
	b.entry(3, func(e *ring.SQE) { e.PrepRecv(conn, p, 0) })
	b.quiet()
	write(t, client, "hi")
	b.expect(3, 2)
}

// occupy leaves no number free below one that is.
func occupy(t *testing.T, number int) {
	for {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		require.NoError(t, err)
		if fd >= number {
			require.NoError(t, unix.Close(fd))
			return
		}
		closeAtEnd(t, fd)
	}
}

func TestCloseLeavesNoDescriptorBehind(t *testing.T) {
	before := descriptors(t)
	q, err := Open(Options{})
	require.NoError(t, err)
	b := &bench{TB: t, Queue: q}
	l, addr := listen(t)
	var clients []int
	for range 3 {
		clients = append(clients, connect(t, addr))
	}
	ours, peer := pair(t)
	b.entry(1, func(e *ring.SQE) { e.PrepMultishotAccept(l, unix.SOCK_CLOEXEC) })
	b.entry(2, func(e *ring.SQE) { e.PrepRecv(ours, make([]byte, 8), 0) })
	b.entry(3, func(e *ring.SQE) { e.PrepTimeout(&ring.Timespec{Sec: 3600}, 0, 0) })
	b.entry(4, func(e *ring.SQE) { e.PrepNop() }).SetFlags(ring.SQEDrain)
	b.entry(5, func(e *ring.SQE) { e.PrepClose(ours) }).SetFlags(ring.SQELink)
	require.NoError(t, b.Enter(0)) // three connections, which nobody takes
	b.entry(6, func(e *ring.SQE) { e.PrepClose(ours) })
	b.entry(7, (*ring.SQE).PrepNop)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	require.Zero(t, q.live)
	for _, fd := range append(clients, l, ours, peer) {
		unix.Close(fd)
	}
	require.Empty(t, opened(t, before))

	require.ErrorIs(t, q.Enter(0), errClosed)
	q.Next().PrepNop()
	require.Zero(t, q.Reap(make([]ring.CQE, 1)))
	require.Error(t, q.RegisterBufferRing(1, nil))
	require.Error(t, q.Reserve(1))
}

// A file that lives on elsewhere, passed to another process for example, is none
// of the queue's business once its number here is closed.
func TestCloseEndsTheRegistrationOfAFileThatLivesOn(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.quiet()
	write(t, peer, "one")
	b.expect(1, 3)
	elsewhere, err := unix.Dup(ours)
	require.NoError(t, err)
	closeAtEnd(t, elsewhere)
	b.entry(2, func(e *ring.SQE) { e.PrepClose(ours) })
	b.expect(2, 0)
	write(t, peer, "two")
	b.quiet()
	require.Zero(t, b.stale)
}

// Where epoll takes no other number of a file, what is in flight goes on under the number
// that it has. Here epoll has that other number of the file already.
func TestCloseWhereEpollTakesNoDuplicate(t *testing.T) {
	b := open(t)
	ours, peer := pair(t)
	number, errno := b.duplicate(int32(ours))
	require.Zero(t, errno)
	require.NoError(t, unix.EpollCtl(int(b.epoll), unix.EPOLL_CTL_ADD, int(number), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: number}))
	require.NoError(t, unix.Close(int(number)))
	p := make([]byte, 8)
	b.entry(1, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.entry(2, func(e *ring.SQE) { e.PrepPoll(ours, ring.PollIn) })
	b.quiet()
	b.entry(3, func(e *ring.SQE) { e.PrepClose(ours) })
	b.expect(3, 0)
	b.entry(4, func(e *ring.SQE) { e.PrepRecv(ours, p, 0) })
	b.fails(4, unix.EBADF)
	write(t, peer, "hello")
	b.expect(1, 5)
	b.expect(2, int(ring.PollIn))
	b.quiet()
	_, err := unix.FcntlInt(uintptr(ours), unix.F_GETFD, 0)
	require.Equal(t, unix.EBADF, err, "the last of them closes it")
}

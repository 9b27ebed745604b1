package queuetest

import (
	"runtime"
	"testing"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchDirect measures what direct descriptors gain on queues that open makes: each
// benchmark does the same with descriptors of the process and with slots, so that
// their ratio counts.
func BenchDirect(b *testing.B, open func() (ring.Queue, error)) {
	for _, m := range []struct {
		name string
		run  func(b *testing.B, q ring.Queue, slots bool)
	}{{"poll", pollReady}, {"echo", echoPairs}, {"accept", acceptAndClose}, {"chain", openReadClose}} {
		for _, slots := range []bool{false, true} {
			name := m.name + "/numbers"
			if slots {
				name = m.name + "/slots"
			}
			b.Run(name, func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				q, err := open()
				require.NoError(b, err)
				defer q.Close()
				require.NoError(b, q.RegisterFiles(256))
				m.run(b, q, slots)
			})
		}
	}
}

// fix has an entry take its descriptor for a slot, if that is what is measured.
func fix(e *ring.SQE, slots bool) {
	if slots {
		e.SetFlags(ring.SQEFixedFile)
	}
}

// drain enters until n completions have come.
func drain(b *testing.B, q ring.Queue, n int, take func(*ring.CQE)) {
	var done [64]ring.CQE
	for n > 0 {
		if err := q.Enter(ring.Forever); err != nil {
			b.Fatal(err)
		}
		k := q.Reap(done[:])
		for i := range done[:k] {
			if done[i].Result() < 0 {
				b.Fatal(unix.Errno(-done[i].Result()))
			}
			take(&done[i])
		}
		n -= k
	}
}

// echoPairs echoes 64 bytes over each of 64 socket pairs, the server's half by the
// queue: a receive and a send for each. The client's half is plain system calls,
// in the figure of both.
func echoPairs(b *testing.B, q ring.Queue, slots bool) {
	const pairs, size = 64, 64
	var ours, peers [pairs]int
	var memory [pairs][]byte
	for i := range pairs {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(b, err)
		defer unix.Close(p[0])
		defer unix.Close(p[1])
		ours[i], peers[i], memory[i] = p[0], p[1], make([]byte, size)
		if slots {
			_, err = q.UpdateFiles(i, []int32{int32(p[0])})
			require.NoError(b, err)
			ours[i] = i
		}
	}
	message := make([]byte, size)
	for b.Loop() {
		for i := range pairs {
			unix.Write(peers[i], message)
		}
		for i := range pairs {
			e := q.Next()
			e.PrepRecv(ours[i], memory[i], 0)
			fix(e, slots)
		}
		drain(b, q, pairs, func(*ring.CQE) {})
		for i := range pairs {
			e := q.Next()
			e.PrepSend(ours[i], memory[i], ring.MsgNoSignal)
			fix(e, slots)
		}
		drain(b, q, pairs, func(*ring.CQE) {})
		for i := range pairs {
			unix.Read(peers[i], message)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pairs, "ns/echo")
}

// pollReady is what an entry costs besides its operation: a poll that finds its
// descriptor ready.
func pollReady(b *testing.B, q ring.Queue, slots bool) {
	const files = 64
	var ours [files]int
	for i := range files {
		fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
		require.NoError(b, err)
		defer unix.Close(fd)
		ours[i] = fd
		if slots {
			_, err = q.UpdateFiles(i, []int32{int32(fd)})
			require.NoError(b, err)
			ours[i] = i
		}
	}
	for b.Loop() {
		for i := range files {
			e := q.Next()
			e.PrepPoll(ours[i], ring.PollIn)
			fix(e, slots)
		}
		drain(b, q, files, func(*ring.CQE) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/poll")
}

// acceptAndClose accepts and closes a connection, which plain system calls make
// and close.
func acceptAndClose(b *testing.B, q ring.Queue, slots bool) {
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(b, err)
	defer unix.Close(listener)
	require.NoError(b, unix.Bind(listener, &unix.SockaddrUnix{})) // a name the kernel chooses
	require.NoError(b, unix.Listen(listener, 16))
	address, err := unix.Getsockname(listener)
	require.NoError(b, err)
	for b.Loop() {
		client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.Connect(client, address); err != nil {
			b.Fatal(err)
		}
		e := q.Next()
		if slots {
			e.PrepAccept(listener, 0)
			e.SetSlot(ring.AnySlot)
		} else {
			e.PrepAccept(listener, unix.SOCK_CLOEXEC)
		}
		drain(b, q, 1, func(c *ring.CQE) {
			e := q.Next()
			if slots {
				e.PrepCloseDirect(int(c.Result()))
			} else {
				e.PrepClose(int(c.Result()))
			}
		})
		drain(b, q, 1, func(*ring.CQE) {})
		unix.Close(client)
	}
}

// openReadClose opens, reads and closes a file: in three submissions with a
// descriptor, in one with a slot.
func openReadClose(b *testing.B, q ring.Queue, slots bool) {
	path := append([]byte(b.TempDir()), "/file\x00"...)
	fd, err := unix.Open(string(path[:len(path)-1]), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	require.NoError(b, err)
	_, err = unix.Write(fd, make([]byte, 1000))
	require.NoError(b, err)
	require.NoError(b, unix.Close(fd))
	p := make([]byte, 1000)
	for b.Loop() {
		if slots {
			e := q.Next()
			e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY, 0)
			e.SetSlot(0)
			e.SetFlags(ring.SQELink)
			e = q.Next()
			e.PrepReadAt(0, p, 0)
			e.SetFlags(ring.SQEFixedFile | ring.SQEHardLink)
			q.Next().PrepCloseDirect(0)
			drain(b, q, 3, func(*ring.CQE) {})
			continue
		}
		q.Next().PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
		drain(b, q, 1, func(c *ring.CQE) { fd = int(c.Result()) })
		q.Next().PrepReadAt(fd, p, 0)
		drain(b, q, 1, func(*ring.CQE) {})
		q.Next().PrepClose(fd)
		drain(b, q, 1, func(*ring.CQE) {})
	}
}

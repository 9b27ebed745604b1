package queuetest

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchDirect measures what direct descriptors gain on queues that open makes. Each
// of its benchmarks does the same with descriptors of the process and with slots,
// in turns of a fraction of a millisecond, and reports processor time of the thread
// for both and the median of their ratio: on a machine that others use, too, that
// is what can be trusted.
func BenchDirect(b *testing.B, open func() (ring.Queue, error)) {
	for _, m := range []struct {
		name string
		make func(*direct) func(slots bool)
	}{{"poll", pollReady}, {"echo", echoPairs}, {"stream", echoStreams}, {"accept", acceptAndClose}, {"chain", openReadClose}} {
		b.Run(m.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			q, err := open()
			require.NoError(b, err)
			defer q.Close()
			require.NoError(b, q.RegisterFiles(256))
			d := &direct{B: b, q: q}
			d.compare(m.make(d))
		})
	}
}

// turnOf is how many times each way is gone in a turn.
const turnOf = 64

// direct is one of the benchmarks.
type direct struct {
	*testing.B
	q     ring.Queue
	aside time.Duration // spent on what does not count
}

// client does what the other end does, which does not count.
func (d *direct) client(do func()) {
	start := threadTime(d)
	do()
	d.aside += threadTime(d) - start
}

// compare goes both ways by turns; turn does it turnOf times.
func (d *direct) compare(turn func(slots bool)) {
	var spent [2]time.Duration
	var ratios []float64
	for first := 0; d.Loop(); first ^= 1 {
		var now [2]time.Duration
		for _, way := range [2]int{first, first ^ 1} {
			start := threadTime(d)
			d.aside = 0
			turn(way == 1)
			now[way] = threadTime(d) - start - d.aside
			spent[way] += now[way]
		}
		ratios = append(ratios, float64(now[1])/float64(now[0]))
	}
	slices.Sort(ratios)
	each := float64(d.N * turnOf)
	d.ReportMetric(float64(spent[0])/each, "numbers-ns")
	d.ReportMetric(float64(spent[1])/each, "slots-ns")
	d.ReportMetric(ratios[len(ratios)/2], "slots/numbers")
	d.ReportMetric(0, "ns/op")
}

// threadTime is the processor time of the calling thread.
func threadTime(d *direct) time.Duration {
	var t unix.Timespec
	require.NoError(d, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t))
	return time.Duration(t.Nano())
}

// name has an entry take its descriptor for a slot, if that is the way.
func name(e *ring.SQE, slots bool) {
	if slots {
		e.SetFlags(ring.SQEFixedFile)
	}
}

// drain enters until n completions have come.
func (d *direct) drain(n int, take func(*ring.CQE)) {
	var done [turnOf]ring.CQE
	for n > 0 {
		if err := d.q.Enter(ring.Forever); err != nil {
			d.Fatal(err)
		}
		k := d.q.Reap(done[:])
		for i := range done[:k] {
			if done[i].Result() < 0 {
				d.Fatal(unix.Errno(-done[i].Result()))
			}
			if take != nil {
				take(&done[i])
			}
		}
		n -= k
	}
}

// file puts a descriptor into a slot besides, and closes it with the benchmark.
func (d *direct) file(slot, fd int) int {
	_, err := d.q.UpdateFiles(slot, []int32{int32(fd)})
	require.NoError(d, err)
	d.Cleanup(func() { unix.Close(fd) })
	return fd
}

// pollReady is what an entry costs besides its operation: a poll that finds its
// descriptor ready.
func pollReady(d *direct) func(slots bool) {
	var fds [turnOf]int
	for i := range fds {
		fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
		require.NoError(d, err)
		fds[i] = d.file(i, fd)
	}
	return func(slots bool) {
		for i, fd := range fds {
			if slots {
				fd = i
			}
			e := d.q.Next()
			e.PrepPoll(fd, ring.PollIn)
			name(e, slots)
		}
		d.drain(len(fds), nil)
	}
}

// echoPairs echoes 64 bytes over each of 64 socket pairs: a receive and a send for
// each.
func echoPairs(d *direct) func(slots bool) {
	const size = 64
	var fds, peers [turnOf]int
	var memory [turnOf][]byte
	for i := range fds {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(d, err)
		d.Cleanup(func() { unix.Close(p[1]) })
		fds[i], peers[i], memory[i] = d.file(i, p[0]), p[1], make([]byte, size)
	}
	message := make([]byte, size)
	return func(slots bool) {
		d.client(func() { writeAll(peers[:], message) })
		for _, prepare := range [2]func(e *ring.SQE, fd int, p []byte){
			func(e *ring.SQE, fd int, p []byte) { e.PrepRecv(fd, p, 0) },
			func(e *ring.SQE, fd int, p []byte) { e.PrepSend(fd, p, ring.MsgNoSignal) },
		} {
			for i, fd := range fds {
				if slots {
					fd = i
				}
				e := d.q.Next()
				prepare(e, fd, memory[i])
				name(e, slots)
			}
			d.drain(len(fds), nil)
		}
		d.client(func() { readAll(peers[:], message) })
	}
}

func writeAll(fds []int, p []byte) {
	for _, fd := range fds {
		unix.Write(fd, p)
	}
}

func readAll(fds []int, p []byte) {
	for _, fd := range fds {
		unix.Read(fd, p)
	}
}

// echoStreams is an echo as servers do it: over TCP, with a multishot receive that
// stays, so that a send is the one entry of an echo that names its socket. Each way
// has connections of its own.
func echoStreams(d *direct) func(slots bool) {
	const size, group = 64, 1
	var fds, peers [2][turnOf]int
	buffers, err := ring.NewBufferRing(2 * turnOf)
	require.NoError(d, err)
	require.NoError(d, d.q.RegisterBufferRing(group, buffers))
	var memory [2 * turnOf][]byte
	for i := range memory {
		memory[i] = make([]byte, 1024)
		buffers.Add(memory[i], uint16(i))
	}
	buffers.Publish()
	for way := range fds {
		for i := range fds[way] {
			fds[way][i], peers[way][i] = d.connection()
			slot := way*turnOf + i
			d.file(slot, fds[way][i])
			e := d.q.Next()
			if way == 1 {
				fds[way][i] = slot
			}
			e.PrepMultishotRecv(fds[way][i], group, 0)
			name(e, way == 1)
			e.SetUserData(uint64(i))
		}
	}
	message := make([]byte, size)
	var received [turnOf]uint16 // the buffers
	return func(slots bool) {
		way := 0
		if slots {
			way = 1
		}
		d.client(func() { writeAll(peers[way][:], message) })
		d.drain(turnOf, func(c *ring.CQE) { received[c.UserData()] = c.BufferID() })
		for i, fd := range fds[way] {
			e := d.q.Next()
			e.PrepSend(fd, memory[received[i]][:size], ring.MsgNoSignal)
			name(e, slots)
		}
		d.drain(turnOf, nil)
		for _, id := range received {
			buffers.Add(memory[id], id)
		}
		buffers.Publish()
		d.client(func() { readAll(peers[way][:], message) })
	}
}

// connection is one over loopback TCP; the other end is closed with the benchmark.
func (d *direct) connection() (ours, peer int) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(d, err)
	defer unix.Close(listener)
	require.NoError(d, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(d, unix.Listen(listener, 1))
	address, err := unix.Getsockname(listener)
	require.NoError(d, err)
	peer, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(d, err)
	d.Cleanup(func() { unix.Close(peer) })
	require.NoError(d, unix.Connect(peer, address))
	ours, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	require.NoError(d, err)
	return ours, peer
}

// acceptAndClose accepts and closes connections, which plain system calls make and
// close.
func acceptAndClose(d *direct) func(slots bool) {
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(d, err)
	d.Cleanup(func() { unix.Close(listener) })
	require.NoError(d, unix.Bind(listener, &unix.SockaddrUnix{})) // a name the kernel chooses
	require.NoError(d, unix.Listen(listener, 16))
	address, err := unix.Getsockname(listener)
	require.NoError(d, err)
	return func(slots bool) {
		for range turnOf {
			var client int
			d.client(func() {
				if client, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
					d.Fatal(err)
				}
				if err := unix.Connect(client, address); err != nil {
					d.Fatal(err)
				}
			})
			e := d.q.Next()
			e.PrepAccept(listener, unix.SOCK_CLOEXEC)
			if slots {
				e.PrepAccept(listener, 0)
				e.SetSlot(ring.AnySlot)
			}
			var accepted int
			d.drain(1, func(c *ring.CQE) { accepted = int(c.Result()) })
			e = d.q.Next()
			if slots {
				e.PrepCloseDirect(accepted)
			} else {
				e.PrepClose(accepted)
			}
			d.drain(1, nil)
			d.client(func() { unix.Close(client) })
		}
	}
}

// openReadClose opens, reads and closes a file: in three submissions with a
// descriptor, in one with a slot.
func openReadClose(d *direct) func(slots bool) {
	file := d.TempDir() + "/file"
	fd, err := unix.Open(file, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	require.NoError(d, err)
	p := make([]byte, 1000)
	_, err = unix.Write(fd, p)
	require.NoError(d, err)
	require.NoError(d, unix.Close(fd))
	path := append([]byte(file), 0)
	const slot = 0
	return func(slots bool) {
		for range turnOf {
			if slots {
				e := d.q.Next()
				e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY, 0)
				e.SetSlot(slot)
				e.SetFlags(ring.SQELink)
				e = d.q.Next()
				e.PrepReadAt(slot, p, 0)
				e.SetFlags(ring.SQEFixedFile | ring.SQEHardLink)
				d.q.Next().PrepCloseDirect(slot)
				d.drain(3, nil)
				continue
			}
			d.q.Next().PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
			d.drain(1, func(c *ring.CQE) { fd = int(c.Result()) })
			d.q.Next().PrepReadAt(fd, p, 0)
			d.drain(1, nil)
			d.q.Next().PrepClose(fd)
			d.drain(1, nil)
		}
	}
}

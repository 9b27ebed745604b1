package epollfallback

import (
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkSystemCalls is the floor: the same send and receive by hand.
func BenchmarkSystemCalls(b *testing.B) {
	ours, peer := pair(b)
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(peer), uintptr(unsafe.Pointer(&p[0])), 64, unix.MSG_NOSIGNAL, 0, 0)
		syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(ours), uintptr(unsafe.Pointer(&p[0])), 64, 0, 0, 0)
	}
}

// BenchmarkSendRecv is one send and one receive that find what they want, in
// one turn.
func BenchmarkSendRecv(b *testing.B) {
	for name, room := range map[string]int{"room": 4096, "exact": 64} {
		b.Run(name, func(b *testing.B) {
			q := openBench(b)
			ours, peer := pair(b)
			in, out := make([]byte, room), make([]byte, 64)
			var got [4]ring.CQE
			b.ReportAllocs()
			for b.Loop() {
				send(q, 1, peer, out)
				receive(q, 2, ours, in)
				q.Enter(0)
				q.Reap(got[:])
			}
		})
	}
}

// BenchmarkParked is a receive that has to wait for the send after it.
func BenchmarkParked(b *testing.B) {
	q := openBench(b)
	ours, peer := pair(b)
	in, out := make([]byte, 4096), make([]byte, 64)
	var got [4]ring.CQE
	b.ReportAllocs()
	for b.Loop() {
		receive(q, 1, ours, in)
		send(q, 2, peer, out)
		for n := 0; n < 2; {
			q.Enter(ring.Forever)
			n += q.Reap(got[:])
		}
	}
}

// BenchmarkMultishot is the echo server's way: a send, and a multishot receive
// that reports it.
func BenchmarkMultishot(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			q := openBench(b)
			ours, peer := pair(b)
			if network == "tcp" {
				ours, peer = tcpPair(b)
			}
			r, buffers := provide(b, q, 1, 64, 4096)
			e := q.Next()
			e.PrepMultishotRecv(ours, 1, 0)
			e.SetUserData(1)
			out := make([]byte, 64)
			var got [4]ring.CQE
			b.ReportAllocs()
			for b.Loop() {
				send(q, 2, peer, out)
				for n := 0; n < 2; {
					q.Enter(ring.Forever)
					k := q.Reap(got[:])
					n += k
					for _, c := range got[:k] {
						if c.Flags()&ring.CQEFBuffer != 0 {
							r.Add(buffers[c.BufferID()], c.BufferID())
							r.Publish()
						}
					}
				}
			}
		})
	}
}

func openBench(b *testing.B) *Queue {
	runtime.LockOSThread()
	b.Cleanup(runtime.UnlockOSThread)
	q, err := Open(Options{})
	require.NoError(b, err)
	b.Cleanup(func() {
		b.ReportMetric(float64(q.Stats().Syscalls)/float64(b.N), "syscalls/op")
		require.NoError(b, q.Close())
	})
	return q
}

func send(q ring.Queue, userData uint64, fd int, p []byte) {
	e := q.Next()
	e.PrepSend(fd, p, ring.MsgWaitAll)
	e.SetUserData(userData)
}

func receive(q ring.Queue, userData uint64, fd int, p []byte) {
	e := q.Next()
	e.PrepRecv(fd, p, 0)
	e.SetUserData(userData)
}

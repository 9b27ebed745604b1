package ring

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkFileToSocket is why files are read and sent, not spliced: 16 MiB of
// the page cache to a TCP peer of this process, piece by piece, each two linked
// entries. The processor time is that of both ends and the kernel's workers.
func BenchmarkFileToSocket(b *testing.B) {
	const size = 16 << 20
	f, err := os.CreateTemp(b.TempDir(), "file")
	require.NoError(b, err)
	defer f.Close()
	_, err = f.Write(make([]byte, size))
	require.NoError(b, err)
	for _, way := range []string{"send", "send zero copy", "splice"} {
		for _, piece := range []int{64 << 10, 256 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dK", way, piece>>10), func(b *testing.B) {
				r, out := open(b, Options{}), drained(b)
				var p [2]int
				require.NoError(b, unix.Pipe2(p[:], unix.O_CLOEXEC))
				defer unix.Close(p[0])
				defer unix.Close(p[1])
				_, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, piece)
				require.NoError(b, err)
				memory := make([]byte, piece)
				var done [4]CQE
				b.SetBytes(size)
				start := processorTime()
				for b.Loop() {
					for off := 0; off < size; off += piece {
						first := r.Next()
						if way == "splice" {
							first.PrepSplice(int(f.Fd()), int64(off), p[1], AtCursor, uint32(piece), 0)
						} else {
							first.PrepReadAt(int(f.Fd()), memory, int64(off))
						}
						first.SetFlags(SQELink)
						second, left := r.Next(), 2
						switch way {
						case "splice":
							second.PrepSplice(p[0], AtCursor, out, AtCursor, uint32(piece), 0)
						case "send":
							second.PrepSend(out, memory, MsgWaitAll)
						default:
							second.PrepSendZC(out, memory, MsgWaitAll)
							left = 3
						}
						for left > 0 {
							if err := r.Enter(Forever); err != nil {
								b.Fatal(err)
							}
							n := r.Reap(done[:])
							left -= n
							for _, c := range done[:n] {
								if c.Flags()&CQEFNotif == 0 && int(c.Result()) != piece {
									b.Fatalf("%d of %d bytes", c.Result(), piece)
								}
							}
						}
					}
				}
				b.ReportMetric((processorTime()-start)/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

// drained is a connection whose peer reads all the time.
func drained(b *testing.B) int {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(b, err)
	defer unix.Close(ln)
	require.NoError(b, unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(b, unix.Listen(ln, 1))
	addr, err := unix.Getsockname(ln)
	require.NoError(b, err)
	out, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(b, err)
	require.NoError(b, unix.Connect(out, addr))
	in, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
	require.NoError(b, err)
	go func() {
		defer unix.Close(in)
		p := make([]byte, 1<<20)
		for {
			if n, _ := unix.Read(in, p); n <= 0 {
				return
			}
		}
	}()
	b.Cleanup(func() { unix.Close(out) })
	return out
}

// processorTime is that of the process, in milliseconds.
func processorTime() float64 {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

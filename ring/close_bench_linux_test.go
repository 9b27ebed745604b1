package ring

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkCloseInFlight closes a ring with 2,000 receives in flight.
func BenchmarkCloseInFlight(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 2000
	var fds [n][2]int
	for i := range fds {
		var err error
		fds[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(b, err)
		defer unix.Close(fds[i][0])
		defer unix.Close(fds[i][1])
	}
	memory := make([]byte, 8)
	for b.Loop() {
		b.StopTimer()
		r, err := Open(Options{Entries: 256, CQEntries: 4096})
		require.NoError(b, err)
		for i := range fds {
			r.Next().PrepRecv(fds[i][0], memory, 0)
		}
		require.NoError(b, r.Enter(0))
		b.StartTimer()
		require.NoError(b, r.Close())
	}
	runtime.KeepAlive(memory)
}

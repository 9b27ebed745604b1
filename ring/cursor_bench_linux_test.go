package ring

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkReadAtCursor reads what is there: from an eventfd, as a loop does that
// was woken, from a pipe, and from a file, whose cursor the queue keeps an eye on.
func BenchmarkReadAtCursor(b *testing.B) {
	counter, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE)
	require.NoError(b, err)
	defer unix.Close(counter)
	var pipe [2]int
	require.NoError(b, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	path := filepath.Join(b.TempDir(), "file")
	require.NoError(b, os.WriteFile(path, make([]byte, 4096), 0o600))
	file, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(b, err)
	defer unix.Close(file)
	word := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	for name, c := range map[string]struct {
		fd     int
		refill func()
	}{
		"eventfd": {counter, func() { unix.Write(counter, word) }},
		"pipe":    {pipe[0], func() { unix.Write(pipe[1], word) }},
		"file":    {file, func() { unix.Seek(file, 0, 0) }},
	} {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r, err := Open(Options{Entries: 8})
			require.NoError(b, err)
			defer r.Close()
			p := make([]byte, 16)[:8]
			var done [1]CQE
			for b.Loop() {
				c.refill()
				r.Next().PrepRead(c.fd, p)
				for {
					require.NoError(b, r.Enter(Forever))
					if r.Reap(done[:]) == 1 {
						break
					}
				}
				if done[0].Result() != 8 {
					b.Fatal(done[0].Result())
				}
			}
		})
	}
}

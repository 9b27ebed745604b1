package ring

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSignalsCancelNothing has signals come all the time while the kernel makes the
// workers of new threads.
func TestSignalsCancelNothing(t *testing.T) {
	RequireKernel(t)
	path := append([]byte(filepath.Join(t.TempDir(), "file")), 0)
	defer alarms(t, 30)()
	for o, rounds := range map[Options]int{
		{Entries: 8}: 150,
		{Entries: 8, SubmissionThread: &SubmissionThread{Idle: time.Millisecond}}: 30,
	} {
		for range rounds {
			results := make(chan []int32)
			go func() {
				runtime.LockOSThread() // and ends with its thread
				results <- neededWorkers(o, path)
			}()
			require.Equal(t, []int32{0, 0, 0}, <-results)
		}
	}
}

// neededWorkers has a new ring perform what needs workers of the kernel's, and
// returns the results.
func neededWorkers(o Options, path []byte) (results []int32) {
	r, err := Open(o)
	if err != nil {
		return nil
	}
	defer r.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for _, prepare := range []func(*SQE){
		func(e *SQE) { e.PrepShutdown(pair[0], unix.SHUT_WR) },
		func(e *SQE) { e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_CREAT|unix.O_CLOEXEC, 0o600) },
		func(e *SQE) { e.PrepUnlinkat(unix.AT_FDCWD, &path[0], 0) },
	} {
		c, err := r.perform(func(e *SQE) { prepare(e); e.SetUserData(trialData) })
		if err != nil {
			return nil
		}
		if c.Result() > 0 {
			unix.Close(int(c.Result()))
			c = CQE(queueabi.NewCQE(trialData, 0, 0))
		}
		results = append(results, c.Result())
	}
	return results
}

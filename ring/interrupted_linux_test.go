package ring

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/goproactor/goproactor/internal/queueabi"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A write to a terminal that a signal ends has not been canceled. On older kernels EINTR
// tells of opens and splices that they have.
func TestSignalsCancelNoTransfer(t *testing.T) {
	for _, hides := range []bool{false, true} {
		r := open(t, Options{Entries: 8})
		r.hidesRestart = hides
		master, slave := terminal(t)
		stop := alarms(t, 30)
		text, shown := make([]byte, 64), make([]byte, 4096)
		signaled := 0
		for range 2000 {
			c, err := r.perform(func(e *SQE) { e.PrepWrite(slave, text); e.SetUserData(trialData) })
			require.NoError(t, err)
			if c.Result() < 0 {
				require.Equal(t, syscall.EINTR, syscall.Errno(-c.Result()))
				signaled++
				continue
			}
			_, err = unix.Read(master, shown)
			require.NoError(t, err)
		}
		stop()
		t.Logf("%d writes were interrupted", signaled)
	}
}

// terminal is a pseudoterminal.
func terminal(t *testing.T) (master, slave int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.EACCES || err == unix.ENODEV {
		t.Skipf("needs pseudoterminals: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(master) })
	require.NoError(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(slave) })
	return master, slave
}

// What a worker waits for and a cancel ends says EINTR on older kernels.
func TestCanceledOnWorker(t *testing.T) {
	r := open(t, Options{Entries: 8})
	r.hidesRestart = true
	path := append([]byte(t.TempDir()), 0)
	e := r.Next()
	e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_WRONLY, 0) // a directory: EISDIR
	e.SetUserData(1)
	r.Next().PrepNop()
	require.NoError(t, r.Enter(0))
	require.Equal(t, 1, r.onWorkers.used)
	interrupted := -int32(syscall.EINTR)
	for userData, want := range map[uint64]syscall.Errno{1: syscall.ECANCELED, 2: syscall.EINTR} {
		c := []CQE{CQE(queueabi.NewCQE(userData, interrupted, 0))}
		require.Equal(t, want == syscall.ECANCELED, r.wasCanceled(&c[0]))
	}
	require.Zero(t, r.onWorkers.used)
}

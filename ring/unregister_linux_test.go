package ring

import (
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// OpenWaiting opens a ring that ends its tables as on a kernel that waits for what
// is in flight.
func OpenWaiting(o Options) (*Ring, error) {
	r, err := Open(o)
	if err == nil {
		r.waitsToUnregister = true
	}
	return r, err
}

// Tables are unregistered while an operation is in flight, without waiting for it.
func TestUnregisterWhileInFlight(t *testing.T) {
	RequireKernel(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := OpenWaiting(Options{Entries: 8})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(pair[1])
	require.NoError(t, r.RegisterFiles(300))
	require.NoError(t, r.RegisterBuffers(2))
	memory := make([]byte, 64)
	require.NoError(t, r.UpdateBuffer(1, memory))
	_, err = r.UpdateFiles(299, []int32{int32(pair[0])})
	require.NoError(t, err)
	require.NoError(t, unix.Close(pair[0]))
	e := r.Next()
	e.PrepReadFixed(299, memory, AtCursor, 1)
	e.SetFlags(SQEFixedFile)
	e.SetUserData(trialData)
	require.NoError(t, r.Enter(0))
	require.NoError(t, r.UnregisterFiles())
	require.NoError(t, r.UnregisterBuffers())
	require.ErrorIs(t, r.UnregisterFiles(), syscall.ENXIO)
	require.ErrorIs(t, r.UnregisterBuffers(), syscall.ENXIO)
	_, err = r.UpdateFiles(0, []int32{int32(pair[1])})
	require.ErrorIs(t, err, syscall.ENXIO)
	require.ErrorIs(t, r.UpdateBuffer(0, memory), syscall.ENXIO)
	require.ErrorIs(t, r.RegisterFiles(5), syscall.EBUSY)
	require.ErrorIs(t, r.RegisterBuffers(5), syscall.EBUSY)
	require.NoError(t, r.RegisterFiles(300))
	require.NoError(t, r.RegisterBuffers(2))
	require.NoError(t, r.UnregisterFiles())
	require.NoError(t, r.UnregisterBuffers())
	_, err = unix.Write(pair[1], []byte("late"))
	require.NoError(t, err)
	var c [1]CQE
	for r.Reap(c[:]) == 0 {
		require.NoError(t, r.Enter(Forever))
	}
	require.EqualValues(t, 4, c[0].Result(), "what was in flight went on")
	require.Equal(t, "late", string(memory[:4]))
	require.NoError(t, r.RegisterFiles(5))
	require.NoError(t, r.RegisterBuffers(5))
}

package ring

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestBufferOverLockedMemory runs itself in a process that the limit of locked
// memory binds: without CAP_IPC_LOCK.
func TestBufferOverLockedMemory(t *testing.T) {
	RequireKernel(t)
	const child = "GOPROACTOR_MEMLOCK_CHILD"
	if os.Getenv(child) != "" {
		registerTooMuch(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestBufferOverLockedMemory$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := lockedmemory.Bound(t, cmd)
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestBufferOverLockedMemory")
}

func registerTooMuch(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := Open(Options{Entries: 8})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
	require.NoError(t, r.RegisterBuffers(2))
	err = r.UpdateBuffer(0, make([]byte, 8<<20))
	require.ErrorIs(t, err, unix.ENOMEM)
	require.ErrorContains(t, err, "register buffer 0, 8388608 bytes")
	require.ErrorContains(t, err, "RLIMIT_MEMLOCK")
	require.NoError(t, r.UnregisterBuffers())
	require.ErrorIs(t, r.UnregisterBuffers(), unix.ENXIO)
}

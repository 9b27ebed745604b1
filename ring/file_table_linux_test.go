package ring

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFilesOverLimit runs itself in a process that may have no more descriptors
// than it has: RLIMIT_NOFILE bounds a table when it is registered, and nothing
// that is opened into it.
func TestFilesOverLimit(t *testing.T) {
	RequireKernel(t)
	const child = "GOPROACTOR_FILES_CHILD"
	if os.Getenv(child) != "" {
		openOverLimit(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFilesOverLimit$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestFilesOverLimit")
}

func openOverLimit(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const slots = 100
	r, err := Open(Options{Entries: 8})
	require.NoError(t, err)
	defer r.Close()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	path := append([]byte(name), 0)
	open := func(slot int) int32 {
		c, err := r.perform(func(e *SQE) {
			e.PrepOpenat(unix.AT_FDCWD, &path[0], unix.O_RDONLY, 0)
			e.SetSlot(slot)
			e.SetUserData(trialData)
		})
		require.NoError(t, err)
		return c.Result()
	}
	const none = -1
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	lower := func(limit uint64) {
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}))
	}
	lower(slots)
	require.ErrorIs(t, r.RegisterFiles(slots+1), unix.EMFILE)
	require.NoError(t, r.RegisterFiles(slots))
	lower(3) // less than there are
	require.Equal(t, -int32(unix.EMFILE), open(none))
	for range slots {
		require.GreaterOrEqual(t, open(AnySlot), int32(0))
	}
	require.Equal(t, -int32(unix.ENFILE), open(AnySlot))
	require.NoError(t, r.UnregisterFiles())
	require.ErrorIs(t, r.RegisterFiles(4), unix.EMFILE)
	lower(before.Cur)
}

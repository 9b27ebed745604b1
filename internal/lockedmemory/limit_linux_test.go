package lockedmemory

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestShort runs itself in processes with and without the capability, under a small limit.
func TestShort(t *testing.T) {
	const child = "GOPROACTOR_LOCKED_CHILD"
	how := os.Getenv(child)
	if how != "" {
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
	}
	switch how {
	case "bound":
		require.ErrorIs(t, Short(), errors.ErrUnsupported)
		require.ErrorContains(t, Short(), "the limit is 64 KiB")
		return
	case "free":
		require.NoError(t, Short())
		return
	}
	again := func(how string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestShort$", "-test.v")
		cmd.Env = append(os.Environ(), child+"="+how)
		return cmd
	}
	if privileged() {
		out, err := again("free").CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestShort")
	}
	out, err := Bound(t, again("bound"))
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestShort")
}

// privileged reports whether this process may lock more than it is limited to.
func privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}

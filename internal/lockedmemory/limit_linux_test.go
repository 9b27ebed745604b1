package lockedmemory

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestShort runs itself in processes with and without the capability, under a small limit.
func TestShort(t *testing.T) {
	const child = "GOPROACTOR_LOCKED_CHILD"
	switch os.Getenv(child) {
	case "bound":
		require.ErrorIs(t, Short(), errors.ErrUnsupported)
		require.ErrorContains(t, Short(), "the limit is 64 KiB")
		return
	case "free":
		require.NoError(t, Short())
		return
	}
	if os.Getuid() != 0 {
		t.Log("only what binds an ordinary user")
	} else if privileged() {
		requireChild(t, child+"=free", false)
	}
	requireChild(t, child+"=bound", true)
}

// privileged reports whether this process may lock more than it is limited to.
func privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}

func requireChild(t *testing.T, env string, drop bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestShort$", "-test.v")
	cmd.Env = append(os.Environ(), env)
	result := make(chan error)
	var out []byte
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with what it gave up
		var before unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &before)
		if err == nil && drop && privileged() {
			err = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0)
		}
		small := before
		small.Cur = 64 << 10
		if err == nil {
			err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &small) // of the process: the child has it too
		}
		if err == nil {
			out, err = cmd.CombinedOutput()
			unix.Setrlimit(unix.RLIMIT_MEMLOCK, &before)
		}
		result <- err
	}()
	require.NoError(t, <-result, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestShort")
}

package lockedmemory

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Bound runs cmd in a process that the limit of locked memory binds, and returns what it
// prints. If this process has CAP_IPC_LOCK, as root, the capability is taken out of the
// bounding set of the thread that starts the other, which ends with its goroutine.
func Bound(t *testing.T, cmd *exec.Cmd) (out []byte, err error) {
	t.Helper()
	var refused error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with what it gave up
		if has, _ := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_IPC_LOCK, 0, 0, 0); has == 1 && os.Getuid() == 0 {
			if refused = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0); refused != nil {
				return
			}
		}
		out, err = cmd.CombinedOutput()
	}()
	<-done
	if refused != nil {
		t.Skip("cannot give up CAP_IPC_LOCK, which the limit of locked memory does not bind: ", refused)
	}
	return out, err
}

package ring

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSignalsCancelNoClose has signals come all the time while new threads close files
// on overlayfs, as those of a container are. It runs itself in a process that may mount.
func TestSignalsCancelNoClose(t *testing.T) {
	RequireKernel(t)
	const child = "GOPROACTOR_OVERLAY_CHILD"
	if os.Getenv(child) != "" {
		closeOnOverlay(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSignalsCancelNoClose$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   unix.CLONE_NEWUSER,
		Unshareflags: unix.CLONE_NEWNS,
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	for _, refused := range []error{unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EINVAL, unix.ENOSYS} { // user_namespaces(7), and filters
		if errors.Is(err, refused) {
			t.Skipf("no process may have a user and mounts of its own: %v", err)
		}
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestSignalsCancelNoClose")
}

func closeOnOverlay(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(path, 0o700))
		return path
	}
	merged := in("merged")
	options := "lowerdir=" + in("lower") + ",upperdir=" + in("upper") + ",workdir=" + in("work")
	err := unix.Mount("overlay", merged, "overlay", 0, options)
	for _, refused := range []error{unix.EPERM, unix.EACCES, unix.ENODEV, unix.EINVAL} { // one on another, for one
		if err == refused {
			t.Skipf("this kernel lets nobody mount overlayfs on the directory of temporary files: %v", err)
		}
	}
	require.NoError(t, err)
	defer unix.Unmount(merged, unix.MNT_DETACH)
	stop := alarms(t, 30)
	defer stop()
	for range 100 {
		result := make(chan error)
		go func() {
			runtime.LockOSThread() // and ends with its thread
			result <- closeFirst(filepath.Join(merged, "file"))
		}()
		require.NoError(t, <-result)
	}
}

// closeFirst has a new ring close a file before it does anything else.
func closeFirst(path string) error {
	r, err := Open(Options{Entries: 8})
	if err != nil {
		return err
	}
	defer r.Close()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	c, err := r.perform(func(e *SQE) { e.PrepClose(fd); e.SetUserData(trialData) })
	return refusal(c, err)
}

// alarms has a signal come every so many microseconds, until stop is called.
func alarms(t *testing.T, microseconds int) (stop func()) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGALRM)
	every := func(microseconds int) {
		timer := [4]int{0, microseconds, 0, microseconds} // struct itimerval
		_, _, errno := unix.Syscall(unix.SYS_SETITIMER, uintptr(unix.ITIMER_REAL), uintptr(unsafe.Pointer(&timer)), 0)
		require.Zero(t, errno)
	}
	every(microseconds)
	return func() {
		every(0)
		signal.Stop(received)
	}
}

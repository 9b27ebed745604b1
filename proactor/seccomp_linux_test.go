package proactor_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRefusedBySeccomp runs itself in a process whose seccomp filter refuses a system
// call of io_uring's, as the filters of container runtimes do.
func TestRefusedBySeccomp(t *testing.T) {
	type refusal struct {
		number  uint32
		errno   syscall.Errno
		reasons []string
	}
	refusals := map[string]refusal{}
	for call, number := range map[string]uint32{
		"io_uring_setup": unix.SYS_IO_URING_SETUP, "io_uring_enter": unix.SYS_IO_URING_ENTER, "io_uring_register": unix.SYS_IO_URING_REGISTER,
	} {
		for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENOSYS} {
			refusals[call+" "+unix.ErrnoName(errno)] = refusal{number, errno, []string{call, errno.Error(), "seccomp"}}
		}
	}
	if name := os.Getenv("GOPROACTOR_REFUSE_IOURING"); name != "" {
		r := refusals[name]
		refuseCall(t, r.number, r.errno)
		showNoIOUring(t, r.reasons...)
		return
	}
	if v, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); err == nil && strings.TrimSpace(string(v)) != "0" {
		t.Skip("the sysctl kernel.io_uring_disabled is set, and is the reason given then")
	}
	for name := range refusals {
		t.Run(name, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestRefusedBySeccomp$", "-test.v")
			child.Env = append(os.Environ(), "GOPROACTOR_REFUSE_IOURING="+name)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS: TestRefusedBySeccomp")
		})
	}
}

// refuseCall has the kernel answer errno to a system call, in every thread of this
// process, from now on (seccomp(2)). That takes no privilege: the process only gives up
// what set-user-ID programs would gain.
func refuseCall(t *testing.T, number uint32, errno syscall.Errno) {
	t.Helper()
	const numberOffset = 0 // of seccomp_data.nr
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter's thread must have no new privileges; the others follow it
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	require.Zero(t, e, "seccomp")
}

// showNoIOUring shows what a program sees where io_uring is refused.
func showNoIOUring(t *testing.T, reasons ...string) {
	t.Helper()
	_, refused := proactor.New(proactor.WithBackend(proactor.IOUring))
	require.Error(t, refused)
	require.NotContains(t, refused.Error(), "\n")
	for _, reason := range reasons {
		require.ErrorContains(t, refused, reason)
	}
	rt, err := proactor.New()
	require.NoError(t, err)
	defer rt.Close()
	require.Equal(t, proactor.Epoll, rt.Backend().Backend)
	require.Contains(t, refused.Error(), rt.Backend().Reason)
	c := dial(t, serveEcho(t, rt, "await"))
	require.NoError(t, roundTrip(c, 1<<20, 'x'))
}

// TestNoIOUring runs in CI where io_uring is switched off, or missing.
func TestNoIOUring(t *testing.T) {
	reason := os.Getenv("GOPROACTOR_EXPECT_NO_IOURING")
	if reason == "" {
		t.Skip("runs where CI knows that there is no io_uring: set GOPROACTOR_EXPECT_NO_IOURING to the reason to be given, such as kernel.io_uring_disabled=2")
	}
	showNoIOUring(t, reason)
}

package epollfallback_test

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/epollfallback"
	"github.com/goproactor/goproactor/internal/queuetest"
	"github.com/goproactor/goproactor/ring"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRefusedCalls runs the contract in processes whose seccomp filter refuses
// newer system calls, as the filters of older container runtimes do.
func TestRefusedCalls(t *testing.T) {
	const child = "GOPROACTOR_REFUSE_CALLS"
	if v := os.Getenv(child); v != "" {
		errno, calls, _ := strings.Cut(v, ":")
		refuse(t, errno, strings.Split(calls, ","))
		queuetest.Run(t, func() (ring.Queue, error) {
			return epollfallback.Open(epollfallback.Options{Entries: 64})
		})
		return
	}
	all := []string{
		strconv.Itoa(unix.SYS_EPOLL_PWAIT2), strconv.Itoa(unix.SYS_PREADV2), strconv.Itoa(unix.SYS_PWRITEV2),
		strconv.Itoa(unix.SYS_STATX), strconv.Itoa(unix.SYS_RENAMEAT2), strconv.Itoa(unix.SYS_SENDMMSG),
		strconv.Itoa(unix.SYS_RECVMMSG), strconv.Itoa(unix.SYS_OPENAT2), strconv.Itoa(unix.SYS_FACCESSAT2),
		strconv.Itoa(unix.SYS_COPY_FILE_RANGE), strconv.Itoa(unix.SYS_IO_URING_SETUP), strconv.Itoa(unix.SYS_CLOSE_RANGE),
		strconv.Itoa(unix.SYS_PIDFD_OPEN), strconv.Itoa(unix.SYS_IO_SETUP),
	}
	cases := map[string]string{}
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS, unix.EACCES} {
		cases["all "+unix.ErrnoName(errno)] = strconv.Itoa(int(errno)) + ":" + strings.Join(all, ",")
	}
	for i, name := range []string{"epoll_pwait2", "preadv2", "pwritev2", "statx", "renameat2", "sendmmsg", "recvmmsg"} {
		cases[name] = strconv.Itoa(int(unix.EPERM)) + ":" + all[i]
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			c := exec.Command(os.Args[0], "-test.run=^TestRefusedCalls$", "-test.v")
			c.Env = append(os.Environ(), child+"="+v)
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS: TestRefusedCalls")
		})
	}
}

// refuse has the kernel answer errno to calls, in every thread of this process, from
// now on (seccomp(2)). That takes no privilege: the process gives up what
// set-user-ID programs would gain.
func refuse(t *testing.T, errno string, calls []string) {
	t.Helper()
	answer, err := strconv.Atoi(errno)
	require.NoError(t, err)
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for _, call := range calls {
		number, err := strconv.Atoi(call)
		require.NoError(t, err)
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(answer)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter's thread must have no new privileges; the others follow it
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	require.Zero(t, e, "seccomp")
}

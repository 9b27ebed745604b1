package ring

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/goproactor/goproactor/internal/lockedmemory"
	"github.com/goproactor/goproactor/internal/queueabi"
	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// RequireKernel skips where this process may open no ring at all, as in most
// containers, or none but a small one. Any other error is for the test to report.
func RequireKernel(t testing.TB) {
	t.Helper()
	if err := Probe().Setup; errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		t.Skip("no io_uring here: ", err)
	}
	if err := lockedmemory.Short(); err != nil {
		t.Skip(err)
	}
}

// What RequireKernel skips is what the kernel refuses, and nothing that the probe got wrong.
func TestProbeAgreesWithTheKernel(t *testing.T) {
	var params [120]byte // struct io_uring_params
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		require.ErrorIs(t, Probe().Setup, errno)
		return
	}
	require.NoError(t, unix.Close(int(fd)))
	// A filter may still refuse other calls, and kernels before 6.1 have not all that is needed.
	err := Probe().Require()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSYS) || queueabi.Before(KernelRelease(), 6, 1) {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
}

// open opens a ring for the test's own goroutine.
func open(t testing.TB, o Options) *Ring {
	t.Helper()
	RequireKernel(t)
	runtime.LockOSThread()
	r, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		runtime.UnlockOSThread()
	})
	return r
}

func TestSendAndReceiveAllocateNothing(t *testing.T) {
	r := open(t, Options{})
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	in, out := make([]byte, 64), make([]byte, 64)
	var done [4]CQE
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		e := r.Next()
		e.PrepSend(pair[0], out, MsgWaitAll|MsgNoSignal)
		e.SetUserData(1)
		e = r.Next()
		e.PrepRecv(pair[1], in, 0)
		e.SetUserData(2)
		for n := 0; n < 2; n += r.Reap(done[:]) {
			if err := r.Enter(Forever); err != nil {
				t.Fatal(err)
			}
		}
	}))
}

func TestAnotherThreadIsToldSo(t *testing.T) {
	r := open(t, Options{})
	err := make(chan error)
	go func() {
		runtime.LockOSThread()
		r.Next().PrepNop()
		err <- r.Enter(0)
	}()
	require.ErrorContains(t, <-err, "runtime.LockOSThread")
	r.err = nil // it was not the ring's fault: let it close in order
}

func TestAFailedRingSaysSoAndCrashesNobody(t *testing.T) {
	r := open(t, Options{})
	require.NoError(t, r.Close())
	r.Next().PrepNop()
	require.ErrorContains(t, r.Enter(0), "closed")
	require.ErrorContains(t, r.Reserve(1), "closed")
	require.Zero(t, r.Reap(make([]CQE, 1)))
	require.ErrorContains(t, r.UnregisterBufferRing(1), "closed")
}

func TestProbe(t *testing.T) {
	RequireKernel(t)
	report := Probe()
	require.NoError(t, report.Setup)
	require.NoError(t, report.Require())
	require.Contains(t, report.SetupFlags(), "IORING_SETUP_DEFER_TASKRUN")
	require.Len(t, report.Ops, len(operations))
	for _, list := range [][]Support{report.Ops, report.Flags, report.Features} {
		for _, s := range list {
			require.NotEmpty(t, s.Since, s.Name)
			require.Equal(t, s.OK, s.Reason == "", "%s: a reason exactly when it is missing: %q", s.Name, s.Reason)
		}
	}
	require.Equal(t, "IORING_OP_RECV", report.Ops[iouring_syscall.IORING_OP_RECV].Name)
	require.Equal(t, "IORING_OP_SENDMSG_ZC", report.Ops[iouring_syscall.IORING_OP_SENDMSG_ZC].Name)
}

func TestRequireNamesWhatIsMissing(t *testing.T) {
	report := Report{Kernel: "5.10.0", Features: []Support{{Name: FeatureMultishotReceive, Since: "6.0", Reason: "it answers EINVAL", Required: true}}}
	require.ErrorContains(t, report.Require(), "io_uring lacks multishot receive (Linux 6.0, this is 5.10.0): it answers EINVAL")
}

func TestSetupErrorsSayTheCause(t *testing.T) {
	for _, row := range []struct {
		errno    syscall.Errno
		disabled string // kernel.io_uring_disabled
		hint     string
	}{
		{syscall.EPERM, "", "seccomp"},
		{syscall.EPERM, "0", "seccomp"},
		{syscall.EPERM, "1", "kernel.io_uring_group"},
		{syscall.EPERM, "2", "kernel.io_uring_disabled=2"},
		{syscall.ENOSYS, "0", "without io_uring"},
		{syscall.EINVAL, "0", "Linux 6.1"},
		{syscall.ENOMEM, "0", "RLIMIT_MEMLOCK"},
		{syscall.EMFILE, "0", "RLIMIT_NOFILE"},
	} {
		err := setupError(os.NewSyscallError("io_uring_setup", row.errno), row.disabled)
		require.ErrorIs(t, err, row.errno)
		require.ErrorContains(t, err, row.hint)
		require.False(t, strings.Contains(err.Error(), "\n"))
	}
}

func BenchmarkNop(b *testing.B) {
	r := open(b, Options{})
	var done [64]CQE
	b.ReportAllocs()
	for b.Loop() {
		for range len(done) {
			r.Next().PrepNop()
		}
		if err := r.Enter(0); err != nil {
			b.Fatal(err)
		}
		r.Reap(done[:])
	}
}

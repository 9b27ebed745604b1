package ring

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Set-up flags (io_uring_setup(2)) newer than iouring-go.
const (
	setupSingleIssuer = uint32(1 << 12) // Linux 6.0
	setupDeferTaskrun = uint32(1 << 13) // Linux 6.1
	setupNoSQArray    = uint32(1 << 16) // Linux 6.6
)

// Features the kernel reports at set-up.
const (
	featureNoDrop       = uint32(1 << 1) // overflowing completions are kept, Linux 5.5
	featureSubmitStable = uint32(1 << 2) // what entries describe is copied, Linux 5.5
	featureFastPoll     = uint32(1 << 5) // sockets wait without a worker, Linux 5.7
	featureExtArg       = uint32(1 << 8) // enter takes a time limit, Linux 5.11
)

// setupFlag is a set-up flag with its name and first kernel.
type setupFlag struct {
	name  string
	bit   uint32
	since string
}

// requiredFlags are those Open does not do without; all are there from 6.1 on.
var requiredFlags = []setupFlag{
	{"IORING_SETUP_CQSIZE", iouring_syscall.IORING_SETUP_CQSIZE, "5.5"},
	{"IORING_SETUP_CLAMP", iouring_syscall.IORING_SETUP_CLAMP, "5.6"},
	{"IORING_SETUP_SUBMIT_ALL", iouring_syscall.IORING_SETUP_SUBMIT_ALL, "5.18"},
	{"IORING_SETUP_TASKRUN_FLAG", iouring_syscall.IORING_SETUP_TASKRUN_FLAG, "5.19"},
	{"IORING_SETUP_SINGLE_ISSUER", setupSingleIssuer, "6.0"},
	{"IORING_SETUP_DEFER_TASKRUN", setupDeferTaskrun, "6.1"},
}

// optionalFlags are taken where the kernel accepts them.
var optionalFlags = []setupFlag{
	{"IORING_SETUP_NO_SQARRAY", setupNoSQArray, "6.6"},
}

// requiredFeatures come with the kernels that have the required flags.
var requiredFeatures = []setupFlag{
	{"IORING_FEAT_NODROP", featureNoDrop, "5.5"},
	{"IORING_FEAT_SUBMIT_STABLE", featureSubmitStable, "5.5"},
	{"IORING_FEAT_FAST_POLL", featureFastPoll, "5.7"},
	{"IORING_FEAT_EXT_ARG", featureExtArg, "5.11"},
}

func bits(flags []setupFlag) (all uint32) {
	for _, f := range flags {
		all |= f.bit
	}
	return all
}

// setup makes the ring's descriptor, with the optional flags that are accepted.
func setup(o Options) (fd int, p iouring_syscall.IOURingParams, err error) {
	want := bits(requiredFlags) | bits(optionalFlags)
	for i := len(optionalFlags); ; i-- {
		p = iouring_syscall.IOURingParams{Flags: want, CQEntries: o.CQEntries}
		fd, err = iouring_syscall.IOURingSetup(uint(o.Entries), &p)
		if !errors.Is(err, syscall.EINVAL) || i == 0 {
			break
		}
		want &^= optionalFlags[i-1].bit
	}
	if err != nil {
		return -1, p, setupError(err)
	}
	for _, f := range requiredFeatures {
		if p.Features&f.bit == 0 {
			unix.Close(fd)
			return -1, p, fmt.Errorf("io_uring_setup: the kernel lacks %s (Linux %s): %w", f.name, f.since, errors.ErrUnsupported)
		}
	}
	return fd, p, nil
}

// setupError says what most likely made io_uring_setup fail.
func setupError(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	why := ""
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		why = "a seccomp or LSM policy refuses it; container runtimes do by default"
		if v := disabledSysctl(); v != "" && v != "0" {
			why = "kernel.io_uring_disabled=" + v
		}
	case syscall.ENOSYS:
		why = "the kernel is built without io_uring or older than 5.1, or a seccomp policy hides it"
	case syscall.EINVAL:
		why = "Linux 6.1 or later is needed, this is " + KernelRelease()
	case syscall.ENOMEM:
		why = "out of memory, or over the limit of locked memory: raise RLIMIT_MEMLOCK"
	case syscall.EMFILE, syscall.ENFILE:
		why = "out of descriptors: raise RLIMIT_NOFILE"
	}
	if why == "" {
		return fmt.Errorf("io_uring_setup: %w", errno)
	}
	return fmt.Errorf("io_uring_setup: %w (%s)", errno, why)
}

// disabledSysctl is kernel.io_uring_disabled (Linux 6.6): 0 allowed, 1 for the
// privileged and a group, 2 for nobody. Empty on kernels without it.
func disabledSysctl() string {
	v, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(v))
}

// KernelRelease is the running kernel's release, such as "6.18.44".
func KernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

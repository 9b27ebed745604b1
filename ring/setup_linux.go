package ring

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	iouring_syscall "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// bit is a flag with its name and the first kernel that has it.
type bit struct {
	name  string
	value uint32
	since string
}

// requiredFlags are those that Open does not do without (io_uring_setup(2)).
// All are there from Linux 6.1 on. Each needs none but those before it.
var requiredFlags = []bit{
	{"IORING_SETUP_CQSIZE", iouring_syscall.IORING_SETUP_CQSIZE, "5.5"},
	{"IORING_SETUP_CLAMP", iouring_syscall.IORING_SETUP_CLAMP, "5.6"},
	{"IORING_SETUP_R_DISABLED", setupRDisabled, "5.10"}, // until it is restricted, see restrict
	{"IORING_SETUP_SUBMIT_ALL", iouring_syscall.IORING_SETUP_SUBMIT_ALL, "5.18"},
	{"IORING_SETUP_SINGLE_ISSUER", 1 << 12, "6.0"},
	{"IORING_SETUP_DEFER_TASKRUN", 1 << 13, "6.1"},
	{"IORING_SETUP_TASKRUN_FLAG", iouring_syscall.IORING_SETUP_TASKRUN_FLAG, "5.19"},
}

// optionalFlags are taken where the kernel accepts them. The newest comes
// last and is given up first.
var optionalFlags = []bit{
	{"IORING_SETUP_NO_SQARRAY", setupNoSQArray, "6.6"},
}

// largeCompletions is for rings that can receive without copying. Every kernel with the
// required flags has it.
var largeCompletions = bit{"IORING_SETUP_CQE32", setupLarge, "5.19"}

// threadFlags are required as well if a thread of the kernel submits. They exclude
// those that are about the thread that enters, see excludedByThread.
var threadFlags = []bit{
	{"IORING_SETUP_SQPOLL", setupSQPoll, "5.11"}, // 5.1 with CAP_SYS_ADMIN
	{"IORING_SETUP_SQ_AFF", setupSQAffinity, "5.1"},
}

const (
	setupSQPoll     = iouring_syscall.IORING_SETUP_SQPOLL
	setupSQAffinity = iouring_syscall.IORING_SETUP_SQ_AFF
)

// flagsOf are the flags that a queue of these options requires.
func flagsOf(o Options) (required []bit) {
	if o.SubmissionThread == nil {
		return requiredFlags
	}
	for _, f := range requiredFlags {
		if !excludedByThread(f.name) {
			required = append(required, f)
		}
	}
	if o.SubmissionThread.Bound {
		return append(required, threadFlags...)
	}
	return append(required, threadFlags[0])
}

const (
	setupLarge      = 1 << 11 // completions of 32 bytes
	setupNoSQArray  = 1 << 16 // entries are taken in order, without an index
	setupRDisabled  = iouring_syscall.IORING_SETUP_R_DISABLED
	featExtArg      = 1 << 8
	featNoDrop      = 1 << 1
	featStable      = 1 << 2
	featFastPoll    = 1 << 5
	featSingleMMap  = 1 << 0
	requiredFeature = featSingleMMap | featNoDrop | featStable | featFastPoll | featExtArg
)

// kernelFeatures are what the kernel itself reports at set-up.
var kernelFeatures = []bit{
	{"IORING_FEAT_SINGLE_MMAP", featSingleMMap, "5.4"}, // one mapping holds both rings
	{"IORING_FEAT_NODROP", featNoDrop, "5.5"},          // completions that do not fit are kept
	{"IORING_FEAT_SUBMIT_STABLE", featStable, "5.5"},   // what entries describe is copied
	{"IORING_FEAT_RW_CUR_POS", 1 << 3, "5.6"},
	{"IORING_FEAT_CUR_PERSONALITY", 1 << 4, "5.6"},
	{"IORING_FEAT_FAST_POLL", featFastPoll, "5.7"}, // sockets wait without a worker
	{"IORING_FEAT_POLL_32BITS", 1 << 6, "5.9"},
	{"IORING_FEAT_SQPOLL_NONFIXED", 1 << 7, "5.11"},
	{"IORING_FEAT_EXT_ARG", featExtArg, "5.11"}, // enter takes a time limit
	{"IORING_FEAT_NATIVE_WORKERS", 1 << 9, "5.12"},
	{"IORING_FEAT_RSRC_TAGS", 1 << 10, "5.13"},
	{"IORING_FEAT_CQE_SKIP", 1 << 11, "5.17"},
	{"IORING_FEAT_LINKED_FILE", 1 << 12, "5.17"},
	{"IORING_FEAT_REG_REG_RING", 1 << 13, "6.3"},
	{"IORING_FEAT_RECVSEND_BUNDLE", 1 << 14, "6.10"},
	{"IORING_FEAT_MIN_TIMEOUT", 1 << 15, "6.12"}, // enter takes a minimum wait
	{"IORING_FEAT_RW_ATTR", 1 << 16, "6.14"},
	{"IORING_FEAT_NO_IOWAIT", 1 << 17, "6.15"},
}

func values(flags []bit) (all uint32) {
	for _, f := range flags {
		all |= f.value
	}
	return all
}

func flagNames(set uint32) (names []string) {
	for _, f := range slices.Concat(requiredFlags, threadFlags, optionalFlags, []bit{largeCompletions}) {
		if set&f.value != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// setup makes the ring's descriptor (close-on-exec, as the kernel makes them),
// with the optional flags that are accepted.
func setup(o Options, m *mask) (fd int, p iouring_syscall.IOURingParams, err error) {
	if err := o.SubmissionThread.check(); err != nil {
		return -1, p, fmt.Errorf("io_uring_setup: %w", err)
	}
	if o.SubmissionThread != nil && o.ZeroCopyReceive {
		return -1, p, fmt.Errorf("io_uring_setup: ZeroCopyReceive with a SubmissionThread: %w (the kernel has one or the other)", syscall.EINVAL)
	}
	required := flagsOf(o)
	want := values(required) | values(optionalFlags)
	if o.ZeroCopyReceive {
		want |= largeCompletions.value
	}
	for i := len(optionalFlags); ; i-- {
		p = iouring_syscall.IOURingParams{Flags: want, CQEntries: o.CQEntries}
		o.SubmissionThread.describe(&p)
		fd, err = m.open(uint(o.Entries), &p)
		if !errors.Is(err, syscall.EINVAL) || i == 0 {
			break
		}
		want &^= optionalFlags[i-1].value
	}
	switch lacking, found := missingFlag(err, required, o, m); {
	case found && lacking.value == setupSQAffinity:
		return -1, p, fmt.Errorf("io_uring_setup: submission thread on processor %d: %w (the process may not use that processor, or there is none of that number)", o.SubmissionThread.Processor, syscall.EINVAL)
	case found:
		return -1, p, fmt.Errorf("io_uring_setup: the kernel lacks %s (Linux %s, this is %s): %w: %w", lacking.name, lacking.since, KernelRelease(), syscall.EINVAL, errors.ErrUnsupported)
	}
	if err != nil {
		return -1, p, setupError(err, disabledSysctl())
	}
	for _, f := range kernelFeatures {
		if requiredFeature&f.value&^p.Features != 0 {
			unix.Close(fd)
			return -1, p, fmt.Errorf("io_uring_setup: the kernel lacks %s (Linux %s, this is %s): %w", f.name, f.since, KernelRelease(), errors.ErrUnsupported)
		}
	}
	return fd, p, nil
}

// describe puts the thread's properties into the parameters of io_uring_setup(2).
func (s *SubmissionThread) describe(p *iouring_syscall.IOURingParams) {
	if s == nil {
		return
	}
	p.SQThreadIdle = s.milliseconds()
	if s.Bound {
		p.SQThreadCPU = uint32(s.Processor)
	}
}

// missingFlag finds the first of the required flags that the kernel refuses with EINVAL,
// which is all that io_uring_setup says of it.
func missingFlag(err error, required []bit, o Options, m *mask) (f bit, found bool) {
	if !errors.Is(err, syscall.EINVAL) {
		return f, false
	}
	var flags uint32
	for _, next := range append([]bit{{}}, required...) { // without any first: else it is not the flags
		flags |= next.value
		p := iouring_syscall.IOURingParams{Flags: flags, CQEntries: 4}
		o.SubmissionThread.describe(&p)
		fd, err := m.open(2, &p)
		if err != nil {
			return next, next.value != 0 && errors.Is(err, syscall.EINVAL)
		}
		unix.Close(fd)
	}
	return f, false
}

// setupError says what most likely made io_uring_setup fail. disabled is the
// sysctl kernel.io_uring_disabled.
func setupError(err error, disabled string) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	why := ""
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		switch disabled {
		case "", "0":
			why = "a seccomp or LSM policy refuses it; container runtimes do by default"
		case "1":
			why = "kernel.io_uring_disabled=1: only with CAP_SYS_ADMIN or in the group kernel.io_uring_group"
		default:
			why = "kernel.io_uring_disabled=" + disabled
		}
	case syscall.ENOSYS:
		why = "the kernel is older than 5.1 or built without io_uring, or a seccomp policy hides it"
	case syscall.EINVAL:
		return fmt.Errorf("io_uring_setup: %w (Linux 6.1 or later is needed, this is %s): %w", errno, KernelRelease(), errors.ErrUnsupported)
	case syscall.ENOMEM:
		why = "out of memory, or over the limit of locked memory: raise RLIMIT_MEMLOCK"
	case syscall.EAGAIN:
		why = "no thread can be made to submit: raise RLIMIT_NPROC or pids.max"
	case syscall.EMFILE:
		why = "out of descriptors: raise RLIMIT_NOFILE"
	case syscall.ENFILE:
		why = "the system is out of descriptors: raise fs.file-max"
	default:
		return fmt.Errorf("io_uring_setup: %w", errno)
	}
	return fmt.Errorf("io_uring_setup: %w (%s)", errno, why)
}

// disabledSysctl is kernel.io_uring_disabled (Linux 6.6): 0 for nobody is
// refused, 1 for all but the privileged and a group, 2 for everybody. Empty on
// kernels without it.
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
